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

/** Answers one request. */
export type Reaction = (response: ServerResponse, request: Received) => void;

export interface ScriptedServer {
  readonly url: string;
  /** All received requests. */
  readonly received: Received[];
  /** Sets the reactions to the next requests. The last reaction is repeated. */
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

/** A success response as in the contract. */
export const success = (data: unknown, next_cursor?: string | null): Reaction =>
  answer(200, {
    data,
    ...(next_cursor !== undefined && { page: { size: Array.isArray(data) ? data.length : 0, next_cursor } }),
    sent_at: SENT_AT,
  });

/** An error response as in the contract. */
export const failure = (code: ErrorCode, headers: Record<string, string> = {}, ...faults: object[]): Reaction => {
  const { status, message } = ERRORS[code];
  const errors = (faults.length > 0 ? faults : [{ message }]).map((fault) => ({ code, ...fault }));
  return answer(status, { message, errors, sent_at: SENT_AT }, headers);
};

/** An error response of API Gateway itself. */
export const gateway = (status: number, message: string): Reaction => answer(status, { message });

/** Any other response. */
export const other = answer;

/** Closes the connection without a response. */
export const hangUp: Reaction = (response) => void response.socket?.destroy();

/** Never responds. */
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
