import type { Readable } from 'node:stream';
import { HttpRequest } from '@smithy/core/protocols';
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import type { HttpRequest as SentRequest } from '@smithy/types';
import { CLIENT_SETTINGS } from './client-settings.ts';
import { rehearsed } from './prime.ts';

/*
 * Sends requests to AWS with the SDK's HTTP handler, but without an SDK client. Used for posts to connections, because
 * there are thousands, and for S3, whose client would double the size of a bundle. Callers retry, this module does not.
 * See docs/decisions/0015-requests-without-clients.md.
 */

/** The service answered with an error. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  /** The same field as in errors of the SDK. */
  readonly $metadata: { readonly httpStatusCode: number };
  constructor(status: number, body: string) {
    super(`${status} ${body.slice(0, 200)}`.trim());
    this.$metadata = { httpStatusCode: status };
  }
}

/** The response broke off after its headers. The service may have processed the request. */
export class BrokenAnswerError extends Error {
  /** The SDK's name for a response that does not arrive in time. */
  override readonly name = 'TimeoutError';
}

/** Returns the request of a URL, with the headers that it needs. */
export function requestTo(method: string, url: string, body: Uint8Array = new Uint8Array()): SentRequest {
  const { protocol, host, hostname, port, pathname: path, searchParams } = new URL(url);
  const headers = { host, 'content-length': String(body.length) };
  const query = Object.fromEntries(searchParams);
  return { method, protocol, hostname, path, query, headers, body, ...(port && { port: Number(port) }) };
}

export interface SendOptions {
  readonly abortSignal?: AbortSignal;
  /** In milliseconds. Default: the sender's time limit. */
  readonly requestTimeout?: number;
}

type Send = (request: SentRequest, options?: SendOptions) => Promise<void>;

/**
 * Returns a function that sends a request, and resolves after a successful response. In a rehearsal, it opens a
 * connection instead.
 *
 * @throws {@link ServiceError}, {@link BrokenAnswerError}, or the handler's error: a `TimeoutError`, an `AbortError`,
 * or a network error
 */
export function sender(settings: NodeHttpHandlerOptions): Send {
  const handler = new NodeHttpHandler(settings);
  const send: Send = async (request, options = {}) => {
    const { response } = await handler.handle(new HttpRequest(request), options);
    const { statusCode }: { statusCode: number } = response;
    const body = await CLIENT_SETTINGS.streamCollector(response.body as Readable).catch((cause: unknown) => {
      throw new BrokenAnswerError('The answer broke off.', { cause });
    });
    if (statusCode >= 300) throw new ServiceError(statusCode, Buffer.from(body).toString());
  };
  /** Opens a connection, which stays open after any response. */
  const connect = async ({ protocol, hostname, port }: SentRequest, abortSignal: AbortSignal): Promise<void> => {
    try {
      const address = { protocol, hostname, ...(port !== undefined && { port }) };
      await send(new HttpRequest({ ...address, method: 'GET', path: '/' }), { abortSignal });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
  };
  return async (request, options) => {
    if (!(await rehearsed(handler, (signal) => connect(request, signal)))) await send(request, options);
  };
}
