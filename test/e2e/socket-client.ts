import { once } from 'node:events';
import * as v from 'valibot';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import type { EventName } from '../../core/contract/realtime.ts';

/*
 * A client of the WebSocket API that remembers every frame it was sent, in order.
 */

const frame = v.looseObject({
  type: v.optional(v.string()),
  request_id: v.optional(v.nullable(v.string())),
  room_id: v.optional(v.string()),
  ok: v.optional(v.boolean()),
  data: v.optional(v.unknown()),
  error: v.optional(v.object({ code: v.string(), message: v.string() })),
  message: v.optional(v.string()),
});
export type Frame = v.InferOutput<typeof frame>;

export interface Client {
  readonly socket: WebSocket;
  /** The sub-protocol that was agreed on; empty for none. */
  readonly protocol: string;
  readonly frames: readonly Frame[];
  /** Sends an action, and gives its reply. */
  ask(action: string, fields?: object): Promise<Frame>;
  /** As `ask`, of which the data is wanted: fails where it is refused. */
  data(action: string, fields?: object): Promise<unknown>;
  /** The code with which an action is refused. */
  refusal(action: string, fields?: object): Promise<string | undefined>;
  /** Sends whatever it is, and gives the next frame that is a reply without a request id, or none of ours. */
  sendRaw(data: string | Buffer): Promise<Frame>;
  /** Events of a room that have come so far, all or those of a type. */
  events(room_id: string, type?: EventName): Frame[];
  /** Waits until there are this many events of a type, and gives them. */
  waitFor(room_id: string, type: EventName, count?: number): Promise<Frame[]>;
  /** How the connection ended. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  close(): void;
  /** As if the machine had lost its power. */
  kill(): void;
}

/** Thrown where a handshake is refused. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`The handshake was refused with ${status}.`);
    this.status = status;
  }
}

/** How a client shows its token. */
export type Credentials =
  | { readonly header: string }
  | { readonly protocol: string }
  | { readonly protocols: readonly string[] }
  | undefined;

const WAIT = { timeout: 60_000, interval: 20 };

/** Opens a connection. Throws `Refused` where the handshake is. */
export async function connect(url: string, credentials: Credentials): Promise<Client> {
  const protocols =
    credentials && 'protocol' in credentials
      ? ['rooms.v1', `bearer.${credentials.protocol}`]
      : credentials && 'protocols' in credentials
        ? [...credentials.protocols]
        : [];
  const socket = new WebSocket(url, protocols, {
    ...(credentials && 'header' in credentials && { headers: { authorization: `Bearer ${credentials.header}` } }),
  });
  const frames: Frame[] = [];
  socket.on('message', (data, isBinary) => {
    expect(isBinary).toBe(false);
    frames.push(v.parse(v.pipe(v.string(), v.parseJson(), frame), String(data)));
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await new Promise<void>((resolve, reject) => {
    socket.on('open', resolve);
    socket.on('unexpected-response', (_request, response) => {
      reject(new Refused(response.statusCode ?? 0));
      socket.terminate();
    });
    socket.on('error', reject);
  });

  let asked = 0;
  const replyTo = async (request_id: string): Promise<Frame> => {
    const find = () => frames.find((each) => each.type === 'reply' && each.request_id === request_id);
    await expect.poll(find, WAIT).toBeDefined();
    return find() ?? {};
  };
  const ask = async (action: string, fields: object = {}): Promise<Frame> => {
    const request_id = `r${++asked}`;
    socket.send(JSON.stringify({ action, request_id, ...fields }));
    return replyTo(request_id);
  };
  const events = (room_id: string, type?: EventName): Frame[] =>
    frames.filter((each) => each.type !== 'reply' && each.room_id === room_id && (!type || each.type === type));
  const nameless = () => frames.filter((each) => (each.type === 'reply' ? each.request_id === null : !each.type));

  return {
    socket,
    protocol: socket.protocol,
    frames,
    ask,
    async data(action, fields) {
      const reply = await ask(action, fields);
      expect(reply).toMatchObject({ ok: true });
      return reply.data;
    },
    async refusal(action, fields) {
      const reply = await ask(action, fields);
      expect(reply).toMatchObject({ ok: false });
      return reply.error?.code;
    },
    async sendRaw(data) {
      const before = nameless().length;
      socket.send(data);
      await expect.poll(() => nameless().length, WAIT).toBeGreaterThan(before);
      return nameless()[before] ?? {};
    },
    events,
    async waitFor(room_id, type, count = 1) {
      await expect.poll(() => events(room_id, type).length, WAIT).toBeGreaterThanOrEqual(count);
      return events(room_id, type);
    },
    closed,
    close: () => socket.close(1000),
    kill: () => socket.terminate(),
  };
}

/** Waits until a socket is gone, so that a test leaves nothing behind. */
export async function hangUp(clients: readonly Client[]): Promise<void> {
  await Promise.all(
    clients.map(async ({ socket }) => {
      if (socket.readyState === WebSocket.CLOSED) return;
      const closed = once(socket, 'close');
      socket.terminate();
      await closed;
    }),
  );
}
