import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatWithOptions } from 'node:util';
import { parentPort } from 'node:worker_threads';

/*
 * An execution environment of one function in a worker thread. Like Lambda's Node.js runtime, it finds the handler by
 * environment variables, and handles one invocation after the other.
 */

/** A message to the worker: an invocation. Events and results are JSON text, as in Lambda. */
export interface Invocation {
  readonly requestId: string;
  readonly event: string;
  /** When the function times out, in epoch milliseconds. */
  readonly deadline: number;
}

/** A message from the worker: "ready", or the outcome of an invocation or of the start. */
export type Report = { readonly kind: 'ready' } | { readonly kind: 'result' | 'error'; readonly payload: string };

const port = parentPort;
if (!port) throw new Error('This file runs in a worker thread; see lambda.ts.');
const report = (message: Report): void => port.postMessage(message);
const { env } = process;
let currentRequestId: string | undefined;

/** Makes the console print records in Lambda's JSON log format. If the only argument is an object, it becomes the message. */
function logJson(): void {
  const levels = { debug: 'DEBUG', log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', trace: 'TRACE' } as const;
  for (const [method, level] of Object.entries(levels)) {
    const write = (...args: unknown[]): void => {
      const [first] = args;
      const message =
        args.length === 1 && typeof first === 'object' && !(first instanceof Error)
          ? first
          : formatWithOptions({ colors: false }, ...args);
      const record = { timestamp: new Date().toISOString(), level, requestId: currentRequestId, message };
      process.stdout.write(`${JSON.stringify(record)}\n`);
    };
    Object.assign(console, { [method]: write });
  }
}

type Handler = (event: unknown, context: object) => unknown;
const isHandler = (value: unknown): value is Handler => typeof value === 'function';

/** Loads the handler. Its name consists of a file without extension and an export, such as `index.handler`. */
async function loadHandler(): Promise<Handler> {
  const root = env.LAMBDA_TASK_ROOT ?? '';
  const name = env._HANDLER ?? '';
  const dot = name.lastIndexOf('.');
  const base = join(root, name.slice(0, dot));
  const file = ['.js', '.mjs', '.cjs'].map((extension) => base + extension).find(existsSync);
  if (!file) throw new Error(`Cannot find module '${name.slice(0, dot)}' in ${root}`);
  const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(file).href);
  const handler = module[name.slice(dot + 1)];
  if (!isHandler(handler)) throw new Error(`${name} is undefined or not exported`);
  return handler;
}

const contextOf = ({ requestId, deadline }: Invocation): object => ({
  awsRequestId: requestId,
  callbackWaitsForEmptyEventLoop: true,
  functionName: env.AWS_LAMBDA_FUNCTION_NAME,
  functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
  memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
  logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
  logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  invokedFunctionArn: env.ROOMS_LOCAL_FUNCTION_ARN,
  getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
});

const errorJson = (error: unknown): string =>
  JSON.stringify(
    error instanceof Error
      ? { errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') ?? [] }
      : { errorType: typeof error, errorMessage: String(error), trace: [] },
  );

if (env.AWS_LAMBDA_LOG_FORMAT === 'JSON') logJson();
try {
  const handler = await loadHandler();
  port.on('message', async (invocation: Invocation) => {
    currentRequestId = invocation.requestId;
    try {
      const result = await handler(JSON.parse(invocation.event), contextOf(invocation));
      report({ kind: 'result', payload: JSON.stringify(result) ?? 'null' });
    } catch (error) {
      report({ kind: 'error', payload: errorJson(error) });
    }
  });
  report({ kind: 'ready' });
} catch (error) {
  report({ kind: 'error', payload: errorJson(error) });
}
