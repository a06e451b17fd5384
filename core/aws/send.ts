import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { rehearsed } from './prime.ts';
import { statusOf } from './status-of.ts';

/*
 * Requests to AWS without the SDK: for posts to connections, which are sent by the thousand and of whose processor time the SDK takes 60 %,
 * and for S3, whose client would double the size of a bundle. See docs/decisions/0015-requests-without-the-sdk.md.
 */

/** The service answered with an error. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  /** As errors of the SDK have it. */
  readonly $metadata: { readonly httpStatusCode: number };
  constructor(status: number, text: string) {
    super(`${status} ${text.slice(0, 200)}`.trim());
    this.$metadata = { httpStatusCode: status };
  }
}

/** The service has not answered in time. It may have done what it was asked. */
export class NoAnswerError extends Error {
  /** As the SDK calls it. */
  override readonly name = 'TimeoutError';
}

export interface Sent {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal | undefined;
  /** How long the whole answer may take, in milliseconds. */
  readonly timeoutMs: number;
}

export interface SenderOptions {
  /** Requests that are under way at the same time. One more waits for a connection, and its time-outs run. */
  readonly maxSockets: number;
  readonly connectionTimeoutMs: number;
}

const NOTHING = new Uint8Array();

/**
 * Returns a function that sends a request and resolves once it has been answered with success. In a rehearsal, it opens a connection instead.
 */
export function sender({ maxSockets, connectionTimeoutMs }: SenderOptions): (request: Sent) => Promise<void> {
  const agents = {
    'http:': new HttpAgent({ keepAlive: true, maxSockets }),
    'https:': new HttpsAgent({ keepAlive: true, maxSockets }),
  };

  async function send({ method, url, headers = {}, body = NOTHING, signal, timeoutMs }: Sent): Promise<void> {
    const { protocol, hostname, port, pathname, search } = url;
    const options = { method, hostname, port, path: pathname + search, headers, ...(signal && { signal }) };
    const request =
      protocol === 'http:'
        ? httpRequest({ ...options, agent: agents['http:'] })
        : httpsRequest({ ...options, agent: agents['https:'] });
    const endConnecting = limitConnecting(request, connectionTimeoutMs);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      request.destroy();
    }, timeoutMs);
    try {
      await answerTo(request, body);
    } catch (error) {
      throw late ? new NoAnswerError(`No answer in ${timeoutMs} ms.`) : error;
    } finally {
      clearTimeout(timer);
      endConnecting();
    }
  }

  /** Opens a connection, which is kept whatever the service answers. */
  const connect = async ({ url, timeoutMs }: Sent, signal: AbortSignal): Promise<void> => {
    try {
      await send({ method: 'GET', url: new URL('/', url), signal, timeoutMs });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
  };

  /** @throws {@link ServiceError}, {@link NoAnswerError}, or what the network fails with */
  return async (request) => {
    if (!(await rehearsed(agents, (signal) => connect(request, signal)))) await send(request);
  };
}

/** Ends a request that gets no connection in time. Returns a function that ends this limit. */
function limitConnecting(request: ClientRequest, milliseconds: number): () => void {
  const timer = setTimeout(() => request.destroy(new Error(`No connection in ${milliseconds} ms.`)), milliseconds);
  const end = () => clearTimeout(timer);
  request.once('socket', (socket) => {
    if (socket.connecting) socket.once('connect', end);
    else end();
  });
  return end;
}

/** Sends the body, and waits for the whole answer. */
const answerTo = (request: ClientRequest, body: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      const { statusCode = 0 } = response;
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('error', reject);
      response.once('end', () => {
        if (statusCode >= 200 && statusCode < 300) resolve();
        else reject(new ServiceError(statusCode, Buffer.concat(parts).toString()));
      });
    });
    request.end(body);
  });

/** Waits. Ends early when the signal aborts: then the next attempt fails at once. */
const wait = (milliseconds: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end);
  });

/**
 * Makes several attempts at each request, unless it was refused (4xx, but not 429) or its signal has aborted.
 *
 * @param waitMs how long to wait after an attempt, by its number from 1 on
 */
export function retried(
  send: (request: Sent) => Promise<void>,
  { attempts, waitMs }: { readonly attempts: number; readonly waitMs: (attempt: number) => number },
): (request: Sent) => Promise<void> {
  return async (request) => {
    for (let attempt = 1; ; attempt++)
      try {
        return await send(request);
      } catch (error) {
        const status = statusOf(error) ?? 500;
        const isRefused = status < 500 && status !== 429;
        if (isRefused || request.signal?.aborted || attempt === attempts) throw error;
        await wait(waitMs(attempt), request.signal);
      }
  };
}
