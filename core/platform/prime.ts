import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { describeError } from './log.ts';

/*
 * Moves the work of a function's first request into its INIT phase: see docs/decisions/0013-prime-in-init.md.
 *
 * While Lambda loads the function, the handler is run once with a made-up request. Its requests to the table are signed and serialized
 * like any other, but answered here; only connections are opened. So it reads and writes nothing and needs no permission.
 */

/**
 * The maximum wait for connections in INIT, in milliseconds. A function without connections works: its first request
 * opens them.
 */
const MAX_WAIT_MS = 300;

/** The user of rehearsal requests. */
export const REHEARSING_USER = 'rehearsal';

/** Counts the connections of one client that a rehearsal opens: one per simultaneous request. */
interface Connections {
  /** Requests that wait for a response. */
  pending: number;
  readonly opened: Promise<void>[];
}

interface Rehearsal {
  readonly signal: AbortSignal;
  readonly clients: Map<object, Connections>;
}

const rehearsal = new AsyncLocalStorage<Rehearsal>();

/** Returns whether the code runs in a rehearsal, which must not log or count. */
export const isRehearsal = (): boolean => rehearsal.getStore() !== undefined;

interface HttpRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface HttpAnswer {
  readonly response: {
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: unknown;
  };
}

const textOf = (body: unknown): string => (body instanceof Uint8Array ? new TextDecoder().decode(body) : String(body));

interface Handler {
  handle(request: HttpRequest, options?: { abortSignal?: AbortSignal }): Promise<HttpAnswer>;
}

/** If a failure in INIT persists, the first request reports it to its caller. Here, a log line is enough. */
const report = (error: unknown): void => console.warn({ action: 'prime', error: describeError(error) });

/**
 * Handles a client's request in a rehearsal: opens a connection instead of sending the request, unless an unused
 * connection exists.
 *
 * @param connect opens a connection, which the client keeps for its next request
 * @returns false outside of a rehearsal: the caller must send the request
 */
export async function rehearsed(client: object, connect: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  const current = rehearsal.getStore();
  if (!current) return false;
  const connections = current.clients.get(client) ?? { pending: 0, opened: [] };
  current.clients.set(client, connections);
  connections.pending++;
  if (connections.pending > connections.opened.length)
    connections.opened.push(connect(current.signal).then(() => undefined, report));
  // Simultaneous requests are counted together.
  await setImmediate();
  connections.pending--;
  return true;
}

/** Opens a connection of an SDK client by requesting the service's public health page. */
async function connect(handler: Handler, { protocol, hostname, port }: HttpRequest, signal: AbortSignal) {
  const request = { protocol, hostname, ...(port && { port }), method: 'GET', path: '/', headers: {}, query: {} };
  const { response } = await handler.handle(request, { abortSignal: signal });
  const { body } = response;
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
    for await (const _ of body as AsyncIterable<unknown>);
}

/**
 * Prepares an SDK client for rehearsals.
 *
 * @param answer returns the service's response to an operation, such as `GetItem`, and its input, both as JSON text
 * @returns the client
 */
export function rehearsable<C extends { readonly config: { readonly requestHandler: object } }>(
  client: C,
  answer: (operation: string, input: string) => string,
): C {
  const handler = client.config.requestHandler as Handler;
  const real: Handler = { handle: handler.handle.bind(handler) };
  handler.handle = async (request, options) => {
    if (!(await rehearsed(client, (signal) => connect(real, request, signal)))) return real.handle(request, options);
    const operation = request.headers['x-amz-target']?.split('.').at(-1) ?? '';
    const body = Buffer.from(answer(operation, textOf(request.body)));
    return { response: { statusCode: 200, headers: {}, body } };
  };
  return client;
}

const context: Context = {
  awsRequestId: 'rehearsal',
  callbackWaitsForEmptyEventLoop: false,
  functionName: process.env.AWS_LAMBDA_FUNCTION_NAME ?? '',
  functionVersion: '',
  invokedFunctionArn: '',
  memoryLimitInMB: '',
  logGroupName: '',
  logStreamName: '',
  getRemainingTimeInMillis: () => 60_000,
  done() {},
  fail() {},
  succeed() {},
};

/**
 * Runs a handler once with a rehearsal event.
 *
 * @returns the handler's result, and the number of opened connections
 * @throws as the handler does
 */
export async function rehearse<Event, Result>(
  handler: (event: Event, context: Context) => Promise<Result>,
  event: Event,
): Promise<{ result: Result; connections: number }> {
  const current: Rehearsal = { signal: AbortSignal.timeout(MAX_WAIT_MS), clients: new Map() };
  const result = await rehearsal.run(current, () => handler(event, context));
  const opened = [...current.clients.values()].flatMap((connections) => connections.opened);
  await Promise.all(opened);
  return { result, connections: opened.length };
}

/**
 * Runs `work` while Lambda loads the function. Does nothing outside of Lambda.
 *
 * @returns a promise that resolves when the function can take its first request: after at most 300 ms, even if `work`
 * fails
 */
export const inInit = (work: () => Promise<unknown>): Promise<void> | undefined =>
  process.env.AWS_LAMBDA_INITIALIZATION_TYPE
    ? Promise.race([work().then(() => undefined, report), sleep(MAX_WAIT_MS)])
    : undefined;

/** A handler, and a promise for when the function can take its first request: see start.mjs in lib/bundle.ts. */
export type Primed<H> = H & { readonly ready: Promise<void> | undefined };

/**
 * Primes a handler while Lambda loads it.
 *
 * @param handler the handler of the function
 * @param event returns a valid event
 * @returns the handler
 */
export const primed = <Event, H extends (event: Event, context: Context) => Promise<unknown>>(
  handler: H,
  event: () => Event,
): Primed<H> => Object.assign(handler, { ready: inInit(async () => rehearse(handler, event())) });
