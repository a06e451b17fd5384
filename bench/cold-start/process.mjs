import { writeFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

/*
 * A fresh execution environment: loads a function as Lambda does (INIT, at full speed), joins the control group that has the
 * function's share of a processor, invokes it, and writes to file descriptor 3 what that took. Not in TypeScript, so that Node has
 * loaded nothing before that the function would have to load.
 *
 * Arguments: bundle; event as JSON, in which %N% stands for the number of the invocation; the control group's file (or nothing); how many
 * more times to invoke the function.
 */

const [file = '', event = '{}', procs, more = '0'] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const context = { functionName: 'bench', awsRequestId: 'bench', getRemainingTimeInMillis: () => 30_000 };
const milliseconds = ({ user, system }) => (user + system) / 1_000;
/** The pause between invocations, in milliseconds: three periods of the quota. */
const PAUSE_MS = 60;

// As Lambda's JSON log format does it.
for (const level of ['info', 'warn', 'error'])
  console[level] = (message) => process.stdout.write(`${JSON.stringify({ level, message })}\n`);

const events = Array.from({ length: 1 + Number(more) }, (_, n) => JSON.parse(event.replaceAll('%N%', String(n))));
const cpu = process.cpuUsage();
const start = performance.now();
const { handler } = file.endsWith('.mjs') ? await import(file) : require(file);
const loaded = performance.now();
const loadCpu = milliseconds(process.cpuUsage(cpu));
if (procs) writeFileSync(procs, String(process.pid));
const results = [];
const invoke = async (each) => {
  const begin = performance.now();
  results.push(await handler(each, context));
  return performance.now() - begin;
};
const first = await invoke(events[0]);
const allCpu = milliseconds(process.cpuUsage(cpu));
const warm = [];
for (const each of events.slice(1)) {
  await sleep(PAUSE_MS);
  warm.push(await invoke(each));
}
const memory = process.resourceUsage().maxRSS / 1_024;
writeSync(3, JSON.stringify({ load: loaded - start, invoke: first, cpu: allCpu, loadCpu, warm, memory, results }));
// What is still open, such as a connection that would be used again, is not waited for.
process.exit();
