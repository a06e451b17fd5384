import { join, relative, resolve } from 'node:path';
import { parseCommandLine, UsageError } from './command-line.ts';
import { JavaError } from './dynamodb.ts';
import { readEndpoints, removeEndpoints, STATE_DIRECTORY, writeEndpoints } from './endpoints.ts';
import { FolderError, makeFolder } from './folder.ts';
import { requestToken } from './iams.ts';
import { PortError } from './listen.ts';
import { openLog } from './log.ts';
import { type LocalStack, startStack } from './stack.ts';

const HELP = `Usage: npm start -- [options]

Runs the whole system on this machine until Ctrl-C: the synthesized CDK app, served on DynamoDB Local, an S3 server and a
local IAMS. Nothing leaves this machine, and no AWS account is needed.

Options:
  --port PORT      port of the HTTP API, 0 for any free one (default: 4000, or a free one when that is taken)
  --data DIR       keep rooms and files in DIR, for one stack at a time (default: in memory; gone when the stack ends)
  --state-dir DIR  where to write endpoints.json and the log (default: .local)
  --verbose        show the log of gateway and functions here too
  --help           print this help
`;

const { signal, abort } = shutdownSignal();

async function main(): Promise<void> {
  const { values } = parseCommandLine(
    {
      options: {
        port: { type: 'string' },
        data: { type: 'string' },
        'state-dir': { type: 'string' },
        verbose: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    },
    '"npm start -- --help"',
  );
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const port = portOf(values.port);
  const stateDirectory = resolve(values['state-dir'] ?? STATE_DIRECTORY);
  const dataDirectory = values.data === undefined ? undefined : resolve(values.data);
  await makeFolder('--state-dir', stateDirectory);
  if (dataDirectory !== undefined) await makeFolder('--data', dataDirectory);
  const logPath = join(stateDirectory, 'log');
  const echo = values.verbose ? (line: string) => process.stderr.write(`${line}\n`) : undefined;

  const started = performance.now();
  const elapsed = (): string => `${((performance.now() - started) / 1_000).toFixed(1).padStart(4)} s`;
  const progress = (step: string): void => console.log(`${elapsed()}  ${step}`);

  const other = await readEndpoints(stateDirectory);
  if (other)
    progress(
      `Another local stack is running (process ${other.pid}, ${other.http}); once it is ready, this one takes its place in ${shortPath(stateDirectory)}`,
    );
  const logFile = await openLog(logPath, { keep: other !== undefined, echo });
  let stack: LocalStack | undefined;
  try {
    stack = await startStack({
      port,
      dataDirectory,
      log: logFile.log,
      progress,
      signal,
      onFailure: (reason) => {
        console.error(reason);
        process.exitCode = 1;
        abort();
      },
    });
    await writeEndpoints({ http: stack.http, ws: stack.ws, issuer: stack.issuer, pid: process.pid }, stateDirectory);
    progress('Ready');
    console.log(await welcome(stack, dataDirectory, logPath));
    await aborted(signal);
    console.log('\nStopping');
  } catch (error) {
    // A start that was interrupted has not failed.
    if (!signal.aborted) throw error;
  } finally {
    await removeEndpoints(stateDirectory);
    await stack?.close();
    await logFile.close();
  }
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new UsageError(`--port must be a number from 0 to 65535, not ${JSON.stringify(text)}.`);
  return port;
}

const shortPath = (path: string): string => relative(process.cwd(), path) || '.';

async function welcome(stack: LocalStack, dataDirectory: string | undefined, logPath: string): Promise<string> {
  const token = await requestToken(stack.issuer, 'alice');
  return `
  Web client     ${stack.http}
  HTTP API       ${stack.http}
  WebSocket API  ${stack.ws}
  API reference  ${stack.http}/docs
  Events         ${stack.http}/_local/events
  IAMS           ${stack.issuer}
  S3             ${stack.s3}
  DynamoDB       ${stack.dynamodb}
  Data           ${dataDirectory ? shortPath(dataDirectory) : 'in memory (keep it with --data DIR)'}
  Log            ${shortPath(logPath)}

Create a room, as the user alice:

curl -sS -w '\\n' -X POST ${stack.http}/room -H 'content-type: application/json' -d '{"name":"Stand-up","participant_ids":["bob"]}' -H 'authorization: Bearer ${token}'

Then:
  ${`open ${stack.http}`.padEnd(36)}rooms in the browser; be somebody else in a second tab
  ${`open ${stack.http}/docs`.padEnd(36)}every endpoint, to read and to try
  ${'npm run -s token -- bob'.padEnd(36)}an access token of another user
  ${'npm run demo'.padEnd(36)}two users, from creating a room to its end

Ctrl-C stops everything.`;
}

/** Aborted by Ctrl-C or SIGTERM, by the end of the npm that runs this, or by `abort`. */
function shutdownSignal(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  // They come more than once: Ctrl-C reaches this process directly and through npm.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, abort);
  // Between npm and this process there may be a shell that passes no signals on.
  if (process.env.npm_lifecycle_event !== undefined) {
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) abort();
    }, 500).unref();
  }
  return { signal: controller.signal, abort };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

try {
  await main();
} catch (error) {
  const forUser = [UsageError, PortError, JavaError, FolderError].some((kind) => error instanceof kind);
  console.error(forUser && error instanceof Error ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
