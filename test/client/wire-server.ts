import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { monotonicFactory } from 'ulid';
import { v7 } from 'uuid';
import * as v from 'valibot';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Message, Room } from '../../core/contract/answers.ts';
import { ERRORS, type ErrorCode } from '../../core/contract/errors.ts';
import type { ActionName, PackedEvent, RoomSeq } from '../../core/contract/realtime.ts';
import {
  BEARER_SUB_PROTOCOL,
  SUB_PROTOCOL,
  SUB_PROTOCOL_V2,
  type SubProtocol,
} from '../../core/contract/sub-protocols.ts';
import { toMessage } from '../../core/store/items.ts';
import { messageKey } from '../../core/store/keys.ts';
import { roomDefaults } from '../support/defaults.ts';
import type { Backend } from './backend.ts';

/*
 * An in-memory server that implements the contract over real HTTP and WebSocket. It replaces the local stack in tests of network
 * faults, and can cause faults itself. Every frame that it sends is validated against docs/websocket.schema.json.
 */

const OPEN = 1;
const ulid = monotonicFactory();

interface RoomState {
  readonly room: Room;
  readonly participants: Set<string>;
  readonly messages: Message[];
  /** The number of the last edit or deletion. */
  lastChange: number;
  readonly observers: Set<string>;
  readonly readTo: Map<string, string>;
  /** The sent messages with the content of their frames, by sender and client_message_id. */
  readonly sent: Map<string, { readonly message: Message; readonly content: string }>;
  /** The joined sockets, with their users. */
  readonly joined: Map<WebSocket, string>;
  /** The time of the last join of each socket. */
  readonly joinedAt: WeakMap<WebSocket, string>;
  /** Numbered events about messages. Redelivered events appear again. */
  readonly numbered: PackedEvent[];
  /** The last sequence number of each feed. */
  readonly seq: { -readonly [Feed in keyof RoomSeq]: number };
}

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
addFormats.default(ajv);
const SCHEMA_FILE = resolve(import.meta.dirname, '../../docs/websocket.schema.json');
ajv.addSchema(JSON.parse(await readFile(SCHEMA_FILE, 'utf8')), 'websocket');

/** Throws if a frame does not match the definition `name` of the schema. */
function requireValid(name: string, frame: unknown): void {
  const validate = ajv.getSchema(`websocket#/$defs/${name}`);
  if (!validate) throw new Error(`docs/websocket.schema.json has no ${name}.`);
  if (!validate(frame)) throw new Error(`${name}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(frame)}`);
}

class Refusal extends Error {
  readonly code: ErrorCode;
  readonly retry_after: number | undefined;
  constructor(code: ErrorCode, retry_after?: number) {
    super(ERRORS[code].message);
    this.code = code;
    this.retry_after = retry_after;
  }
}

