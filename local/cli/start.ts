import { join, relative, resolve } from 'node:path';
import { parseCommandLine } from '../../tools/cli/command-line.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';
import { JavaError } from '../dynamodb/dynamodb-local.ts';
import { PortError } from '../listen.ts';
import { type LogFile, openLog } from '../log.ts';
import { type IdentityProvider, ProviderError } from '../oidc/identity-provider.ts';
import { CLIENT_ID, requestToken } from '../oidc/oidc-issuer.ts';
import { AUDIENCE, type LocalStack, startStack } from '../stack.ts';
import { folderOfStack, removeEndpoints, runningStacks, STATE_DIRECTORY, writeEndpoints } from './endpoints.ts';
import { FolderError, makeFolder } from './folder.ts';
import { DEFAULT_PORT, portOption } from './ports.ts';

const HELP = `Usage: npm start -- [options]

Runs the whole system on this machine until Ctrl-C: the synthesized CDK app with DynamoDB Local, an S3 server and a
local identity provider. Needs no AWS account, and sends nothing to other machines.

Options:
  --port PORT      port of the HTTP API; the next five are also used. 0: any free ports.
                   (default: 4000, or 4010, 4020 and so on while other stacks run; with --data, those of the last run)
  --data DIR       store rooms, files, keys and ports in DIR, for one stack at a time
                   (default: in memory, deleted when the stack ends)
  --issuer URL     accept the tokens of another identity provider, such as http://127.0.0.1:8180/realms/ucs,
                   and sign in there (docs/guides/keycloak.md; default: a local issuer without passwords)
  --audience NAME  with --issuer: accepted "aud" values, comma-separated (default: rooms)
  --client-id ID   with --issuer: client ID of the web client (default: rooms-web)
  --state-dir DIR  folder for PORT/endpoints.json and PORT/log (default: .local)
  --verbose        also print the log of the gateway and the functions
  --help           print this help
`;

const { signal, abort } = shutdownSignal();

async function main(): Promise<void> {
  const { values } = parseCommandLine(
    {
      options: {
        port: { type: 'string' },
        data: { type: 'string' },
        issuer: { type: 'string' },
        audience: { type: 'string' },
        'client-id': { type: 'string' },
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
  const port = portOption(values.port);
  const stateDirectory = resolve(values['state-dir'] ?? STATE_DIRECTORY);
  const dataDirectory = values.data === undefined ? undefined : resolve(values.data);
  const identityProvider = providerOption(values);
  await makeFolder('--state-dir', stateDirectory);
  if (dataDirectory !== undefined) await makeFolder('--data', dataDirectory);
  const echo = values.verbose ? (line: string) => process.stderr.write(`${line}\n`) : undefined;

  const started = performance.now();
  const elapsed = (): string => `${((performance.now() - started) / 1_000).toFixed(1).padStart(4)} s`;
  const progress = (step: string): void => console.log(`${elapsed()}  ${step}`);

  for (const { http, pid } of await runningStacks(stateDirectory))
    progress(`Another local stack is running at ${http} (process ${pid})`);
  let logFile: LogFile | undefined;
  let logPath = '';
  let stack: LocalStack | undefined;
  try {
    stack = await startStack({
      port,
      dataDirectory,
      identityProvider,
      async onPort(httpPort) {
        const folder = folderOfStack(stateDirectory, httpPort);
        await makeFolder('--state-dir', folder);
        logPath = join(folder, 'log');
        logFile = await openLog(logPath, { echo });
      },
      log: (source, text) => logFile?.log(source, text),
      progress,
      signal,
      onFailure: (reason) => {
        console.error(reason);
        process.exitCode = 1;
        abort();
      },
    });
    const { http, ws, issuer, dynamodb, aws } = stack;
    await writeEndpoints(
      { http, ws, issuer, issuerIsLocal: !identityProvider, dynamodb, aws, pid: process.pid },
      stateDirectory,
    );
    progress('Ready');
    console.log(await welcome(stack, identityProvider, dataDirectory, logPath));
    await aborted(signal);
    console.log('\nStopping');
  } catch (error) {
    // An interrupted start is not an error.
    if (!signal.aborted) throw error;
  } finally {
    if (stack) await removeEndpoints(stack, stateDirectory);
    await stack?.close();
    await logFile?.close();
  }
}

const shortPath = (path: string): string => relative(process.cwd(), path) || '.';

/** Parses `--issuer` and related options; returns undefined without it. */
function providerOption(values: {
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly 'client-id'?: string | undefined;
}): IdentityProvider | undefined {
  const { issuer, audience = AUDIENCE, 'client-id': clientId = CLIENT_ID } = values;
  if (issuer === undefined) {
    if (values.audience === undefined && values['client-id'] === undefined) return undefined;
    throw new UsageError('--audience and --client-id need --issuer.');
  }
  if (!URL.canParse(issuer) || !/^https?:/.test(issuer))
    throw new UsageError(`--issuer must be an http or https URL, not ${JSON.stringify(issuer)}.`);
  return { issuer, audience, clientId };
}

async function welcome(
  stack: LocalStack,
  identityProvider: IdentityProvider | undefined,
  dataDirectory: string | undefined,
  logPath: string,
): Promise<string> {
  const token = identityProvider ? '$TOKEN' : await requestToken(stack.issuer, 'alice');
  const bob = identityProvider ? '' : ',"participant_ids":["bob"]';
  const first = identityProvider
    ? `Create a room, with an access token of ${stack.issuer} in TOKEN:`
    : 'Create a room, as the user alice:';
  const { port } = new URL(stack.http);
  // Commands find the only running stack themselves. On other ports, there are likely to be several.
  const choice = Number(port) === DEFAULT_PORT ? '' : ` --port ${port}`;
  const ownIssuer = identityProvider
    ? ''
    : `  ${`npm run -s token -- bob${choice}`.padEnd(36)}an access token of another user
  ${`npm run demo${choice && ` --${choice}`}`.padEnd(36)}a demo with two users
`;
  return `
  Web client     ${stack.http}
  HTTP API       ${stack.http}
  WebSocket API  ${stack.ws}
  API reference  ${stack.http}/docs
  Events         ${stack.http}/_local/events
  Issuer         ${stack.issuer}
  S3             ${stack.s3}
  DynamoDB       ${stack.dynamodb}
  Data           ${dataDirectory ? shortPath(dataDirectory) : 'in memory (keep it with --data DIR)'}
  Log            ${shortPath(logPath)}

${first}

curl -sS -w '\\n' -X POST ${stack.http}/room -H 'content-type: application/json' -d '{"name":"Stand-up"${bob}}' -H "authorization: Bearer ${token}"

Then:
  ${`open ${stack.http}`.padEnd(36)}the web client; sign in as another user in a second tab
  ${`open ${stack.http}/docs`.padEnd(36)}the API reference, where you can try every endpoint
${ownIssuer}
Ctrl-C stops everything.`;
}

/** A signal that is aborted by Ctrl-C, by SIGTERM, when the parent npm process ends, or by `abort`. */
function shutdownSignal(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  // The process can get a signal twice, because Ctrl-C reaches it directly and through npm.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, abort);
  // A shell between npm and this process can swallow signals.
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
  const forUser = [UsageError, PortError, JavaError, FolderError, ProviderError].some((kind) => error instanceof kind);
  console.error(forUser && error instanceof Error ? error.message : error);
  if (error instanceof PortError) console.error('Choose other ports with --port.');
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
