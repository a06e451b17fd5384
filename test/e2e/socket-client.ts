import { once } from 'node:events';
import * as v from 'valibot';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import type { EventName } from '../../core/contract/realtime.ts';

/*
 * A client of the WebSocket API that records every received frame, in order.
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
  /** The negotiated sub-protocol, or an empty string. */
  readonly protocol: string;
  readonly frames: readonly Frame[];
  /** Sends an action, and returns the reply. */
  ask(action: string, fields?: object): Promise<Frame>;
  /** Like `ask`, but returns `data` of the reply. Fails if the action is rejected. */
  data(action: string, fields?: object): Promise<unknown>;
  /** Sends an action that must be rejected, and returns the error code. */
  refusal(action: string, fields?: object): Promise<string | undefined>;
  /** Sends raw data, and returns the next frame that has no request id. */
  sendRaw(data: string | Buffer): Promise<Frame>;
  /** Returns the received events of a room, all or those of a type. */
  events(room_id: string, type?: EventName): Frame[];
  /** Waits until this many events of a type have been received, and returns them. */
  waitFor(room_id: string, type: EventName, count?: number): Promise<Frame[]>;
  /** Resolves with the close code and reason. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  close(): void;
  /** Ends the connection without a close frame, as after a power failure. */
  kill(): void;
}

/** Thrown if a handshake is rejected. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`The handshake was rejected with ${status}.`);
    this.status = status;
  }
}

/** How a client sends its token. */
export type Credentials =
  | { readonly header: string }
  | { readonly protocol: string }
  | { readonly protocols: readonly string[] }
  | undefined;

const WAIT = { timeout: 60_000, interval: 20 };

/**
 * Opens a connection.
 *
 * @throws {Refused} if the handshake is rejected.
 */
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

/** Terminates the sockets, and waits until they are closed. */
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
