import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import type { Way } from '../client/faults.ts';
import { call, HTTP_LIMIT_MS } from './api.ts';
import { contentOf, digestOf, download, FILE_LIMIT_MS, overwrite, type SignedPut, upload } from './files.ts';
import { SOCKET_HEADER } from './functions.ts';
import type { Operation, Recorder } from './history.ts';
import type { ClientPlan } from './plan.ts';
import type { Random } from './random.ts';
import type { Tokens } from './tokens.ts';

/*
 * A WebSocket client without the SDK, in one room. It reconnects, and retries messages that may not have been stored,
 * with the same client_message_id. It records every frame.
 */

/** API Gateway waits 29 seconds for a function, and a slow connection can delay the response. */
export const FRAME_LIMIT_MS = 35_000;
const OPEN_MS = 25_000;
const PING_MS = 5_000;
/** How long after a ping a silent socket is considered dead, in milliseconds. */
const SILENT_MS = 30_000;

const frameSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.looseObject({
    type: v.optional(v.string()),
    request_id: v.optional(v.nullable(v.string())),
    room_id: v.optional(v.string()),
    ok: v.optional(v.boolean()),
    data: v.optional(v.unknown()),
    error: v.optional(v.object({ code: v.string() })),
  }),
);
type Frame = v.InferOutput<typeof frameSchema>;
const messageSchema = v.object({
  message_id: v.string(),
  client_message_id: v.string(),
  sender_id: v.string(),
  text: v.nullable(v.string()),
  change: v.optional(v.nullable(v.number())),
  attachment: v.optional(v.nullable(v.object({ file_id: v.string() }))),
});
const MESSAGE_EVENTS = new Set(['message', 'message_updated', 'message_deleted']);
const aboutParticipant = v.object({ participant_id: v.string() });

export interface RoomClient {
  join(): void;
  leave(): void;
  send(count: number): void;
  /** Uploads a file of this size, and sends a message with it. */
  upload(size: number): void;
  /** Uses the URL of the last upload again, for other bytes. */
  overwrite(): void;
  /** Downloads the last received file again. */
  download(): void;
  /** Edits or deletes a known message: see the plan. */
  edit(of: Whose, share: number): void;
  delete(of: Whose, share: number): void;
  /** Marks the newest known message as read. */
  mark(): void;
  cut(): void;
  /** Whether new connections are refused. */
  refuse(refusing: boolean): void;
  freeze(): void;
  slow(ms: number): void;
  /** Resumes frozen connections. */
  thaw(): void;
  /** Stops the client, and closes its socket. */
  stop(): Promise<void>;
}

export interface ClientContext {
  readonly plan: ClientPlan;
  /** The name of the room in the history, and its ID. */
  readonly room: string;
  readonly roomId: string;
  /** URL of the HTTP API. */
  readonly url: string;
  readonly recorder: Recorder;
  readonly way: Way;
  readonly tokens: Tokens;
  readonly random: Random;
}

/** Messages of the client's user, or of all other users. */
export type Whose = 'own' | 'others';

/** The known messages of a client, among which it selects those that it changes. */
export interface KnownMessages {
  add(message: { readonly message_id: string; readonly sender_id: string }): void;
  /** Returns one of the newest messages. Undefined if there is none. `share` is ≥ 0 and < 1. */
  pick(of: Whose, share: number): string | undefined;
  readonly newest: string | undefined;
}

/** A small number, so that some messages are changed several times, even after their deletion. */
const PICKED_FROM = 8;

export function knownMessages(user: string): KnownMessages {
  const known = { own: new Set<string>(), others: new Set<string>() };
  let newest: string | undefined;
  return {
    add({ message_id, sender_id }) {
      known[sender_id === user ? 'own' : 'others'].add(message_id);
      if (newest === undefined || message_id > newest) newest = message_id;
    },
    pick(of, share) {
      const last = [...known[of]].slice(-PICKED_FROM);
      return last[Math.floor(share * last.length)];
    },
    get newest() {
      return newest;
    },
  };
}

export type ChangeKind = 'edit' | 'delete' | 'mark';

