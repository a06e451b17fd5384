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

/** How long INIT waits for connections, in milliseconds. A function without them works; its first request opens its own. */
const MAX_WAIT_MS = 300;

/** The user that made-up requests are from. */
export const REHEARSING_USER = 'rehearsal';

/** The connections of one client that a rehearsal opens: as many as it has requests at the same time. */
interface Connections {
  /** Requests that are waiting for an answer. */
  pending: number;
  readonly opened: Promise<void>[];
}

interface Rehearsal {
  readonly signal: AbortSignal;
  readonly clients: Map<object, Connections>;
}

const rehearsal = new AsyncLocalStorage<Rehearsal>();

/** Returns whether the code runs for a made-up request, which is neither logged nor counted. */
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

/** A failure in INIT repeats in the first request, which reports it to its caller. Here, a log line is enough. */
const report = (error: unknown): void => console.warn({ action: 'prime', error: describeError(error) });

/**
 * Lets a client's request take part in a rehearsal, which does not send it. Instead, a connection is opened, unless
 * the client has an unused one.
 *
 * @param connect opens a connection, which the client keeps for its next request
 * @returns false outside a rehearsal: the caller must send the request
 */
export async function rehearsed(client: object, connect: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  const current = rehearsal.getStore();
  if (!current) return false;
  const connections = current.clients.get(client) ?? { pending: 0, opened: [] };
  current.clients.set(client, connections);
  connections.pending++;
  if (connections.pending > connections.opened.length)
    connections.opened.push(connect(current.signal).then(() => undefined, report));
  // Requests that are sent together are counted together.
  await setImmediate();
  connections.pending--;
  return true;
}

/** Opens a connection of a client of the SDK: asks for the service's health page, which anyone may read. */
async function connect(handler: Handler, { protocol, hostname, port }: HttpRequest, signal: AbortSignal) {
  const request = { protocol, hostname, ...(port && { port }), method: 'GET', path: '/', headers: {}, query: {} };
  const { response } = await handler.handle(request, { abortSignal: signal });
  const { body } = response;
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
    for await (const _ of body as AsyncIterable<unknown>);
}

/**
 * Lets a client of the SDK take part in rehearsals.
 *
 * @param answer the answer of the service to an operation, such as `GetItem`, and its input, both as JSON text
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
 * Runs a handler once with a made-up event.
 *
 * @returns what the handler answered, and how many connections were opened
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
 * Does work while Lambda loads the function. Elsewhere, nothing happens.
 *
 * @returns when the function may take its first request: after 300 ms at most, and never with a failure
 */
export const inInit = (work: () => Promise<unknown>): Promise<void> | undefined =>
  process.env.AWS_LAMBDA_INITIALIZATION_TYPE
    ? Promise.race([work().then(() => undefined, report), sleep(MAX_WAIT_MS)])
    : undefined;

/** A handler, and when the function may take its first request: see start.mjs in lib/bundle.ts. */
export type Primed<H> = H & { readonly ready: Promise<void> | undefined };

/**
 * Primes a handler while Lambda loads it.
 *
 * @param handler the handler of the function
 * @param event makes a valid event
 * @returns the handler
 */
export const primed = <Event, H extends (event: Event, context: Context) => Promise<unknown>>(
  handler: H,
  event: () => Event,
): Primed<H> => Object.assign(handler, { ready: inInit(async () => rehearse(handler, event())) });
