import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/*
 * The connection management endpoint of a WebSocket API, over HTTP as the SDK speaks it: tests say what becomes of a
 * connection's posts, and see what was asked.
 */

/** What is answered to a post. `reset` hangs up; `hold` waits for `release`, or for the caller to give up. */
export type Fate = 200 | 403 | 410 | 429 | 500 | 'reset' | 'hold';

export interface Management {
  readonly url: string;
  /** What becomes of the posts to a connection: the given fates one after the other, then the last one for ever. */
  fate(connection_id: string, ...fates: readonly [Fate, ...Fate[]]): void;
  /** What becomes of the posts to all connections without a fate of their own. Default: 200. */
  fateOfAll: Fate;
  /** What becomes of attempts to close a connection. Default: 200. */
  fateOfClose(connection_id: string, fate: Fate): void;
  /** What is answered to the question whether a connection is there. Default: 200. */
  fateOfGet(connection_id: string, fate: Fate): void;
  /** The connections that were asked about, in order. */
  readonly asked: string[];
  /** Called with every request as it comes in. */
  onRequest: ((connection_id: string) => void) | undefined;
  /** The frames that connections have been given, in order. */
  readonly delivered: { readonly connection_id: string; readonly frame: string }[];
  /** As `delivered`: those of one connection, parsed. */
  received(connection_id: string): { type: string; room_id: string; data: Record<string, unknown>; sent_at: string }[];
  /** The connections that a post was tried to, once for each try. */
  readonly attempts: string[];
  readonly closed: string[];
  /** The connections that closing was tried of, once for each attempt. */
  readonly closeAttempts: string[];
  /** The connections that were said to be gone (410). */
  readonly gone: Set<string>;
  /** The most posts that were under way at the same time. */
  peak(): number;
  /** How many posts are held at this moment. */
  held(): number;
  release(): void;
  /** Forgets all that has happened and all fates. */
  reset(): void;
  close(): Promise<void>;
}

const ERRORS = {
  403: 'ForbiddenException',
  410: 'GoneException',
  429: 'LimitExceededException',
  500: 'InternalServerError',
} as const;

/**
 * @param answerAfter milliseconds until a post is answered: without any, posts are never seen to be under way together
 */
export async function startManagement({ answerAfter = 0 } = {}): Promise<Management> {
  const fates = new Map<string, Fate[]>();
  const closeFates = new Map<string, Fate>();
  const getFates = new Map<string, Fate>();
  const asked: string[] = [];
  const waiting = new Set<() => void>();
  const delivered: Management['delivered'] = [];
  const attempts: string[] = [];
  const closed: string[] = [];
  const closeAttempts: string[] = [];
  const gone = new Set<string>();
  let under = 0;
  let most = 0;

  const answer = (res: ServerResponse, fate: Fate) => {
    if (fate === 'reset') return void res.req.socket.destroy();
    if (fate === 200) return void res.writeHead(200).end();
    const name = ERRORS[fate as keyof typeof ERRORS];
    res.writeHead(Number(fate), { 'content-type': 'application/json', 'x-amzn-errortype': name });
    res.end(JSON.stringify({ message: name }));
  };
  const server = createServer(async (req, res) => {
    const [, id = ''] = /\/@connections\/([^/]+)$/.exec(req.url ?? '') ?? [];
    const connection_id = decodeURIComponent(id);
    management.onRequest?.(connection_id);
    if (req.method === 'DELETE') {
      const fate = closeFates.get(connection_id) ?? 200;
      closeAttempts.push(connection_id);
      if (fate === 410) gone.add(connection_id);
      if (fate === 200) closed.push(connection_id);
      if (fate !== 'hold') answer(res, fate);
      return;
    }
    if (req.method === 'GET') {
      asked.push(connection_id);
      const fate = getFates.get(connection_id) ?? 200;
      if (fate === 200) res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      else if (fate !== 'hold') answer(res, fate);
      return;
    }
    under++;
    most = Math.max(most, under);
    res.once('close', () => under--);
    attempts.push(connection_id);
    const frame = await text(req);
    const queue = fates.get(connection_id) ?? [];
    const fate = (queue.length > 1 ? queue.shift() : queue[0]) ?? management.fateOfAll;
    const go = () => {
      if (fate === 200 || fate === 'hold') delivered.push({ connection_id, frame });
      if (fate === 410) gone.add(connection_id);
      answer(res, fate === 'hold' ? 200 : fate);
    };
    if (fate === 'hold') {
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
    fate: (connection_id, ...all) => void fates.set(connection_id, [...all]),
    fateOfAll: 200,
    fateOfClose: (connection_id, fate) => void closeFates.set(connection_id, fate),
    fateOfGet: (connection_id, fate) => void getFates.set(connection_id, fate),
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
      fates.clear();
      closeFates.clear();
      getFates.clear();
      asked.length = 0;
      delivered.length = 0;
      attempts.length = 0;
      closed.length = 0;
      closeAttempts.length = 0;
      gone.clear();
      most = 0;
      management.onRequest = undefined;
      management.fateOfAll = 200;
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return management;
}
