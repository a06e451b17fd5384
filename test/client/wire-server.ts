import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicFactory } from 'ulid';
import { v7 } from 'uuid';
import * as v from 'valibot';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Message, Room } from '../../core/contract/answers.ts';
import { ERRORS, type ErrorCode } from '../../core/contract/errors.ts';
import { type ActionName, BEARER_SUB_PROTOCOL, SUB_PROTOCOL } from '../../core/contract/realtime.ts';
import type { Backend } from './backend.ts';

/*
 * A server that speaks the contract over real HTTP and a real WebSocket, and keeps everything in memory. It stands in for
 * the stack where a test is about what the client does when the network fails, and has a few faults of its own to offer.
 */

const OPEN = 1;
const ulid = monotonicFactory();

interface RoomState {
  readonly room: Room;
  readonly participants: Set<string>;
  readonly messages: Message[];
  /** By sender and client_message_id. */
  readonly sent: Map<string, Message>;
  /** The sockets that have joined, and whose they are. */
  readonly joined: Map<WebSocket, string>;
}

class Refusal extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(ERRORS[code].message);
    this.code = code;
  }
}

/** An access token that says who and until when, and is signed by nobody. `expiresIn` is in seconds. */
export function unsignedToken(user: string, expiresIn = 3_600): string {
  const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: user, exp: Math.floor(Date.now() / 1_000) + expiresIn })}.x`;
}

const Claims = v.object({ sub: v.string(), exp: v.number() });

/** The user of a token, unless it is none or has expired. */
function userOf(token: string | undefined): string | undefined {
  try {
    const claims = v.parse(Claims, JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()));
    return claims.exp * 1_000 > Date.now() ? claims.sub : undefined;
  } catch {
    return undefined;
  }
}

const Frame = v.looseObject({
  action: v.picklist(['join', 'leave', 'message', 'ping', 'subscribe']),
  request_id: v.string(),
});
const MessageFrame = v.object({
  client_message_id: v.string(),
  text: v.optional(v.string()),
  attachment: v.optional(v.object({ file_id: v.string() })),
});
const NewRoom = v.object({ name: v.string(), participant_ids: v.optional(v.array(v.string()), []) });
const Named = v.object({ participant_ids: v.array(v.string()) });

export interface WireServer extends Backend {
  /** How long a broadcast may be on its way, at most, in milliseconds. Above 0, messages overtake each other. */
  broadcastDelay: number;
  /** How long every broadcast is on its way, in milliseconds: the lag of the stream. Keeps the order. */
  lagMs: number;
  /** Tokens that are refused beside those that have expired. */
  refusesToken: (token: string) => boolean;
  /** The next frames are answered as API Gateway does when it does not hand one on: with one of these, and no request_id. */
  readonly gatewayMessages: string[];
  /** Bytes that a frame can have: a larger one closes the socket with 1009. */
  maxFrameBytes: number;
  /** Requests of the HTTP API, as method and path. */
  readonly requests: string[];
  /** The sockets that receive the events about their own user, and whose they are. */
  readonly subscribed: Map<WebSocket, string>;
  /** Sends an event about a user to the sockets that have subscribed. */
  notify(user: string, room_id: string, type: string): void;
  /** Broadcasts an event. */
  emit(room_id: string, type: string, data: object): void;
  /** Changes a room without an event. */
  set(room_id: string, change: Partial<Room>): void;
  /** Frames are refused with this code while it is set. */
  refuseFrames: ErrorCode | undefined;
  /** Codes that the next frames of an action are refused with, one each. */
  readonly refusals: { action: ActionName; code: ErrorCode }[];
  /** How long frames of an action wait before they are handled, in milliseconds. */
  readonly delays: { [Name in ActionName]?: number };
  /** What was received, action by action. */
  readonly frames: string[];
  /** What has been handled, likewise. */
  readonly handled: string[];
  /** Users whose sockets have joined the room. */
  readonly joined: (room_id: string) => string[];
  /** Tokens of the handshakes so far. */
  readonly tokens: string[];
  /** How often history was read. */
  reads: number;
  readonly connections: () => number;
  /** Closes all sockets, as API Gateway does after two hours. */
  closeSockets(): void;
}

export async function startWireServer(): Promise<WireServer> {
  const rooms = new Map<string, RoomState>();
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const code = error instanceof Refusal ? error.code : 'internal';
      if (code === 'internal') console.error(error);
      const { status, message } = ERRORS[code];
      send(response, status, { message, errors: [{ code, message }] });
    });
  });
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (protocols) => (protocols.has(SUB_PROTOCOL) ? SUB_PROTOCOL : false),
  });

  const send = (response: ServerResponse, status: number, body: object) =>
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(JSON.stringify({ ...body, sent_at: new Date().toISOString() }));

  function roomFor(room_id: unknown, user: string): RoomState {
    const state = rooms.get(String(room_id).toLowerCase());
    if (!state) throw new Refusal('room_not_found');
    if (!state.participants.has(user)) throw new Refusal('not_a_participant');
    return state;
  }

  function liveRoomFor(room_id: unknown, user: string): RoomState {
    const state = roomFor(room_id, user);
    if (state.room.status === 'ended') throw new Refusal('room_ended');
    if (state.room.status === 'booked') throw new Refusal('room_not_started');
    return state;
  }

  const markerOf = (user: string, { client_message_id }: { client_message_id: string }) =>
    `${user} ${client_message_id}`;
  const myRoom = ({ room }: RoomState, user: string) => ({
    ...room,
    is_admin: room.created_by === user,
    username: null,
    archive_room: false,
  });

  function broadcast(state: RoomState, type: string, data: object): void {
    const frame = JSON.stringify({ type, room_id: state.room.room_id, data, sent_at: new Date().toISOString() });
    for (const socket of state.joined.keys()) {
      const deliver = () => socket.readyState === OPEN && socket.send(frame);
      if (wire.lagMs > 0) setTimeout(deliver, wire.lagMs);
      else if (wire.broadcastDelay > 0) setTimeout(deliver, Math.random() * wire.broadcastDelay);
      else deliver();
    }
  }

  function close(state: RoomState, user?: string): void {
    for (const [socket, owner] of state.joined) if (user === undefined || owner === user) socket.close(1000);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A page that scripts can be put into: a browser lets only one from this machine talk to this machine.
    if (request.url === '/page')
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    wire.requests.push(`${request.method} ${request.url}`);
    const user = wire.refusesToken(token) ? undefined : userOf(token);
    if (!user) return void send(response, 401, { message: 'Unauthorized' });
    const url = new URL(request.url ?? '/', 'http://localhost');
    const now = new Date().toISOString();
    if (request.method === 'POST' && url.pathname === '/room') {
      const { name, participant_ids } = v.parse(NewRoom, await json(request));
      const room: Room = {
        room_id: v7(),
        name,
        description: null,
        start_time: now,
        end_time: null,
        status: 'started',
        end_reason: null,
        created_by: user,
        created_at: now,
        updated_at: now,
      };
      const participants = new Set([user, ...participant_ids]);
      rooms.set(room.room_id, { room, participants, messages: [], sent: new Map(), joined: new Map() });
      return void send(response, 201, { data: room });
    }
    const [, set, , room_id, what] = url.pathname.split('/');
    const state = roomFor(room_id, user);
    if (set === 'admin' && request.method === 'DELETE' && what === 'participant') {
      const { participant_ids } = v.parse(Named, await json(request));
      for (const participant_id of participant_ids) {
        state.participants.delete(participant_id);
        broadcast(state, 'participant_removed', { participant_id });
        close(state, participant_id);
      }
      const data = participant_ids.map((participant_id) => ({ participant_id }));
      return void send(response, 200, { data, page: { size: data.length, next_cursor: null } });
    }
    if (set === 'admin' && request.method === 'DELETE') {
      Object.assign(state.room, { status: 'ended', end_time: now });
      broadcast(state, 'room_ended', state.room);
      close(state);
      return void send(response, 200, { data: state.room });
    }
    if (set === 'participant' && what === 'participant') {
      const online = new Set(state.joined.values());
      const data = [...state.participants].sort().map((participant_id) => ({
        participant_id,
        username: null,
        archive_room: false,
        is_admin: state.room.created_by === participant_id,
        online: online.has(participant_id),
      }));
      return void send(response, 200, { data, page: { size: data.length, next_cursor: null } });
    }
    if (what === 'chat') {
      wire.reads++;
      const order = url.searchParams.get('order') ?? 'desc';
      const limit = Number(url.searchParams.get('limit') ?? 50);
      const cursor = url.searchParams.get('cursor');
      const sorted = state.messages.toSorted((a, b) => (a.message_id < b.message_id ? -1 : 1));
      if (order === 'desc') sorted.reverse();
      const start = cursor ? sorted.findIndex(({ message_id }) => message_id === cursor) + 1 : 0;
      const data = sorted.slice(start, start + limit);
      const next_cursor = start + limit < sorted.length ? (data.at(-1)?.message_id ?? null) : null;
      return void send(response, 200, { data, page: { size: data.length, next_cursor } });
    }
    return void send(response, 200, { data: myRoom(state, user) });
  }

  function store(state: RoomState, user: string, frame: v.InferOutput<typeof MessageFrame>): Message {
    const marker = markerOf(user, frame);
    const first = state.sent.get(marker);
    if (first) return first;
    const message: Message = {
      message_id: ulid(),
      room_id: state.room.room_id,
      sender_id: user,
      client_message_id: frame.client_message_id,
      text: frame.text ?? null,
      attachment: frame.attachment ? { ...frame.attachment, name: 'a.txt', size: 1, content_type: 'text/plain' } : null,
      sent_at: new Date().toISOString(),
    };
    state.messages.push(message);
    state.sent.set(marker, message);
    return message;
  }

  function act(socket: WebSocket, user: string, frame: v.InferOutput<typeof Frame>): unknown {
    const refusal = wire.refusals.findIndex(({ action }) => action === frame.action);
    if (refusal >= 0) throw new Refusal(wire.refusals.splice(refusal, 1)[0]?.code ?? 'internal');
    if (wire.refuseFrames) throw new Refusal(wire.refuseFrames);
    if (frame.action === 'ping') return { time: new Date().toISOString() };
    if (frame.action === 'subscribe') {
      wire.subscribed.set(socket, user);
      return { participant_id: user };
    }
    if (frame.action === 'leave') {
      rooms.get(String(frame.room_id))?.joined.delete(socket);
      return { room_id: frame.room_id };
    }
    if (frame.action === 'join') {
      const state = liveRoomFor(frame.room_id, user);
      state.joined.set(socket, user);
      return myRoom(state, user);
    }
    const outgoing = v.parse(MessageFrame, frame);
    // What was sent before is told again, whatever has become of the room and the sender since.
    const known = rooms.get(String(frame.room_id));
    const state = known?.sent.has(markerOf(user, outgoing)) ? known : liveRoomFor(frame.room_id, user);
    const message = store(state, user, outgoing);
    // A repeated message is broadcast again: the first time, the service may have died before it was.
    queueMicrotask(() => broadcast(state, 'message', message));
    return message;
  }

  function serve(socket: WebSocket, user: string, token: string): void {
    const reply = (body: object) => socket.send(JSON.stringify({ type: 'reply', ...body }));
    socket.on('message', async (data) => {
      if (Buffer.byteLength(String(data)) > wire.maxFrameBytes) return void socket.close(1009, 'Message too long');
      const { request_id, ...frame } = v.parse(Frame, JSON.parse(String(data)));
      wire.frames.push(frame.action);
      const message = wire.gatewayMessages.shift();
      if (message) return void socket.send(JSON.stringify({ message, connectionId: 'c', requestId: 'r' }));
      const delay = wire.delays[frame.action];
      if (delay) await sleep(delay);
      try {
        if (!userOf(token)) throw new Refusal('token_expired');
        const data = act(socket, user, { request_id, ...frame });
        wire.handled.push(frame.action);
        reply({ request_id, ok: true, data });
      } catch (error) {
        const code = error instanceof Refusal ? error.code : 'internal';
        if (code === 'internal' && !(error instanceof Refusal)) console.error(error);
        reply({ request_id, ok: false, error: { code, message: ERRORS[code].message } });
      }
    });
    socket.on('close', () => {
      wire.subscribed.delete(socket);
      for (const { joined } of rooms.values()) joined.delete(socket);
    });
    socket.on('error', () => socket.terminate());
  }

  server.on('upgrade', (request, connection, head) => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((text) => text.trim());
    const token = offered.find((text) => text.startsWith(BEARER_SUB_PROTOCOL))?.slice(BEARER_SUB_PROTOCOL.length);
    const user = wire.refusesToken(token ?? '') ? undefined : userOf(token);
    wire.tokens.push(token ?? '');
    connection.on('error', () => connection.destroy());
    if (!user || !token) return void connection.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    sockets.handleUpgrade(request, connection, head, (socket) => serve(socket, user, token));
  });

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const wire: WireServer = {
    url: `http://127.0.0.1:${port}`,
    wsUrl: `ws://127.0.0.1:${port}`,
    ordered: true,
    token: async (user) => unsignedToken(user),
    broadcastDelay: 0,
    lagMs: 0,
    refusesToken: () => false,
    gatewayMessages: [],
    maxFrameBytes: 128 * 1024,
    requests: [],
    subscribed: new Map(),
    notify(user, room_id, type) {
      const frame = { type, room_id, data: { participant_id: user }, sent_at: new Date().toISOString() };
      for (const [socket, owner] of wire.subscribed) if (owner === user) socket.send(JSON.stringify(frame));
    },
    emit(room_id, type, data) {
      const state = rooms.get(room_id);
      if (state) broadcast(state, type, data);
    },
    set(room_id, change) {
      Object.assign(rooms.get(room_id)?.room ?? {}, change);
    },
    refuseFrames: undefined,
    refusals: [],
    delays: {},
    frames: [],
    handled: [],
    joined: (room_id) => [...(rooms.get(room_id)?.joined.values() ?? [])],
    tokens: [],
    reads: 0,
    connections: () => sockets.clients.size,
    closeSockets() {
      for (const socket of sockets.clients) socket.close(1001, 'Going away');
    },
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await sleep(0);
    },
  };
  return wire;
}
