import { writeFileSync, writeSync } from 'node:fs';
import { createRequire, enableCompileCache } from 'node:module';

/*
 * A fresh execution environment: loads a function as Lambda does (INIT, at full speed), joins the control group that has the
 * function's share of a processor, invokes it once, and writes to file descriptor 3 what that took. Not in TypeScript, so that Node has
 * loaded nothing before that the function would have to load.
 * Arguments: bundle, event as JSON, the control group's file (or nothing), and the folder of a compile cache (or nothing).
 */

const [file = '', event = '{}', procs, cache] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const context = { functionName: 'bench', awsRequestId: 'bench', getRemainingTimeInMillis: () => 10_000 };
const milliseconds = ({ user, system }) => (user + system) / 1_000;

// As Lambda's JSON log format does it.
console.info = (message) => process.stdout.write(`${JSON.stringify({ level: 'INFO', message })}\n`);

const parsed = JSON.parse(event);
const cpu = process.cpuUsage();
const start = performance.now();
if (cache) enableCompileCache(cache);
const { handler } = file.endsWith('.mjs') ? await import(file) : require(file);
const loaded = performance.now();
const loadedCpu = milliseconds(process.cpuUsage(cpu));
if (procs) writeFileSync(procs, String(process.pid));
const invoked = performance.now();
const result = await handler(parsed, context);
const end = performance.now();
const times = {
  load: loaded - start,
  invoke: end - invoked,
  cpu: milliseconds(process.cpuUsage(cpu)),
  loadCpu: loadedCpu,
};
writeSync(3, JSON.stringify({ ...times, status: result?.statusCode ?? 0 }));
// What is still open, such as a connection that would be used again, is not waited for.
process.exit();
