import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/*
 * A local connection management endpoint of a WebSocket API. Tests set the responses per connection, and read the
 * recorded requests.
 */

/** The response to a post. `reset` closes the TCP connection; `hold` waits for `release`, or until the caller aborts. */
export type ManagementResponse = 200 | 403 | 410 | 429 | 500 | 'reset' | 'hold';

export interface Management {
  readonly url: string;
  /** Sets the responses to posts to a connection: one after the other, then the last one forever. */
  respondWith(connection_id: string, ...responses: readonly [ManagementResponse, ...ManagementResponse[]]): void;
  /** The response to posts to all other connections. Default: 200. */
  defaultResponse: ManagementResponse;
  /** Sets the response to attempts to close a connection. Default: 200. */
  respondToCloseWith(connection_id: string, response: ManagementResponse): void;
  /** Sets the response to GetConnection. Default: 200. */
  respondToGetWith(connection_id: string, response: ManagementResponse): void;
  /** The connections whose status was requested, in order. */
  readonly asked: string[];
  /** Called with the connection of every request. */
  onRequest: ((connection_id: string) => void) | undefined;
  /** The frames that were delivered, in order. */
  readonly delivered: { readonly connection_id: string; readonly frame: string }[];
  /** The events that one connection received, parsed. */
  received(connection_id: string): { type: string; room_id: string; data: Record<string, unknown>; sent_at: string }[];
  /** The connection of each attempted post, in order. */
  readonly attempts: string[];
  readonly closed: string[];
  /** The connection of each attempt to close one, in order. */
  readonly closeAttempts: string[];
  /** The connections for which the response was 410. */
  readonly gone: Set<string>;
  /** The maximum number of simultaneous posts. */
  peak(): number;
  /** The number of posts that are held now. */
  held(): number;
  release(): void;
  /** Clears all records and responses. */
  reset(): void;
  close(): Promise<void>;
}

const ERRORS = {
  403: 'ForbiddenException',
  410: 'GoneException',
  429: 'LimitExceededException',
  500: 'InternalServerError',
} as const;

/** @param answerAfter milliseconds until the response to a post. With 0, posts never overlap. */
export async function startManagement({ answerAfter = 0 } = {}): Promise<Management> {
  const responses = new Map<string, ManagementResponse[]>();
  const closeResponses = new Map<string, ManagementResponse>();
  const getResponses = new Map<string, ManagementResponse>();
  const asked: string[] = [];
  const waiting = new Set<() => void>();
  const delivered: Management['delivered'] = [];
  const attempts: string[] = [];
  const closed: string[] = [];
  const closeAttempts: string[] = [];
  const gone = new Set<string>();
  let under = 0;
  let most = 0;

  const answer = (res: ServerResponse, response: ManagementResponse) => {
    if (response === 'reset') return void res.req.socket.destroy();
    if (response === 200) return void res.writeHead(200).end();
    const name = ERRORS[response as keyof typeof ERRORS];
    res.writeHead(Number(response), { 'content-type': 'application/json', 'x-amzn-errortype': name });
    res.end(JSON.stringify({ message: name }));
  };
  const server = createServer(async (req, res) => {
    const [, id = ''] = /\/@connections\/([^/]+)$/.exec(req.url ?? '') ?? [];
    const connection_id = decodeURIComponent(id);
    management.onRequest?.(connection_id);
    if (req.method === 'DELETE') {
      const response = closeResponses.get(connection_id) ?? 200;
      closeAttempts.push(connection_id);
      if (response === 410) gone.add(connection_id);
      if (response === 200) closed.push(connection_id);
      if (response !== 'hold') answer(res, response);
      return;
    }
    if (req.method === 'GET') {
      asked.push(connection_id);
      const response = getResponses.get(connection_id) ?? 200;
      if (response === 200) res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      else if (response !== 'hold') answer(res, response);
      return;
    }
    under++;
    most = Math.max(most, under);
    res.once('close', () => under--);
    attempts.push(connection_id);
    const frame = await text(req);
    const queue = responses.get(connection_id) ?? [];
    const response = (queue.length > 1 ? queue.shift() : queue[0]) ?? management.defaultResponse;
    const go = () => {
      if (response === 200 || response === 'hold') delivered.push({ connection_id, frame });
      if (response === 410) gone.add(connection_id);
      answer(res, response === 'hold' ? 200 : response);
    };
    if (response === 'hold') {
      const release = () => {
        waiting.delete(release);
        if (!res.destroyed) go();
      };
      waiting.add(release);
      res.once('close', () => waiting.delete(release));
    } else if (answerAfter > 0) setTimeout(go, answerAfter);
    else go();
  });
  server.listen(0, '127.0.0.1', 2_048);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const management: Management = {
    url: `http://127.0.0.1:${port}/v1`,
    respondWith: (connection_id, ...all) => void responses.set(connection_id, [...all]),
    defaultResponse: 200,
    respondToCloseWith: (connection_id, response) => void closeResponses.set(connection_id, response),
    respondToGetWith: (connection_id, response) => void getResponses.set(connection_id, response),
    asked,
    onRequest: undefined,
    delivered,
    received: (wanted) =>
      delivered.flatMap(({ connection_id, frame }) => (connection_id === wanted ? [JSON.parse(frame)] : [])),
    attempts,
    closed,
    closeAttempts,
    gone,
    peak: () => most,
    held: () => waiting.size,
    release() {
      for (const release of waiting) release();
    },
    reset() {
      responses.clear();
      closeResponses.clear();
      getResponses.clear();
      asked.length = 0;
      delivered.length = 0;
      attempts.length = 0;
      closed.length = 0;
      closeAttempts.length = 0;
      gone.clear();
      most = 0;
      management.onRequest = undefined;
      management.defaultResponse = 200;
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return management;
}
