import { SignatureV4 } from '@smithy/signature-v4';
import { backoffMs } from '../platform/backoff.ts';
import { type Watch, wait } from '../platform/deadline.ts';
import { env } from '../platform/env.ts';
import { logError } from '../platform/log.ts';
import { sharedPool } from '../platform/pool.ts';
import { BrokenAnswerError, requestTo, type SendOptions, sender } from '../platform/send.ts';
import { statusOf } from '../platform/status-of.ts';
import { dynamodb } from '../store/client.ts';

/* The connection management endpoint of the WebSocket API, through which functions reach clients. */

/**
 * The maximum number of simultaneous requests of a process, over all rooms of a batch. The time-outs below start when a
 * request is sent, so no request may wait for a socket: see docs/decisions/0001-one-pool-and-marked-connections.md.
 */
export const REQUESTS_AT_ONCE = 200;
/**
 * The maximum at first. Each finished request adds one. The first requests of a process open sockets and run code that
 * is not compiled yet, which takes about 10 ms of CPU each. With 200 of them at once, requests would time out.
 */
const FIRST_REQUESTS_AT_ONCE = 25;

/** In milliseconds. A connection that accepts no frame within this time is disconnected. */
const POST_TIMEOUT_MS = 3_000;
const CLOSE_TIMEOUT_MS = 1_000;
const STATUS_TIMEOUT_MS = 1_000;
const CONNECTION_TIMEOUT_MS = 1_000;
const ATTEMPTS = 4;
/**
 * Throttling is independent of the connection: all posts of an account share a quota, which a few large rooms can
 * exhaust for a second or two. The waits between these attempts add up to 2 seconds on average.
 */
const THROTTLED_ATTEMPTS = 12;

/** The code of the handler's `requestTimeout`; `connectionTimeout` and closed sockets have other codes, or none. */
const NO_ANSWER = 'ETIMEDOUT';

const send = sender({
  connectionTimeout: CONNECTION_TIMEOUT_MS,
  requestTimeout: POST_TIMEOUT_MS,
  // For responses whose body breaks off.
  socketTimeout: POST_TIMEOUT_MS,
  throwOnRequestTimeout: true,
  httpAgent: { keepAlive: true, maxSockets: REQUESTS_AT_ONCE },
  httpsAgent: { keepAlive: true, maxSockets: REQUESTS_AT_ONCE },
});

// Uses the credentials, region and hash of the DynamoDB client.
const { credentials, region, sha256 } = dynamodb.config;
const signer = new SignatureV4({ service: 'execute-api', credentials, region, sha256 });

/** Signs and sends a request about a connection. */
async function request(method: 'GET' | 'POST' | 'DELETE', connection_id: string, options: SendOptions, frame = '') {
  const url = `${env('CALLBACK_URL')}/@connections/${encodeURIComponent(connection_id)}`;
  return send(await signer.sign(requestTo(method, url, Buffer.from(frame))), options);
}

/**
 * Returns a group of the pool for all requests to the gateway and their follow-up work. Each room has its own group.
 */
export const requestPool = sharedPool(REQUESTS_AT_ONCE, FIRST_REQUESTS_AT_ONCE);

/** `gone`: the connection no longer exists (410). `failed`: all attempts failed, or the caller's time was over. */
export type Outcome = 'done' | 'gone' | 'failed';
/** `unanswered`: the post timed out. */
export type PostOutcome = Outcome | 'unanswered';

/** Returns whether the gateway may have processed the request although it failed. */
const mayBeDone = (error: unknown): boolean =>
  error instanceof BrokenAnswerError || (error instanceof Error && 'code' in error && error.code === NO_ANSWER);

/**
 * Returns whether another attempt may succeed. Without a status, the network failed: a function that was frozen finds
 * its sockets closed, and opening a hundred sockets takes a new function some time.
 */
function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || status === 429 || status >= 500;
}

/** A request was aborted. There may be many at the same time, so their log lines have no stack. */
class GivenUpError extends Error {
  override readonly name = 'AbortError';
  constructor() {
    super('The time for this request is over.');
    delete this.stack;
  }
}

/** Sends a request until it succeeds, fails permanently, or `signal` aborts. Never throws. */
async function attempt(
  about: { readonly action: 'post' | 'close' | 'status'; readonly connection_id: string },
  send: () => Promise<unknown>,
  mayRetry: (error: unknown) => boolean,
  signal: AbortSignal,
): Promise<PostOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      await send();
      return 'done';
    } catch (error) {
      const status = statusOf(error);
      if (status === 410) return 'gone';
      const attempts = status === 429 ? THROTTLED_ATTEMPTS : ATTEMPTS;
      if (signal.aborted || !mayRetry(error) || attempt >= attempts) {
        logError({ ...about, attempt }, signal.aborted ? new GivenUpError() : error);
        return mayBeDone(error) ? 'unanswered' : 'failed';
      }
      await wait(backoffMs(attempt), signal);
      if (signal.aborted) return 'failed';
    }
  }
}

/** Like `attempt`, for requests that can be repeated after a time-out. */
async function attemptSafely(...args: Parameters<typeof attempt>): Promise<Outcome> {
  const outcome = await attempt(...args);
  return outcome === 'unanswered' ? 'failed' : outcome;
}

const unwatched: Watch = (request) => request();

/**
 * Posts one frame. Retries after throttling and server errors, but not after a time-out, because the connection may
 * have received the frame. Never throws.
 */
export const postToConnection = (
  connection_id: string,
  frame: string,
  signal: AbortSignal,
  watch = unwatched,
): Promise<PostOutcome> =>
  attempt(
    { action: 'post', connection_id },
    () => watch(() => request('POST', connection_id, { abortSignal: signal }, frame)),
    (error) => isTransient(error) && !mayBeDone(error),
    signal,
  );

/**
 * Closes a connection. Retries like a post, and also after time-outs, because closing twice is harmless. Never throws.
 */
export const deleteConnection = (connection_id: string, signal: AbortSignal, watch = unwatched): Promise<Outcome> =>
  attemptSafely(
    { action: 'close', connection_id },
    () => watch(() => request('DELETE', connection_id, { abortSignal: signal, requestTimeout: CLOSE_TIMEOUT_MS })),
    isTransient,
    signal,
  );

/** `unknown`: API Gateway gave no answer. */
export type ConnectionStatus = 'open' | 'gone' | 'unknown';

const STATUS_OF = { done: 'open', gone: 'gone', failed: 'unknown' } as const;

/** Asks API Gateway whether a connection exists. Retries like a close. Never throws. */
export const connectionStatus = async (connection_id: string, signal: AbortSignal): Promise<ConnectionStatus> =>
  STATUS_OF[
    await attemptSafely(
      { action: 'status', connection_id },
      () => request('GET', connection_id, { abortSignal: signal, requestTimeout: STATUS_TIMEOUT_MS }),
      isTransient,
      signal,
    )
  ];
