import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { ERRORS, type ErrorCode } from '../../core/contract/errors.ts';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** What is done with one request. */
export type Reaction = (response: ServerResponse, request: Received) => void;

export interface ScriptedServer {
  readonly url: string;
  /** Requests so far. */
  readonly received: Received[];
  /** What is done with the next requests, one each; with those after the last of them, the last one again. */
  play(...reactions: Reaction[]): void;
  close(): Promise<void>;
}

const SENT_AT = '2026-03-02T09:05:00.125Z';

const answer =
  (status: number, body: object | string, headers: Record<string, string> = {}): Reaction =>
  (response) =>
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body));

/** The contract's answer to what went well. */
export const success = (data: unknown, next_cursor?: string | null): Reaction =>
  answer(200, {
    data,
    ...(next_cursor !== undefined && { page: { size: Array.isArray(data) ? data.length : 0, next_cursor } }),
    sent_at: SENT_AT,
  });

/** The contract's answer to what did not. */
export const failure = (code: ErrorCode, headers: Record<string, string> = {}, ...faults: object[]): Reaction => {
  const { status, message } = ERRORS[code];
  const errors = (faults.length > 0 ? faults : [{ message }]).map((fault) => ({ code, ...fault }));
  return answer(status, { message, errors, sent_at: SENT_AT }, headers);
};

/** What API Gateway answers by itself. */
export const gateway = (status: number, message: string): Reaction => answer(status, { message });

/** Anything else. */
export const other = answer;

/** Ends the connection without an answer. */
export const hangUp: Reaction = (response) => void response.socket?.destroy();

/** Never answers. */
export const silence: Reaction = () => {};

async function receive(request: IncomingMessage): Promise<Received> {
  const body = await text(request);
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    body: body && JSON.parse(body),
  };
}

export async function startScriptedServer(): Promise<ScriptedServer> {
  const received: Received[] = [];
  let reactions: Reaction[] = [];
  const server = createServer(async (request, response) => {
    const one = await receive(request);
    received.push(one);
    const reaction = reactions.length > 1 ? reactions.shift() : reactions[0];
    if (reaction) reaction(response, one);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    play(...next) {
      reactions = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
