import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  CreateTableCommand,
  type DynamoDBClient,
  ResourceInUseException,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import { onExit } from 'signal-exit';
import * as v from 'valibot';
import { findPort, HOST, PortError } from '../listen.ts';

/** Thrown if Java cannot run DynamoDB Local. Its message is for the user. */
export class JavaError extends Error {}

const NEED_JAVA =
  'DynamoDB Local needs Java 17 or newer. Install it (Debian and Ubuntu: sudo apt install default-jre-headless; ' +
  'macOS: brew install openjdk; others: https://adoptium.net) and check that "java -version" works.';

const START_MS = 60_000;
/** Maximum wait for a requested port, in milliseconds. The process of a killed stack can still use it for a moment. */
const PORT_FREE_MS = 5_000;

const CONFIGURATION = fileURLToPath(new URL('server.xml', import.meta.url));

/** Between finding a free port and binding it, another program can take it. */
const ANY_PORT_ATTEMPTS = 5;

export interface DynamoDbLocal {
  readonly url: string;
  readonly port: number;
  /** The Java process. */
  readonly pid: number;
  close(): Promise<void>;
}

/**
 * Starts DynamoDB Local on the loopback interface and waits until it responds. Its process also ends if this process
 * is killed.
 *
 * @param port 0 for any free port
 * @param directory the data folder; without one, data is in memory
 * @param databasePerRegion whether each region has its own database. Default: one for all regions
 * @param onExit called when it ends without `close`
 * @param attempts how many free ports are tried. Default: 5
 * @throws JavaError, PortError
 */
export async function startDynamoDb(
  options: {
    port: number;
    directory?: string | undefined;
    databasePerRegion?: boolean;
    onExit?: (reason: string) => void;
  },
  attempts = ANY_PORT_ATTEMPTS,
): Promise<DynamoDbLocal> {
  const port = await freePort(options.port);
  // Only this folder of the package is used; `overrides` in package.json omits its other dependencies.
  const emulator = join(
    dirname(createRequire(import.meta.url).resolve('amplify-dynamodb-simulator/package.json')),
    'emulator',
  );
  const directory = options.directory && resolve(options.directory);
  if (directory) await mkdir(directory, { recursive: true });
  // Identifies this instance: another DynamoDB Local that starts at the same time could respond on this port.
  const origin = `http://${randomUUID()}.localhost`;
  const { JAVA_HOME } = process.env;
  const child = spawn(
    JAVA_HOME ? join(JAVA_HOME, 'bin', 'java') : 'java',
    [
      '-XX:TieredStopAtLevel=1',
      '-Djava.library.path=./DynamoDBLocal_lib',
      '-Djava.net.preferIPv4Stack=true',
      ...['-Dorg.eclipse.jetty.util.log.announce=false', '-Dorg.eclipse.jetty.LEVEL=WARN'],
      ...['-cp', 'DynamoDBLocal.jar', 'org.eclipse.jetty.xml.XmlConfiguration', CONFIGURATION],
      ...[`host=${HOST}`, `port=${port}`, `cors=${origin}`],
      `sharedDb=${!options.databasePerRegion}`,
      ...(directory ? ['inMemory=false', `dbPath=${directory}`] : ['inMemory=true']),
    ],
    // A separate process group, so that Ctrl-C reaches only this process, which then stops Java.
    { cwd: emulator, stdio: ['pipe', 'ignore', 'pipe'], detached: true },
  );
  // Closing the pipe fails if the process has already ended.
  child.stdin.on('error', () => {});
  // Kills Java if this process ends without `close`.
  const hasEnded = onExit(() => void child.kill('SIGKILL'));
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaints = (complaints + chunk).slice(-2_000);
  });

  // The reason why the process has ended; undefined while it runs.
  let ended: Error | undefined;
  let closing = false;
  const end = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      hasEnded();
      ended =
        'code' in error && error.code === 'ENOENT'
          ? new JavaError(`There is no Java${JAVA_HOME ? ` in JAVA_HOME, ${JAVA_HOME}` : ''}. ${NEED_JAVA}`)
          : error;
      resolve();
    });
    child.once('close', (code, signal) => {
      hasEnded();
      ended ??= /UnsupportedClassVersionError|Unable to locate a Java Runtime/.test(complaints)
        ? new JavaError(`Java is missing or too old. ${NEED_JAVA}`)
        : new Error(`DynamoDB Local ended (${signal ?? `exit code ${code}`}). ${complaints.trim()}`);
      resolve();
    });
  });
  const close = async (): Promise<void> => {
    closing = true;
    child.kill();
    // Usually, Java ends within milliseconds.
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await end;
    clearTimeout(timer);
  };

  const url = `http://${HOST}:${port}`;
  const deadline = Date.now() + START_MS;
  while (!ended && !(await answers(url, origin))) {
    // Another program can take the port after it was found to be free.
    if (complaints.includes('Failed to bind')) {
      await close();
      if (options.port === 0 && attempts > 1) return startDynamoDb(options, attempts - 1);
      throw new PortError(`Port ${port} is taken by another program.`);
    }
    if (Date.now() > deadline) {
      await close();
      throw new Error(`DynamoDB Local did not respond within ${START_MS / 1_000} s. ${complaints.trim()}`);
    }
    await Promise.race([sleep(50), end]);
  }
  if (ended) {
    if (complaints.includes('Failed to bind')) throw new PortError(`Port ${port} is taken by another program.`);
    throw ended;
  }
  void end.then(() => {
    if (!closing) options.onExit?.(ended?.message ?? 'DynamoDB Local ended.');
  });
  return { url, port, pid: child.pid ?? 0, close };
}

