import { writeFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

/*
 * A new execution environment. Loads a function at full speed, as Lambda does in INIT. Then joins the control group
 * with the function's CPU share, invokes the function, and writes the measurements to file descriptor 3. Plain
 * JavaScript, so that Node has loaded no other modules before.
 *
 * Arguments: bundle; event as JSON, in which %N% is replaced by the number of the invocation; the control group's file,
 * or an empty string; the number of additional invocations.
 */

const [file = '', event = '{}', procs, more = '0'] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const context = { functionName: 'bench', awsRequestId: 'bench', getRemainingTimeInMillis: () => 30_000 };
const milliseconds = ({ user, system }) => (user + system) / 1_000;
/** The pause between invocations, in milliseconds: three periods of the CPU quota. */
const PAUSE_MS = 60;

// Lambda's JSON log format.
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
// Exit without waiting for open handles, such as idle connections.
process.exit();
