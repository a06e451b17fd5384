import { writeSync } from 'node:fs';
import { createRequire, enableCompileCache } from 'node:module';

/*
 * A fresh execution environment: loads a function as Lambda does, invokes it once, and writes to file descriptor 3 what that
 * took. Not in TypeScript, so that Node has loaded nothing before that the function would have to load.
 * Arguments: bundle, event as JSON, and the folder of a compile cache, if any.
 */

const [file = '', event = '{}', cache] = process.argv.slice(2);
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
const result = await handler(parsed, context);
const end = performance.now();
const times = {
  load: loaded - start,
  invoke: end - loaded,
  cpu: milliseconds(process.cpuUsage(cpu)),
  loadCpu: loadedCpu,
};
writeSync(3, JSON.stringify({ ...times, status: result?.statusCode ?? 0 }));
// What is still open, such as a connection that would be used again, is not waited for.
process.exit();