async function freePort(port: number): Promise<number> {
  const deadline = Date.now() + PORT_FREE_MS;
  for (;;)
    try {
      return await findPort(port);
    } catch (error) {
      if (!(error instanceof PortError) || Date.now() > deadline) throw error;
      await sleep(100);
    }
}

async function answers(url: string, origin: string): Promise<boolean> {
  try {
    // Any response shows that it is running, even 400 for a request without a signature.
    const { headers } = await fetch(url, { headers: { origin }, signal: AbortSignal.timeout(1_000) });
    return headers.get('access-control-allow-origin') === origin;
  } catch {
    return false;
  }
}

const keySchema = v.array(v.object({ AttributeName: v.string(), KeyType: v.picklist(['HASH', 'RANGE']) }));

/** The properties of AWS::DynamoDB::Table that the local stack uses. */
export const tableProperties = v.object({
  TableName: v.optional(v.string()),
  AttributeDefinitions: v.array(v.object({ AttributeName: v.string(), AttributeType: v.picklist(['S', 'N', 'B']) })),
  KeySchema: keySchema,
  GlobalSecondaryIndexes: v.optional(
    v.array(
      v.object({
        IndexName: v.string(),
        KeySchema: keySchema,
        Projection: v.object({
          ProjectionType: v.picklist(['ALL', 'KEYS_ONLY', 'INCLUDE']),
          NonKeyAttributes: v.optional(v.array(v.string())),
        }),
      }),
    ),
  ),
  StreamSpecification: v.optional(
    v.object({ StreamViewType: v.picklist(['KEYS_ONLY', 'NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES']) }),
  ),
  TimeToLiveSpecification: v.optional(v.object({ AttributeName: v.string(), Enabled: v.boolean() })),
});

/** Creates a table from its template. An existing table of an earlier run is not changed. */
export async function createTable(
  client: DynamoDBClient,
  name: string,
  properties: v.InferOutput<typeof tableProperties>,
): Promise<void> {
  const { StreamSpecification: stream, TimeToLiveSpecification: timeToLive } = properties;
  try {
    await client.send(
      new CreateTableCommand({
        TableName: name,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: properties.AttributeDefinitions,
        KeySchema: properties.KeySchema,
        ...(properties.GlobalSecondaryIndexes && { GlobalSecondaryIndexes: properties.GlobalSecondaryIndexes }),
        ...(stream && { StreamSpecification: { StreamEnabled: true, StreamViewType: stream.StreamViewType } }),
      }),
    );
  } catch (error) {
    if (error instanceof ResourceInUseException) return;
    throw error;
  }
  if (timeToLive)
    await client.send(new UpdateTimeToLiveCommand({ TableName: name, TimeToLiveSpecification: timeToLive }));
}