/** Returns an access token with a user and an expiry, without a valid signature. `expiresIn` is in seconds. */
export function unsignedToken(user: string, expiresIn = 3_600): string {
  const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: user, exp: Math.floor(Date.now() / 1_000) + expiresIn })}.x`;
}

const Claims = v.object({ sub: v.string(), exp: v.number() });

/** Returns the user of a token, or undefined if the token is malformed or expired. */
function userOf(token: string | undefined): string | undefined {
  try {
    const claims = v.parse(Claims, JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()));
    return claims.exp * 1_000 > Date.now() ? claims.sub : undefined;
  } catch {
    return undefined;
  }
}

const Frame = v.looseObject({
  action: v.picklist(['join', 'leave', 'message', 'ping', 'subscribe', 'typing']),
  request_id: v.string(),
});
const PingFrame = v.object({ rooms: v.optional(v.array(v.string())), subscribed: v.optional(v.boolean()) });
const FileId = v.object({ file_id: v.string() });
const MessageFrame = v.object({
  client_message_id: v.string(),
  text: v.optional(v.string()),
  attachment: v.optional(FileId),
  attachments: v.optional(v.array(FileId)),
  type: v.optional(v.string()),
  data: v.optional(v.record(v.string(), v.unknown())),
  reply_to: v.optional(v.string()),
});
const TypingFrame = v.object({ typing: v.boolean() });
const NewText = v.object({ text: v.string() });
const NewRole = v.object({ role: v.picklist(['member', 'observer']) });
const NewMark = v.object({ message_id: v.string() });
const NewRoom = v.object({ name: v.string(), participant_ids: v.optional(v.array(v.string()), []) });
const Named = v.object({ participant_ids: v.array(v.string()) });

export interface WireServer extends Backend {
  /** Maximum random delay of a broadcast, in milliseconds. Above 0, messages can overtake each other. */
  broadcastDelay: number;
  /** Constant delay of every broadcast, in milliseconds. Keeps the order. Simulates the lag of the stream. */
  lagMs: number;
  /** Returns whether to drop a frame of `rooms.v2` to a user, as the service does after throttling. Called once for each socket. */
  skips: (frame: { readonly type: string; readonly feed?: string }, user: string) => boolean;
  /** How long the server collects events for one frame of `rooms.v2`, in milliseconds. */
  packMs: number;
  /** Renumbers the last `count` messages of a room and resends them over `rooms.v2`, as after a failure of the stream reader. */
  redeliver(room_id: string, count: number): void;
  /** The IDs of all rooms. */
  readonly rooms: () => string[];
  /** Removes a user's sockets from a room without a frame, as if the frame `detached` was lost. */
  forget(room_id: string, user: string): void;
  /** Sends the frame `detached` without an event to a user's sockets, for the current join or, with `isLate`, for an earlier one. */
  detach(room_id: string, user: string, isLate?: boolean): void;
  /** Sets the last sequence numbers of a room. */
  setSeq(room_id: string, seq: Partial<RoomSeq>): void;
  /** Returns whether to reject a token, in addition to expired ones. */
  refusesToken: (token: string) => boolean;
  /** Responses to the next frames, as from API Gateway if it does not forward a frame. They have no request_id. */
  readonly gatewayMessages: string[];
  /** Maximum size of a frame. A larger frame closes the socket with code 1009. */
  maxFrameBytes: number;
  /** Received HTTP requests, as method and path. */
  readonly requests: string[];
  /** The sockets that have subscribed to events about their user, with that user. */
  readonly subscribed: Map<WebSocket, string>;
  /** Sends an event about a user to the user's subscribed sockets. */
  notify(user: string, room_id: string, type: string, data?: object): void;
  /** Sends an event to all joined sockets. */
  emit(room_id: string, type: string, data: object): void;
  /** Changes a room without sending an event. */
  set(room_id: string, change: Partial<Room>): void;
  /** While set, all frames are rejected with this code. */
  refuseFrames: ErrorCode | undefined;
  /** Rejections of the next frames of an action, one for each frame. */
  readonly refusals: { action: ActionName; code: ErrorCode; retry_after?: number }[];
  /** Delay before the frames of an action are handled, in milliseconds. */
  readonly delays: { [Name in ActionName]?: number };
  /** The field `ping_interval_seconds` of each received join. */
  readonly promised: unknown[];
  /** Received pings that ask about rooms or a subscription. */
  readonly asked: v.InferOutput<typeof PingFrame>[];
  /** The action of each received frame. */
  readonly frames: string[];
  /** The action of each handled frame. */
  readonly handled: string[];
  /** Returns the users of the sockets that have joined a room. */
  readonly joined: (room_id: string) => string[];
  /** The token of each WebSocket handshake. */
  readonly tokens: string[];
  /** Number of reads of history. */
  reads: number;
  /** Number of reads of the changes. */
  changeReads: number;
  /** Maximum number of items in a page of changes. */
  changesPageSize: number;
  /** Received typing frames, in the form `<user> true`. */
  readonly typed: string[];
  /** Changes a message without sending an event, and returns it. A text of null deletes the message. */
  change(room_id: string, message_id: string, by: string, text: string | null): Message;
  /** Sends the event for a change that was made with `change`. */
  announce(room_id: string, message: Message): void;
  /** Sets the number of the last change of a room, as after a restore of the table. */
  setLastChange(room_id: string, last: number): void;
  /** Whether replies to joins contain the last change. Older services omit it. */
  hasChanges: boolean;
  readonly connections: () => number;
  /** Closes all sockets, as API Gateway does after 2 hours. */
  closeSockets(): void;
}

/** Whether each message is followed by events that are newer than contract 1.1. The tests of the last release set the environment variable. */
const isNoisy = process.env.ROOMS_TEST_NOISE !== undefined;

/** Whether the tests run against `rooms.v1`. rooms-v1.test.ts sets the environment variable. */
export const isV1 = process.env.ROOMS_TEST_PROTOCOL === SUB_PROTOCOL;

/** Starts a server that supports these protocols. It chooses the newest protocol that a client offers. */
export async function startWireServer(
  protocols: readonly SubProtocol[] = isV1 ? [SUB_PROTOCOL] : [SUB_PROTOCOL_V2, SUB_PROTOCOL],
): Promise<WireServer> {
  const rooms = new Map<string, RoomState>();
  const userSeqs = new Map<string, number>();
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
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
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
  const myRoom = ({ room, observers, readTo, messages }: RoomState, user: string) => ({
    ...room,
    is_admin: room.created_by === user,
    role: observers.has(user) ? 'observer' : 'member',
    username: null,
    archive_room: false,
    read_to: readTo.get(user) ?? null,
    last_message_at: messages.at(-1)?.sent_at ?? null,
    has_unread: messages.some(
      ({ message_id, sender_id }) => sender_id !== user && message_id > (readTo.get(user) ?? ''),
    ),
  });
  const mayPost = (state: RoomState, user: string): boolean =>
    state.room.created_by === user || !(state.observers.has(user) || state.room.posting === 'admins');

  const usesV2 = (socket: WebSocket) => socket.protocol === SUB_PROTOCOL_V2;
  const sentAt = () => new Date().toISOString();

  /** Sends a frame after the configured delay. */
  function post(socket: WebSocket, name: string, frame: object): void {
    requireValid(name, frame);
    const text = JSON.stringify(frame);
    const deliver = () => socket.readyState === OPEN && socket.send(text);
    if (wire.lagMs > 0) setTimeout(deliver, wire.lagMs);
    else if (wire.broadcastDelay > 0) setTimeout(deliver, Math.random() * wire.broadcastDelay);
    else deliver();
  }

  /** Sends a frame of `rooms.v2`, unless `skips` drops it. */
  function postV2(
    [socket, user]: readonly [WebSocket, string],
    frame: { readonly type: 'events' | 'detached'; readonly feed?: string },
  ): void {
    if (!wire.skips(frame, user)) post(socket, `v2.${frame.type}`, { ...frame, sent_at: sentAt() });
  }

  /** Collected events that are not sent yet, by room and feed. */
  const packing = new Map<string, PackedEvent[]>();

  function numbered(state: RoomState, feed: keyof RoomSeq, events: readonly PackedEvent[]): void {
    const { room_id } = state.room;
    const seq = state.seq[feed] + 1;
    state.seq[feed] += events.length;
    // Like the service, counts before it sends, so that the reply to a join includes these numbers.
    if (feed === 'messages') state.numbered.push(...events);
    for (const entry of state.joined)
      if (usesV2(entry[0])) postV2(entry, { type: 'events', room_id, feed, seq, events } as { type: 'events' });
  }

  function broadcast(state: RoomState, type: string, data: object): void {
    const { room_id } = state.room;
    // The schema validation in `post` rejects events that the contract does not have.
    const event = { type, data } as PackedEvent;
    for (const socket of state.joined.keys())
      if (!usesV2(socket)) post(socket, `event.${type}`, { ...event, room_id, sent_at: sentAt() });
    const feed = type.startsWith('message') ? 'messages' : 'changes';
    if (wire.packMs === 0) return void numbered(state, feed, [event]);
    const key = `${room_id} ${feed}`;
    const waiting = packing.get(key);
    if (waiting) return void waiting.push(event);
    const events = [event];
    packing.set(key, events);
    setTimeout(() => {
      packing.delete(key);
      numbered(state, feed, events);
    }, wire.packMs);
  }

  /** Detaches the sockets of one user or of all users from a room. */
  function close(state: RoomState, event: PackedEvent, user?: string): void {
    const { room_id } = state.room;
    const reason = event.type === 'room_ended' ? event.type : 'removed';
    for (const [socket, owner] of state.joined) {
      if (user !== undefined && owner !== user) continue;
      if (!usesV2(socket)) {
        socket.close(1000);
        continue;
      }
      state.joined.delete(socket);
      const joined_at = state.joinedAt.get(socket);
      postV2([socket, owner], { type: 'detached', room_id, reason, joined_at, events: [event] } as {
        type: 'detached';
      });
    }
  }

  /** Sends an event about a user to the user's subscribed sockets. */
  function notify(
    user: string,
    room_id: string,
    type: string,
    data: object = type === 'participant_removed'
      ? { participant_id: user, reason: 'removed' }
      : { participant_id: user, username: null, archive_room: false, role: 'member' },
  ): void {
    const event = { type, data } as PackedEvent;
    const seq = (userSeqs.get(user) ?? 0) + 1;
    userSeqs.set(user, seq);
    for (const [socket, owner] of wire.subscribed) {
      if (owner !== user) continue;
      if (!usesV2(socket)) post(socket, `event.${type}`, { ...event, room_id, sent_at: sentAt() });
      else
        postV2([socket, owner], { type: 'events', room_id, feed: 'user', seq, events: [event] } as { type: 'events' });
    }
  }

  /** Edits or deletes a message, and assigns the next change number. */
  function change(state: RoomState, message_id: string, by: string, text: string | null): Message {
    const message = state.messages.find((each) => each.message_id === message_id);
    if (!message) throw new Refusal('message_not_found');
    const isOwn = message.sender_id === by;
    if (!isOwn && (text !== null || state.room.created_by !== by)) throw new Refusal('not_the_sender');
    if (message.deleted_at && text !== null) throw new Refusal('message_deleted');
    if (message.deleted_at) return { ...message };
    const changed = { change: ++state.lastChange };
    const emptied = { text: null, data: null, type: null, attachment: null, attachments: [] };
    if (text === null) Object.assign(message, changed, emptied, { deleted_at: sentAt(), deleted_by: by });
    else Object.assign(message, changed, { text, edited_at: sentAt() });
    return { ...message };
  }

  /** Sends the event of an edit or deletion. */
  const announce = (state: RoomState, message: Message) =>
    queueMicrotask(() => broadcast(state, message.deleted_at ? 'message_deleted' : 'message_updated', message));

  /** Sends events that are newer than the last release. */
  function makeNoise(state: RoomState, message: Message): void {
    const changed = { ...message, text: 'noise', edited_at: sentAt(), change: 1 };
    broadcast(state, 'message_updated', changed);
    broadcast(state, 'message_deleted', { ...changed, deleted_at: sentAt(), deleted_by: message.sender_id });
    broadcast(state, 'room_ending', { ends_at: sentAt(), seconds_left: 60 });
    broadcast(state, 'typing', { participant_id: message.sender_id, username: null, typing: true });
    broadcast(state, 'participant_updated', { participant_id: message.sender_id, role: 'member' });
    notify(message.sender_id, state.room.room_id, 'read', {
      participant_id: message.sender_id,
      read_to: message.message_id,
    });
  }

  /** Removes a participant, and sends the events. */
  function remove(state: RoomState, participant_id: string, reason: 'left' | 'removed'): void {
    state.participants.delete(participant_id);
    const event = { type: 'participant_removed', data: { participant_id, reason } } as const;
    // Over rooms.v2, the removed user receives only the frame `detached`.
    const own = [...state.joined].filter(([socket, owner]) => owner === participant_id && usesV2(socket));
    for (const [socket] of own) state.joined.delete(socket);
    broadcast(state, event.type, event.data);
    for (const [socket, owner] of own) state.joined.set(socket, owner);
    close(state, event, participant_id);
    notify(participant_id, state.room.room_id, event.type, event.data);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // An empty page for browser tests. Browsers allow requests to this machine only from a page of this machine.
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
        ...roomDefaults,
        end_warnings_seconds: [...roomDefaults.end_warnings_seconds],
        announcements: [],
        room_id: v7(),
        name,
        start_time: now,
        status: 'started',
        created_by: user,
        created_at: now,
        updated_at: now,
      };
      const participants = new Set([user, ...participant_ids]);
      rooms.set(room.room_id, {
        room,
        participants,
        messages: [],
        lastChange: 0,
        observers: new Set(),
        readTo: new Map(),
        sent: new Map(),
        joined: new Map(),
        joinedAt: new WeakMap(),
        numbered: [],
        seq: { messages: 0, changes: 0 },
      });
      return void send(response, 201, { data: room });
    }
    if (request.method === 'GET' && url.pathname === '/participant/room') {
      const mine = [...rooms.values()].filter(({ participants }) => participants.has(user)).reverse();
      const start = Number(url.searchParams.get('cursor') ?? 0);
      const end = start + Number(url.searchParams.get('limit') ?? 50);
      const data = mine.slice(start, end).map((state) => myRoom(state, user));
      const next_cursor = end < mine.length ? String(end) : null;
      return void send(response, 200, { data, page: { size: data.length, next_cursor } });
    }
    const [, set, , room_id, what, item = ''] = url.pathname.split('/');
    const state = roomFor(room_id, user);
    if (set === 'admin' && request.method === 'PATCH' && what === 'participant') {
      const { role } = v.parse(NewRole, await json(request));
      if (state.room.created_by === item) throw new Refusal('participant_is_admin');
      if (role === 'observer') state.observers.add(item);
      else state.observers.delete(item);
      broadcast(state, 'participant_updated', { participant_id: item, role });
      const data = { participant_id: item, username: null, archive_room: false, role, is_admin: false };
      return void send(response, 200, { data });
    }
    if (set === 'participant' && request.method === 'DELETE' && !what) {
      if (state.room.created_by === user) throw new Refusal('last_admin');
      remove(state, user, 'left');
      return void send(response, 200, { data: { participant_id: user } });
    }
    if (set === 'participant' && request.method === 'PUT' && what === 'read') {
      const { message_id } = v.parse(NewMark, await json(request));
      const before = state.readTo.get(user) ?? '';
      if (message_id > before) state.readTo.set(user, message_id);
      const data = { participant_id: user, read_to: state.readTo.get(user) ?? null };
      if (message_id > before) notify(user, state.room.room_id, 'read', data);
      return void send(response, 200, { data });
    }
    if (what === 'chat' && item && request.method !== 'GET') {
      const text = request.method === 'PATCH' ? v.parse(NewText, await json(request)).text : null;
      if (state.room.created_by !== user) liveRoomFor(room_id, user);
      if (text !== null && !mayPost(state, user)) throw new Refusal('read_only');
      const { lastChange } = state;
      const data = change(state, item, user, text);
      if (state.lastChange > lastChange) announce(state, data);
      return void send(response, 200, { data });
    }
    if (what === 'chat' && item === 'change') {
      wire.changeReads++;
      const after = Number(url.searchParams.get('cursor') ?? url.searchParams.get('after') ?? 0);
      const limit = Math.min(Number(url.searchParams.get('limit') ?? 50), wire.changesPageSize);
      const changed = state.messages.filter((message) => (message.change ?? 0) > after);
      const sorted = changed.toSorted((a, b) => Number(a.change) - Number(b.change));
      const data = sorted.slice(0, limit);
      const next_cursor = sorted.length > limit ? String(data.at(-1)?.change) : null;
      return void send(response, 200, { data, page: { size: data.length, next_cursor } });
    }
    if (set === 'admin' && request.method === 'DELETE' && what === 'participant') {
      const { participant_ids } = v.parse(Named, await json(request));
      for (const participant_id of participant_ids) remove(state, participant_id, 'removed');
      const data = participant_ids.map((participant_id) => ({ participant_id }));
      return void send(response, 200, { data, page: { size: data.length, next_cursor: null } });
    }
    if (set === 'admin' && request.method === 'DELETE') {
      Object.assign(state.room, { status: 'ended', end_time: now });
      for (const socket of state.joined.keys())
        if (!usesV2(socket))
          post(socket, 'event.room_ended', {
            type: 'room_ended',
            room_id: state.room.room_id,
            data: state.room,
            sent_at: sentAt(),
          });
      close(state, { type: 'room_ended', data: state.room });
      return void send(response, 200, { data: state.room });
    }
    if (set === 'participant' && what === 'participant') {
      const online = new Set(state.joined.values());
      const data = [...state.participants].sort().map((participant_id) => ({
        participant_id,
        username: null,
        archive_room: false,
        role: state.observers.has(participant_id) ? 'observer' : 'member',
        read_to: state.readTo.get(participant_id) ?? null,
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
    return void send(response, 200, { data: { ...myRoom(state, user), unread_count: 0 } });
  }

  function store(state: RoomState, user: string, frame: v.InferOutput<typeof MessageFrame>): Message {
    const marker = markerOf(user, frame);
    const { text, attachment, attachments = attachment ? [attachment] : [], type, data, reply_to } = frame;
    const content = JSON.stringify({ text, attachments, type, data, reply_to });
    const first = state.sent.get(marker);
    if (first && first.content !== content) throw new Refusal('idempotency_conflict');
    if (first) return first.message;
    if (!mayPost(state, user)) throw new Refusal('read_only');
    const files = attachments.map((file) => ({ ...file, name: 'a.txt', size: 1, content_type: 'text/plain' }));
    const message = toMessage({
      ...messageKey('', ''),
      message_id: ulid(),
      room_id: state.room.room_id,
      sender_id: user,
      client_message_id: frame.client_message_id,
      ...(text !== undefined && { text }),
      attachments: files,
      ...(type && { type }),
      ...(data && { data: JSON.stringify(data) }),
      ...(reply_to && { reply_to }),
      sent_at: new Date().toISOString(),
    });
    state.messages.push(message);
    state.sent.set(marker, { message, content });
    return message;
  }

  function answerPing(
    socket: WebSocket,
    user: string,
    { rooms: asked, subscribed }: v.InferOutput<typeof PingFrame>,
  ): unknown {
    if (asked || subscribed) wire.asked.push({ rooms: asked, subscribed });
    const joined = (asked ?? []).flatMap((room_id) => {
      const state = rooms.get(room_id);
      return state?.joined.has(socket) ? [[room_id, { ...state.seq }] as const] : [];
    });
    return {
      time: sentAt(),
      ...(asked && { rooms: Object.fromEntries(joined) }),
      ...(subscribed && wire.subscribed.has(socket) && { user: userSeqs.get(user) ?? 0 }),
    };
  }

  function act(socket: WebSocket, user: string, frame: v.InferOutput<typeof Frame>): unknown {
    const refusal = wire.refusals.findIndex(({ action }) => action === frame.action);
    const [refused] = refusal >= 0 ? wire.refusals.splice(refusal, 1) : [];
    if (refused) throw new Refusal(refused.code, refused.retry_after);
    if (wire.refuseFrames) throw new Refusal(wire.refuseFrames);
    if (frame.action === 'ping') return answerPing(socket, user, v.parse(PingFrame, frame));
    if (frame.action === 'subscribe') {
      wire.subscribed.set(socket, user);
      return { participant_id: user, ...(usesV2(socket) && { seq: userSeqs.get(user) ?? 0 }) };
    }
    if (frame.action === 'typing') {
      const state = liveRoomFor(frame.room_id, user);
      const { typing } = v.parse(TypingFrame, frame);
      if (!mayPost(state, user)) throw new Refusal('read_only');
      wire.typed.push(`${user} ${typing}`);
      const { room_id } = state.room;
      const event = { type: 'typing', room_id, data: { participant_id: user, username: null, typing } };
      for (const other of state.joined.keys())
        if (other !== socket) post(other, 'event.typing', { ...event, sent_at: sentAt() });
      return { room_id };
    }
    if (frame.action === 'leave') {
      rooms.get(String(frame.room_id))?.joined.delete(socket);
      return { room_id: frame.room_id };
    }
    if (frame.action === 'join') {
      const state = liveRoomFor(frame.room_id, user);
      state.joined.set(socket, user);
      const joined_at = sentAt();
      state.joinedAt.set(socket, joined_at);
      const last_change = wire.hasChanges ? state.lastChange : undefined;
      return { ...myRoom(state, user), last_change, ...(usesV2(socket) && { seq: { ...state.seq }, joined_at }) };
    }
    const outgoing = v.parse(MessageFrame, frame);
    // A repeated message gets the same reply, even if the room has ended or the sender was removed.
    const known = rooms.get(String(frame.room_id));
    const state = known?.sent.has(markerOf(user, outgoing)) ? known : liveRoomFor(frame.room_id, user);
    const message = store(state, user, outgoing);
    // A repeated message is broadcast again, because the service can have failed before the first broadcast.
    const event = { ...message };
    queueMicrotask(() => {
      broadcast(state, 'message', event);
      if (isNoisy) makeNoise(state, event);
    });
    return message;
  }

  function serve(socket: WebSocket, user: string, token: string): void {
    const reply = (action: ActionName, body: { readonly ok: boolean }) => {
      const frame = { type: 'reply', ...body };
      requireValid(`${body.ok ? 'reply' : 'refusal'}.${action}`, frame);
      socket.send(JSON.stringify(frame));
    };
    socket.on('message', async (data) => {
      if (Buffer.byteLength(String(data)) > wire.maxFrameBytes) return void socket.close(1009, 'Message too long');
      const { request_id, ...frame } = v.parse(Frame, JSON.parse(String(data)));
      // An old service rejects unknown fields.
      const isOld = !protocols.includes(SUB_PROTOCOL_V2);
      if (isOld && frame.action === 'ping' && Object.keys(frame).length > 1) throw new Error('A ping with fields.');
      wire.frames.push(frame.action);
      if (frame.action === 'join') wire.promised.push(frame.ping_interval_seconds);
      const message = wire.gatewayMessages.shift();
      if (message) return void socket.send(JSON.stringify({ message, connectionId: 'c', requestId: 'r' }));
      const delay = wire.delays[frame.action];
      if (delay) await sleep(delay);
      try {
        if (!userOf(token)) throw new Refusal('token_expired');
        const data = act(socket, user, { request_id, ...frame });
        wire.handled.push(frame.action);
        reply(frame.action, { request_id, ok: true, data } as { ok: true });
      } catch (error) {
        const { code, retry_after } = error instanceof Refusal ? error : new Refusal('internal');
        if (!(error instanceof Refusal)) console.error(error);
        const wrong = { code, message: ERRORS[code].message, ...(retry_after !== undefined && { retry_after }) };
        reply(frame.action, { request_id, ok: false, error: wrong } as { ok: false });
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
    skips: () => false,
    packMs: 0,
    redeliver(room_id, count) {
      const state = rooms.get(room_id);
      const events = state?.numbered.slice(-count) ?? [];
      if (state && events.length > 0) numbered(state, 'messages', events);
    },
    rooms: () => [...rooms.keys()],
    forget(room_id, user) {
      const joined = rooms.get(room_id)?.joined ?? new Map<WebSocket, string>();
      for (const [socket, owner] of joined) if (owner === user) joined.delete(socket);
    },
    detach(room_id, user, isLate = false) {
      const state = rooms.get(room_id);
      for (const entry of state?.joined ?? []) {
        if (!state || entry[1] !== user) continue;
        const joined_at = isLate ? new Date(0).toISOString() : state.joinedAt.get(entry[0]);
        if (!isLate) state.joined.delete(entry[0]);
        postV2(entry, { type: 'detached', room_id, reason: 'removed', joined_at, events: [] } as { type: 'detached' });
      }
    },
    setSeq(room_id, seq) {
      Object.assign(rooms.get(room_id)?.seq ?? {}, seq);
    },
    notify,
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
    promised: [],
    asked: [],
    handled: [],
    joined: (room_id) => [...(rooms.get(room_id)?.joined.values() ?? [])],
    tokens: [],
    reads: 0,
    changeReads: 0,
    changesPageSize: 200,
    hasChanges: true,
    typed: [],
    change(room_id, message_id, by, text) {
      const state = rooms.get(room_id);
      if (!state) throw new Refusal('room_not_found');
      return change(state, message_id, by, text);
    },
    announce(room_id, message) {
      const state = rooms.get(room_id);
      if (state) announce(state, message);
    },
    setLastChange(room_id, last) {
      const state = rooms.get(room_id);
      if (state) state.lastChange = last;
    },
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
