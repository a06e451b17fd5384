import { postToConnection, requestPool } from '../../core/realtime/gateway.ts';

/*
 * A process that posts, and says what a post takes once it is warm. Its arguments are how many posts do not count, and how many do.
 */

const [warmUp = 0, counted = 0] = process.argv.slice(2).map(Number);
/** As many at a time as a room has. */
const AT_ONCE = 100;
const FRAME = JSON.stringify({ type: 'message', text: 'x'.repeat(370) });

async function post(count: number): Promise<void> {
  const run = requestPool(AT_ONCE);
  const outcomes = await Promise.all(
    Array.from({ length: count }, (_, n) =>
      run(() => postToConnection(`connection-${n}=`, FRAME, new AbortController().signal)),
    ),
  );
  if (outcomes.some((outcome) => outcome !== 'done')) throw new Error('A post failed.');
}

await post(warmUp);
const cpu = process.cpuUsage();
const start = performance.now();
await post(counted);
const { user, system } = process.cpuUsage(cpu);
process.send?.({ cpu: (user + system) / 1_000 / counted, ms: (performance.now() - start) / counted });
process.once('disconnect', () => process.exit());