/** Returns a function that records the start of an edit, a deletion, or a mark. Each edit has a text of its own. */
export function changesOf(
  recorder: Recorder,
  about: Pick<Operation, 'user' | 'client' | 'room' | 'limit'>,
): (kind: ChangeKind, message_id: string) => { readonly operation: Operation; readonly text: string } {
  let edits = 0;
  return (kind, message_id) => {
    if (kind === 'edit') edits += 1;
    const text = `${about.client}-e${edits}`;
    return { text, operation: recorder.begin({ kind, ...about, message_id, ...(kind === 'edit' && { text }) }) };
  };
}

/** The last uploaded file of a client. */
export interface Uploaded {
  readonly file: string;
  readonly size: number;
  readonly signed: SignedPut;
}

const UNKNOWN = new Set(['internal', 'try_again', 'gateway', 'no_reply', 'lost']);
/** A new socket with a new token solves this error. */
const isExpired = (code: string | undefined): boolean => code === 'token_expired';

interface Answer {
  readonly ok: boolean;
  readonly code?: string | undefined;
  readonly data?: unknown;
}

export function rawClient(context: ClientContext): RoomClient {
  const { plan, room, roomId, recorder, way, random, tokens } = context;
  const { name: client, user } = plan;
  const about = { client, user, via: 'raw', room } as const;
  let wanted = false;
  let stopped = false;
  let frozen = false;
  /**
   * Whether a frozen connection exists, even one that this client has abandoned. Its other end stays open until it is
   * cut.
   */
  let isHalfOpen = false;
  let sockets = 0;
  let requests = 0;
  let messages = 0;
  let files = 0;
  let uploaded: Uploaded | undefined;
  let received: string | undefined;
  const known = knownMessages(user);
  const beginChange = changesOf(recorder, { user, client, room, limit: HTTP_LIMIT_MS });
  /** The files of sent messages, by client_message_id. */
  const fileOf = new Map<string, string>();
  let current: { readonly socket: WebSocket; readonly name: string; joined: boolean } | undefined;
  let running: Promise<void> | undefined;
  const pending = new Map<string, (answer: Answer) => void>();
  const unsure: string[] = [];

  function request(action: string, fields: object): Promise<Answer> {
    const on = current;
    if (!on) return Promise.resolve({ ok: false, code: 'lost' });
    requests += 1;
    const request_id = `${client}:${requests}`;
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle({ ok: false, code: frozen ? 'lost' : 'no_reply' }), FRAME_LIMIT_MS - 1_000);
      const settle = (answer: Answer): void => {
        clearTimeout(timer);
        pending.delete(request_id);
        resolve(answer);
      };
      pending.set(request_id, settle);
      on.socket.send(JSON.stringify({ action, request_id, ...fields }));
    });
  }

  const begin = (kind: Operation['kind'], key?: string): Operation => {
    const file = fileOf.get(key ?? '');
    return recorder.begin({
      kind,
      user,
      client,
      room,
      limit: FRAME_LIMIT_MS,
      ...(key !== undefined && { key }),
      ...(file !== undefined && { file }),
    });
  };
  const beginFile = (kind: 'upload' | 'overwrite' | 'download', more: Pick<Operation, 'file' | 'digest'>): Operation =>
    recorder.begin({ kind, user, client, room, limit: FILE_LIMIT_MS, ...more });

  function settle(operation: Operation, { ok, code, data }: Answer): void {
    const message = v.safeParse(messageSchema, data);
    if (operation.kind === 'send' && message.success) known.add(message.output);
    recorder.settle(operation, {
      outcome: ok ? 'ok' : code === undefined || UNKNOWN.has(code) ? 'unknown' : 'fail',
      ...(code !== undefined && { code }),
      ...(ok && operation.kind === 'send' && message.success && { message_id: message.output.message_id }),
    });
  }

  /** Records that this socket receives no further events of the room. */
  function outOfRoom(type: 'lost' | 'closed', reason?: string): void {
    if (!current?.joined) return;
    current.joined = false;
    recorder.saw({ ...about, type, stream: current.name, socket: current.name, ...(reason && { reason }) });
  }

  function onEvent({ type = '', data }: Frame, name: string): void {
    const message = v.safeParse(messageSchema, data);
    const participant = v.safeParse(aboutParticipant, data);
    const file = type === 'message' && message.success ? message.output.attachment?.file_id : undefined;
    const isOfMessage = MESSAGE_EVENTS.has(type);
    if (isOfMessage && message.success) known.add(message.output);
    recorder.saw({
      ...about,
      type,
      stream: name,
      socket: name,
      ...(isOfMessage &&
        message.success && {
          message_id: message.output.message_id,
          key: message.output.client_message_id,
          sender: message.output.sender_id,
          text: message.output.text,
          change: message.output.change ?? null,
        }),
      ...(file !== undefined && { file }),
      ...(participant.success && { participant: participant.output.participant_id }),
    });
    if (file !== undefined) {
      received = file;
      void downloadOne(file);
    }
    const removed = type === 'participant_removed' && participant.success && participant.output.participant_id === user;
    if (removed || type === 'room_ended') {
      wanted = false;
      outOfRoom('closed', removed ? 'removed' : 'room_ended');
    }
  }

  function onFrame(text: string, name: string): void {
    const frame = v.parse(frameSchema, text);
    if (frame.type !== undefined && frame.type !== 'reply') {
      onEvent(frame, name);
      return;
    }
    const settleOne = pending.get(frame.request_id ?? '');
    const code = frame.error?.code;
    if (settleOne) settleOne({ ok: frame.ok === true, code, data: frame.data });
    // API Gateway's own errors do not identify the rejected frame.
    else if (frame.type === undefined) for (const each of [...pending.values()]) each({ ok: false, code: 'gateway' });
    if (isExpired(code)) current?.socket.close();
  }

  /** Opens a socket. Returns undefined if that fails. */
  async function open(): Promise<{ socket: WebSocket; name: string; closed: Promise<void> } | undefined> {
    sockets += 1;
    const name = `${client}/${sockets}`;
    const token = await tokens.get().catch(() => undefined);
    if (token === undefined) return undefined;
    const socket = new WebSocket(way.url, ['rooms.v1', `bearer.${token}`], {
      headers: { [SOCKET_HEADER]: name },
      handshakeTimeout: OPEN_MS,
    });
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    const opened = await new Promise<boolean>((resolve) => {
      socket.on('open', () => resolve(true));
      void closed.then(() => resolve(false));
    });
    if (!opened) return undefined;
    return { socket, name, closed };
  }

  async function joinOnce(): Promise<void> {
    const on = current;
    if (!on || !wanted) return;
    const operation = begin('join');
    const answer = await request('join', { room_id: roomId });
    settle(operation, answer);
    if (answer.ok && current === on && wanted) {
      if (!on.joined) recorder.saw({ ...about, type: 'joined', stream: on.name, socket: on.name });
      on.joined = true;
      for (const key of unsure.splice(0)) void sendOne(key);
      return;
    }
    const { code = '' } = answer;
    if (['not_a_participant', 'room_ended', 'room_not_found'].includes(code)) {
      wanted = false;
      if (current === on) outOfRoom('closed', code);
    }
  }

  async function sendOne(key: string): Promise<void> {
    const operation = begin('send', key);
    const file = fileOf.get(key);
    const answer = await request('message', {
      room_id: roomId,
      client_message_id: key,
      text: key,
      ...(file !== undefined && { attachment: { file_id: file } }),
    });
    settle(operation, answer);
    if (operation.outcome === 'unknown' && unsure.length < 5) unsure.push(key);
  }

  async function downloadOne(file: string): Promise<void> {
    const operation = beginFile('download', { file });
    recorder.settle(operation, await download(context, file));
  }

  async function uploadOne(size: number): Promise<void> {
    files += 1;
    const name = `${client}-f${files}`;
    const bytes = contentOf(name, size);
    const operation = beginFile('upload', { digest: digestOf(bytes) });
    const { signed, ...result } = await upload(context, name, bytes);
    recorder.settle(operation, result);
    if (signed === undefined || result.file === undefined) return;
    uploaded = { file: result.file, size, signed };
    messages += 1;
    const key = `${client}-m${messages}`;
    fileOf.set(key, result.file);
    if (current?.joined) void sendOne(key);
  }

  /** Edits, deletes or marks a message over HTTP, like all clients. */
  async function change(kind: ChangeKind, message_id: string | undefined): Promise<void> {
    if (message_id === undefined) return;
    const { operation, text } = beginChange(kind, message_id);
    const params = { room_id: roomId, message_id };
    const { outcome, code, data } = await {
      edit: () => call(context.url, tokens, 'editMessage', { params, body: { text } }),
      delete: () => call(context.url, tokens, 'deleteMessage', { params }),
      mark: () => call(context.url, tokens, 'markRead', { params: { room_id: roomId }, body: { message_id } }),
    }[kind]();
    const message = v.safeParse(messageSchema, data);
    recorder.settle(operation, {
      outcome,
      ...(code !== undefined && { code }),
      ...(message.success && message.output.change && { change: message.output.change }),
    });
  }

  async function beOnline(): Promise<void> {
    while (wanted && !stopped) {
      const opened = await open();
      if (!opened) {
        await sleep(random.between(300, 1_500));
        continue;
      }
      const { socket, name, closed } = opened;
      if (stopped) return socket.terminate();
      current = { socket, name, joined: false };
      let heard = recorder.now();
      socket.on('message', (data) => {
        heard = recorder.now();
        onFrame(String(data), name);
      });
      const pinger = setInterval(() => {
        if (recorder.now() - heard > SILENT_MS) socket.terminate();
        else if (!frozen) void request('ping', {});
      }, PING_MS);
      void closed.then(() => {
        clearInterval(pinger);
        outOfRoom('lost');
        current = undefined;
        frozen = false;
        for (const each of [...pending.values()]) each({ ok: false, code: 'lost' });
      });
      while (current?.socket === socket && wanted && !current.joined) {
        await joinOnce();
        if (current?.socket === socket && wanted && !current.joined) await sleep(random.between(300, 1_200));
      }
      if (!wanted) socket.close();
      await closed;
      if (wanted && !stopped) await sleep(random.between(100, 1_500));
    }
  }

  return {
    join() {
      wanted = true;
      if (current?.joined) void joinOnce();
      running ??= beOnline().finally(() => {
        running = undefined;
      });
    },
    leave() {
      wanted = false;
      const on = current;
      if (!on) return;
      outOfRoom('lost', 'left');
      const operation = begin('leave');
      void request('leave', { room_id: roomId }).then((answer) => {
        settle(operation, answer);
        on.socket.close();
      });
    },
    send(count) {
      if (!current?.joined) return;
      for (let sent = 0; sent < count; sent += 1) {
        messages += 1;
        void sendOne(`${client}-m${messages}`);
      }
    },
    upload: (size) => void uploadOne(size),
    overwrite() {
      if (!uploaded) return;
      const { file, size, signed } = uploaded;
      const bytes = contentOf(`${file} again`, size);
      const operation = beginFile('overwrite', { file, digest: digestOf(bytes) });
      void overwrite(signed, bytes).then((result) => recorder.settle(operation, result));
    },
    download() {
      if (received !== undefined) void downloadOne(received);
    },
    edit: (of, share) => void change('edit', known.pick(of, share)),
    delete: (of, share) => void change('delete', known.pick(of, share)),
    mark: () => void change('mark', known.newest),
    cut: () => way.cut(),
    refuse(refusing) {
      way.refusing = refusing;
    },
    freeze() {
      if (!current) return;
      frozen = true;
      isHalfOpen = true;
      outOfRoom('lost', 'frozen');
      way.freeze();
    },
    slow: (ms) => way.stall(ms),
    thaw() {
      if (isHalfOpen) way.cut();
      isHalfOpen = false;
    },
    async stop() {
      stopped = true;
      wanted = false;
      current?.socket.terminate();
      await running;
      await way.close();
    },
  };
}
