import { WebSocket } from 'ws';
import { type Connection, type LiveRoom, type Message, RoomsApiError, RoomsClient } from '../../client/src/index.ts';
import { contentOf, digestOf, overwrite, type SignedPut } from './files.ts';
import { SOCKET_HEADER } from './functions.ts';
import type { Operation } from './history.ts';
import {
  type ChangeKind,
  type ClientContext,
  changesOf,
  knownMessages,
  type RoomClient,
  type Uploaded,
  type Whose,
} from './raw-client.ts';

/** The SDK's own limit: an HTTP call has 4 attempts of 15 seconds, and waits of up to 20 seconds. */
export const SDK_HTTP_LIMIT_MS = 4 * 15_000 + 3 * 20_000 + 5_000;
/** A file takes two calls: one for the signed URL, and the transfer, which may need another signed URL. */
const SDK_FILE_LIMIT_MS = 4 * SDK_HTTP_LIMIT_MS;
/** Calls that wait for the end of an outage can take as long as the faults. */
export const SDK_LIVE_LIMIT_MS = 150_000;

/** Error codes that mean that the call had no effect, and will have none. */
const REFUSALS = new Set([
  'not_a_participant',
  'not_an_admin',
  'room_not_found',
  'room_not_started',
  'room_ended',
  'participant_not_found',
  'last_admin',
  'invalid_request',
  'file_not_found',
]);

/** The outcome of a call that failed in the SDK. */
export function outcomeOf(error: unknown): Pick<Operation, 'outcome' | 'code'> {
  const code = error instanceof RoomsApiError ? error.code : error instanceof Error ? error.name : String(error);
  return { outcome: REFUSALS.has(code) ? 'fail' : 'unknown', code };
}

