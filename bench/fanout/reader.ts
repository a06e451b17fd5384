import { createRequire } from 'node:module';

/*
 * An execution environment of deliver-messages in a separate process. Loads the deployed bundle, and invokes it as
 * Lambda does. Exits at the function's time-out. The argument is the path of the bundle.
 */

type Handler = (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<unknown>;
const { handler }: { handler: Handler } = createRequire(import.meta.url)(process.argv[2] ?? '');

process.on('message', async ({ event, timeoutMs }: { event: unknown; timeoutMs: number }) => {
  const begin = performance.now();
  const began = Date.now();
  const cpu = process.cpuUsage();
  const timer = setTimeout(() => {
    process.send?.({ result: 'timed out', began, ms: timeoutMs, cpu: 0 });
    process.exit();
  }, timeoutMs);
  const result = await handler(event, { getRemainingTimeInMillis: () => timeoutMs - (performance.now() - begin) });
  clearTimeout(timer);
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({ result, began, ms: performance.now() - begin, cpu: (user + system) / 1_000 });
});
process.once('disconnect', () => process.exit());
process.send?.({ ready: true });
