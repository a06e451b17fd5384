import { postToConnection, requestPool } from '../../core/realtime/gateway.ts';

/*
 * A process that posts, and reports the duration of a warm post. Arguments: the number of warm-up posts, and of
 * measured posts.
 */

const [warmUp = 0, counted = 0] = process.argv.slice(2).map(Number);
/** The maximum of simultaneous posts of one room. */
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