/** An SDK client in one room. */
export function sdkClient({
  plan,
  room,
  roomId,
  url,
  recorder,
  way,
  tokens,
}: ClientContext): RoomClient & { readonly api: RoomsClient } {
  const { name: client, user } = plan;
  const facts = { client, user, via: 'sdk', room } as const;
  let sockets = 0;
  let streams = 0;
  let messages = 0;
  let files = 0;
  let uploaded: Uploaded | undefined;
  let received: string | undefined;
  const known = knownMessages(user);
  const beginChange = changesOf(recorder, { user, client, room, limit: SDK_HTTP_LIMIT_MS });
  /**
   * `lastChange` of the room when it was last closed. The application keeps its messages, and reads their later
   * changes.
   */
  let lastChange: number | undefined;
  /** The SDK's presigned PUT requests, by file ID. */
  const signed = new Map<string, SignedPut>();
  let socket = '';
  let connection: Connection | undefined;
  let live: LiveRoom | undefined;
  /** The stream of the joined room. Undefined while it is not joined. */
  let stream: string | undefined;
  /** Whether messages come from the socket instead of the history. */
  let streaming = false;
  let frozen = false;

  class NamedWebSocket extends WebSocket {
    constructor(address: string, protocols: string[]) {
      sockets += 1;
      const name = `${client}/${sockets}`;
      super(address, protocols, { headers: { [SOCKET_HEADER]: name } });
      this.addEventListener('open', () => {
        socket = name;
      });
    }
  }
  const api = new RoomsClient({
    url,
    wsUrl: way.url,
    token: ({ refresh }) => tokens.get(refresh),
    fetch(input, init) {
      const put = init?.method === 'PUT' && typeof input === 'string' ? new URL(input) : undefined;
      const headers = Object.fromEntries([...new Headers(init?.headers)].filter(([name]) => name !== 'content-length'));
      if (put) signed.set(put.pathname.split('/').at(-1) ?? '', { url: put.href, headers });
      return fetch(input, init);
    },
    WebSocket: NamedWebSocket,
  });

  function joined(): void {
    streams += 1;
    stream = `${client}#${streams}`;
    recorder.saw({ ...facts, type: 'joined', stream, socket });
  }

  function lost(reason: string): void {
    if (stream !== undefined) recorder.saw({ ...facts, type: 'lost', stream, socket, reason });
    stream = undefined;
    streaming = false;
  }

  function watch(watched: LiveRoom): void {
    const onVersion = (type: 'message' | 'message_updated' | 'message_deleted', message: Message): void => {
      const { message_id, client_message_id: key, sender_id: sender, text, change } = message;
      const file = type === 'message' ? message.attachment?.file_id : undefined;
      known.add(message);
      recorder.saw({
        ...facts,
        type,
        message_id,
        key,
        sender,
        text,
        change,
        socket,
        ...(file !== undefined && { file }),
        ...(streaming && stream !== undefined && { stream }),
      });
      if (file === undefined) return;
      received = file;
      void download(file);
    };
    watched.on('message', (message) => onVersion('message', message));
    watched.on('message_updated', (message) => onVersion('message_updated', message));
    watched.on('message_deleted', (message) => onVersion('message_deleted', message));
    const about = (type: string, participant?: string): void =>
      recorder.saw({ ...facts, type, socket, ...(participant !== undefined && { participant }) });
    watched.on('peer_joined', ({ participant_id }) => about('peer_joined', participant_id));
    watched.on('peer_left', ({ participant_id }) => about('peer_left', participant_id));
    watched.on('participant_added', ({ participant_id }) => about('participant_added', participant_id));
    watched.on('participant_removed', ({ participant_id }) => about('participant_removed', participant_id));
    watched.on('room_updated', () => about('room_updated'));
    watched.on('room_started', () => about('room_started'));
    watched.on('room_ended', () => about('room_ended'));
    watched.on('rejoined', () => {
      joined();
      streaming = true;
    });
    watched.on('closed', ({ reason, error }) => {
      lastChange = watched.lastChange ?? lastChange;
      live = undefined;
      stream = undefined;
      streaming = false;
      const incomplete = reason === 'room_ended' && error !== undefined && error.code !== 'room_ended';
      recorder.saw({ ...facts, type: 'closed', reason: incomplete ? 'room_ended, incomplete' : reason });
    });
  }

  async function join(): Promise<void> {
    if (live) return;
    const operation = recorder.begin({ kind: 'join', user, client, room, limit: SDK_LIVE_LIMIT_MS });
    try {
      const connected = await api.connect();
      if (connected !== connection) {
        connection = connected;
        connected.on('reconnecting', () => lost('reconnecting'));
      }
      const entered = await connected.join(roomId, { lastChange });
      recorder.settle(operation, { outcome: 'ok' });
      // Two simultaneous joins return the same room.
      if (live === entered) return;
      live = entered;
      watch(entered);
      joined();
      const first = stream;
      // Messages that arrived during the join are delivered first, in the order of history.
      setTimeout(() => {
        if (stream === first) streaming = true;
      }, 50);
    } catch (error) {
      recorder.settle(operation, outcomeOf(error));
    }
  }

  async function send(file?: string): Promise<void> {
    if (!live) return;
    messages += 1;
    const key = `${client}-m${messages}`;
    const operation = recorder.begin({
      kind: 'send',
      user,
      client,
      room,
      key,
      limit: SDK_LIVE_LIMIT_MS,
      ...(file !== undefined && { file }),
    });
    const before = sockets;
    try {
      const attachment = file === undefined ? undefined : { file_id: file };
      const { message_id } = await live.send({ text: key, client_message_id: key, attachment });
      recorder.settle(operation, { outcome: 'ok', message_id });
    } catch (error) {
      const refused = outcomeOf(error);
      // With a second socket, the SDK has retried the message, and the service may still be storing the first attempt.
      recorder.settle(operation, sockets === before ? refused : { ...refused, outcome: 'unknown' });
    }
  }

  const beginFile = (kind: 'upload' | 'overwrite' | 'download', more: Pick<Operation, 'file' | 'digest'>): Operation =>
    recorder.begin({ kind, user, client, room, limit: SDK_FILE_LIMIT_MS, ...more });

  async function upload(size: number): Promise<void> {
    files += 1;
    const name = `${client}-f${files}`;
    const bytes = contentOf(name, size);
    const operation = beginFile('upload', { digest: digestOf(bytes) });
    try {
      const { file_id: file } = await api.uploadFile(roomId, bytes, { name });
      recorder.settle(operation, { outcome: 'ok', file });
      const put = signed.get(file);
      if (put) uploaded = { file, size, signed: put };
      await send(file);
    } catch (error) {
      recorder.settle(operation, outcomeOf(error));
    }
  }

  async function download(file: string): Promise<void> {
    const operation = beginFile('download', { file });
    try {
      const { blob } = await api.downloadFile(roomId, { file_id: file });
      recorder.settle(operation, { outcome: 'ok', digest: digestOf(new Uint8Array(await blob.arrayBuffer())) });
    } catch (error) {
      const isGone = error instanceof RoomsApiError && error.code === 'download_refused' && error.status === 404;
      recorder.settle(operation, isGone ? { outcome: 'fail', code: 'no_object' } : outcomeOf(error));
    }
  }

  async function change(kind: ChangeKind, message_id: string | undefined): Promise<void> {
    if (message_id === undefined) return;
    const { operation, text } = beginChange(kind, message_id);
    try {
      if (kind === 'mark') {
        await (live?.markRead(message_id) ?? api.markRead(roomId, message_id));
        return recorder.settle(operation, { outcome: 'ok' });
      }
      const { change: number } = await {
        edit: () => live?.edit(message_id, text) ?? api.editMessage(roomId, message_id, text),
        delete: () => live?.delete(message_id) ?? api.deleteMessage(roomId, message_id),
      }[kind]();
      recorder.settle(operation, { outcome: 'ok', ...(number !== null && { change: number }) });
    } catch (error) {
      const failure = outcomeOf(error);
      // For other errors, an earlier attempt of the SDK may have succeeded, which would explain the rejection of the
      // last one.
      const isRefused = kind === 'edit' && failure.code === 'not_the_sender';
      recorder.settle(operation, { ...failure, outcome: isRefused ? 'fail' : 'unknown' });
    }
  }

  return {
    api,
    upload: (size) => void upload(size),
    overwrite() {
      if (!uploaded) return;
      const { file, size, signed: put } = uploaded;
      const bytes = contentOf(`${file} again`, size);
      const operation = beginFile('overwrite', { file, digest: digestOf(bytes) });
      void overwrite(put, bytes).then((result) => recorder.settle(operation, result));
    },
    download() {
      if (received !== undefined) void download(received);
    },
    refuse(refusing) {
      way.refusing = refusing;
    },
    edit: (of: Whose, share) => void change('edit', known.pick(of, share)),
    delete: (of: Whose, share) => void change('delete', known.pick(of, share)),
    mark: () => void change('mark', known.newest),
    join: () => void join(),
    leave() {
      if (!live) return;
      const operation = recorder.begin({ kind: 'leave', user, client, room, limit: SDK_LIVE_LIMIT_MS });
      live.leave().then(
        () => recorder.settle(operation, { outcome: 'ok' }),
        (error: unknown) => recorder.settle(operation, outcomeOf(error)),
      );
    },
    send(count) {
      for (let sent = 0; sent < count; sent += 1) void send();
    },
    cut: () => way.cut(),
    freeze() {
      if (way.open() === 0) return;
      frozen = true;
      lost('frozen');
      way.freeze();
    },
    slow: (ms) => way.stall(ms),
    thaw() {
      if (frozen) way.cut();
      frozen = false;
    },
    async stop() {
      connection?.close();
      await way.close();
    },
  };
}
