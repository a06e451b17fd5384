import { type Actions, type EventData, type EventName, MAX_PAGE_SIZE, type Message, type MyRoom } from './contract.ts';
import { codeOf, isRetryable, RoomsApiError, type RoomsErrorCode } from './errors.ts';
import { emitter, type Feed, feed } from './events.ts';
import type { Progress, UploadOptions } from './files.ts';
import { latestMessages, missedMessages, type ReadPage, skipMessages } from './history.ts';
import type { CallOptions } from './http.ts';
import type { Settings } from './options.ts';
import { randomId } from './random.ts';
import { byId, seenMessages } from './seen.ts';
import type { RoomEvent, Socket } from './socket.ts';
import { abortable, backoff, shared, sleep } from './timing.ts';

/** Why a room gives no more events. */
export interface RoomClosed {
  readonly reason: 'left' | 'room_ended' | 'removed' | 'connection_closed' | 'refused';
  /**
   * What the service answered, where an answer was the reason. Of a room that has ended, any code but `room_ended` says why its
   * last messages could not be read: some may be missing.
   */
  readonly error?: RoomsApiError;
}

/** What the listeners of each event of a room are called with. */
export type RoomListeners = {
  readonly [Name in EventName]: readonly [data: EventData[Name], event: RoomEvent<Name>];
} & {
  /** Joined again after an outage; what was missed has been delivered. Presence may have changed meanwhile. */
  readonly rejoined: readonly [room: MyRoom];
  /** There will be no more events. Comes once, whatever the reason. */
  readonly closed: readonly [closed: RoomClosed];
};

export interface JoinOptions extends CallOptions {
  /**
   * So many of the newest messages are delivered first, before live ones and without a gap. Default: 0, only messages that
   * are stored after `join` was called.
   */
  readonly history?: number | undefined;
  /**
   * Messages that the application has already, such as a page of `listMessages` or what it kept from the last time: all
   * that are newer than the oldest of these, and not among them, are delivered first; where it has none, all there are. Not
   * together with `history`.
   */
  readonly known?: readonly Pick<Message, 'message_id'>[] | undefined;
}

export interface OutgoingMessage {
  readonly text?: string | undefined;
  /** A file that was uploaded to the room, or one to upload first. */
  readonly attachment?: { readonly file_id: string } | Blob | Uint8Array<ArrayBuffer> | undefined;
  /**
   * 1 to 128 letters, digits or `. _ : -`, which come back with the message: an application that shows messages before they
   * are stored tells its own by it, and can send one again without harm for a day. Default: a random one.
   */
  readonly client_message_id?: string | undefined;
}

export interface SendOptions extends Pick<UploadOptions, 'name' | 'contentType' | 'signal'> {
  /** Progress of the upload, where the attachment is a file. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A room that was joined. */
export interface LiveRoom {
  readonly id: string;
  /** The room, and the user's own profile and right in it, as last heard. */
  readonly info: MyRoom;
  /** Why there are no more events; undefined while there are. */
  readonly closed: RoomClosed | undefined;
  /** Calls `listener` with every event of that name. The function that it returns ends that. */
  on<Name extends keyof RoomListeners>(name: Name, listener: (...args: RoomListeners[Name]) => void): () => void;
  /** All events from this call on. The loop ends when the room is closed; leaving the loop ends nothing else. */
  events(): AsyncIterableIterator<RoomEvent, undefined>;
  /** All messages from this call on, the user's own ones too. */
  messages(): AsyncIterableIterator<Message, undefined>;
  /**
   * Sends a message, and answers with what was stored. Through outages it tries until it is acknowledged; the message is
   * stored once. Messages are stored in the order in which they were sent; one with a file to upload is when that is uploaded.
   * Where the room ends, or the user is removed, before the acknowledgement has come, it still finds out whether it was stored.
   * An abort leaves that open.
   */
  send(message: OutgoingMessage, options?: SendOptions): Promise<Message>;
  /** Gives no more events, and lets others see the user leave. */
  leave(): Promise<void>;
}

/** What a room needs of its connection. */
export interface RoomHost {
  readonly settings: Settings;
  readonly readPage: ReadPage;
  readonly upload: (
    file: Blob | Uint8Array<ArrayBuffer>,
    options: SendOptions,
  ) => Promise<{ readonly file_id: string }>;
  /** The user, as far as the token tells. */
  readonly userId: () => string | undefined;
  /** Any socket, for one more question about a room that is closed; opens one where there is none. */
  readonly socket: (signal: AbortSignal | undefined) => Promise<Socket>;
  /** The room needs no socket any more. */
  readonly onDetached: () => void;
  /** The service is being told that the user leaves; `told` resolves when it has been, or never can be. */
  readonly onLeaving: (told: Promise<unknown>) => void;
}

/** A room as its connection drives it. */
export interface RoomActor {
  readonly room: LiveRoom;
  /** Resolves when the room has been joined for the first time. When all who waited have given up, the room is left. */
  readonly joined: (signal?: AbortSignal) => Promise<LiveRoom>;
  /** There is a new socket: join on it. */
  enter(socket: Socket): void;
  /** The socket is gone. */
  suspend(): void;
  onEvent(event: RoomEvent): void;
  close(closed: RoomClosed): void;
}

/** Answers that no further try will change. */
const FINAL: ReadonlySet<RoomsErrorCode | undefined> = new Set([
  'not_a_participant',
  'room_not_found',
  'room_not_started',
  'room_ended',
  'invalid_request',
]);

const messageEvent = (data: Message): RoomEvent<'message'> => ({
  type: 'message',
  room_id: data.room_id,
  data,
  sent_at: data.sent_at,
});

const isFile = (attachment: NonNullable<OutgoingMessage['attachment']>): attachment is Blob | Uint8Array<ArrayBuffer> =>
  attachment instanceof Blob || attachment instanceof Uint8Array;

function closedError({ reason, error }: RoomClosed): RoomsApiError {
  if (reason === 'refused' && error) return error;
  if (reason === 'room_ended') return new RoomsApiError('room_ended', 'This room has ended.');
  if (reason === 'removed') return new RoomsApiError('not_a_participant', 'You were removed from this room.');
  if (reason === 'connection_closed') return new RoomsApiError('connection_closed', 'The connection was closed.');
  return new RoomsApiError('room_closed', 'You have left this room.');
}

/** Thrown to end what was going on for a socket that has been replaced. */
const SUPERSEDED = Symbol('superseded');

export function roomActor(room_id: string, { history = 0, known }: JoinOptions, host: RoomHost): RoomActor {
  if (known && history) throw new TypeError('Give history or known, not both.');
  const { settings } = host;
  const listeners = emitter<RoomListeners>();
  const feeds = new Set<Feed<RoomEvent>>();
  const seen = seenMessages(settings.overlapMs);
  /** The socket that the room is joined on, or being joined on. */
  let current: Socket | undefined;
  /** The socket that the room is joined on. */
  let ready: Socket | undefined;
  const waiting: (() => void)[] = [];
  /** Until history has been read, live events wait here. */
  let held: RoomEvent[] | undefined = [];
  let info: MyRoom | undefined;
  /** The last join that was sent. */
  let entering: Promise<unknown> | undefined;
  /** The join has been answered to the application. */
  let admitted = false;
  /** The application has been given the first messages. */
  let started = false;
  let skipped = false;
  let detached = false;
  let closed: RoomClosed | undefined;
  /** What goes with the end of the room: how it was heard of, or why the last messages may be missing. */
  let ending: RoomsApiError | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  const gone = new AbortController();

  let resolveJoined: (room: LiveRoom) => void = () => {};
  let rejectJoined: (error: unknown) => void = () => {};
  const joined = new Promise<LiveRoom>((resolve, reject) => {
    resolveJoined = resolve;
    rejectJoined = reject;
  });

  if (known) {
    const ids = known.map(({ message_id }) => message_id).sort();
    for (const id of ids) seen.add(id);
    if (ids[0]) seen.ignoreUpTo(ids[0]);
  }

  const wake = () => {
    for (const resume of waiting.splice(0)) resume();
  };

  function detach(): void {
    if (detached) return;
    detached = true;
    current = ready = undefined;
    gone.abort();
    host.onDetached();
  }

  function close(why: RoomClosed): void {
    if (closed) return;
    closed = why;
    held = [];
    detach();
    wake();
    rejectJoined(closedError(why));
    listeners.emit('closed', why);
    for (const { end } of feeds) end();
    feeds.clear();
  }

  const closeEnded = () => close({ reason: 'room_ended', ...(ending && { error: ending }) });

  /* Delivery */

  function follow({ type, data }: RoomEvent): void {
    if (!info) return;
    if (type === 'room_updated' || type === 'room_started' || type === 'room_ended') info = { ...info, ...data };
    if (type === 'participant_updated' && data.participant_id === host.userId())
      info = {
        ...info,
        ...(data.username !== undefined && { username: data.username }),
        ...(data.archive_room !== undefined && { archive_room: data.archive_room }),
        ...(data.is_admin !== undefined && { is_admin: data.is_admin }),
      };
  }

  function deliver(event: RoomEvent): void {
    if (closed || (event.type === 'message' && !seen.add(event.data.message_id))) return;
    follow(event);
    // The type and its own data are a pair, which the compiler does not see through the union.
    listeners.emit(event.type, ...([event.data, event] as unknown as RoomListeners[typeof event.type]));
    for (const { push } of feeds) push(event);
    if (event.type === 'room_ended') closeEnded();
    if (event.type === 'participant_removed' && event.data.participant_id === host.userId())
      close({ reason: 'removed' });
  }

  /** Delivers what history had and what came in meanwhile: messages in their order, then the rest. */
  function release(missed: readonly Message[]): void {
    const live = held ?? [];
    held = undefined;
    const messages = new Map(missed.map((message) => [message.message_id, message]));
    for (const event of live) if (event.type === 'message') messages.set(event.data.message_id, event.data);
    for (const message of [...messages.values()].sort(byId)) deliver(messageEvent(message));
    for (const event of live) if (event.type !== 'message') deliver(event);
  }

  function onEvent(event: RoomEvent): void {
    if (closed) return;
    if (held) held.push(event);
    else if (event.type === 'room_ended') void finish([event]);
    else deliver(event);
  }

  const readMissed = (readPage: ReadPage): Promise<Message[]> =>
    !started && history
      ? latestMessages(readPage, MAX_PAGE_SIZE, seen, history)
      : missedMessages(readPage, MAX_PAGE_SIZE, seen);

  /**
   * The room has ended. Its history can still be read, so that no message from before the end is missed: also when the way is
   * cut just now. Where it cannot be read for as long as a connection may take, `closed` has the error.
   */
  async function finish(events: readonly RoomEvent[], error?: RoomsApiError): Promise<void> {
    held = [...(held ?? []), ...events];
    ending = error;
    detach();
    const deadline = Date.now() + settings.connectMs;
    let missed: Message[] | undefined;
    for (let tried = 0; !missed && !closed; tried++)
      missed = await readMissed(host.readPage).catch(async (cause: unknown) => {
        if (!isRetryable(cause) || Date.now() >= deadline) {
          if (cause instanceof RoomsApiError) ending = cause;
          return [];
        }
        await sleep(backoff(tried, settings.reconnectInitialMs, settings.reconnectMaxMs));
        return undefined;
      });
    release(missed ?? []);
    closeEnded();
  }

  /* Joining */

  /** Tries until it works, or the socket is gone, or the answer is final; the first join takes any refusal for final. */
  async function insist<T>(socket: Socket, attempt: () => Promise<T>): Promise<T> {
    for (let tried = 0; ; tried++) {
      try {
        const result = await attempt();
        if (current !== socket) throw SUPERSEDED;
        return result;
      } catch (error) {
        if (current !== socket) throw SUPERSEDED;
        if (FINAL.has(codeOf(error)) || (!admitted && !isRetryable(error))) throw error;
        if (codeOf(error) === 'connection_lost') throw SUPERSEDED;
        await sleep(backoff(tried, settings.reconnectInitialMs, settings.reconnectMaxMs), gone.signal).catch(() => {});
        if (current !== socket) throw SUPERSEDED;
      }
    }
  }

  async function join(socket: Socket): Promise<void> {
    const readPage: ReadPage = (limit, cursor) => insist(socket, () => host.readPage(limit, cursor));
    if (!skipped && !history && !known) {
      await skipMessages(readPage, MAX_PAGE_SIZE, seen);
      skipped = true;
    }
    info = await insist(socket, () => {
      const asked = socket.request('join', { room_id });
      entering = asked;
      return asked;
    });
    ready = socket;
    wake();
    const missed = await readMissed(readPage);
    const isFirst = !admitted;
    admitted = true;
    resolveJoined(room);
    // Lets whoever awaits the join add listeners before the first event.
    if (isFirst) await sleep(0);
    // Lost again at this very moment: what was read is read again.
    if (current !== socket) throw SUPERSEDED;
    started = true;
    release(missed);
    if (!isFirst && !closed) listeners.emit('rejoined', info);
  }

  function refused(cause: unknown): void {
    const error = cause instanceof RoomsApiError ? cause : undefined;
    if (admitted && error?.code === 'room_ended') return void finish([], error);
    if (!admitted) rejectJoined(cause);
    const reason = admitted && error?.code === 'not_a_participant' ? 'removed' : 'refused';
    close({ reason, ...(error && { error }) });
  }

  function enter(socket: Socket): void {
    if (closed || detached) return;
    current = socket;
    ready = undefined;
    held ??= [];
    join(socket).catch((error: unknown) => {
      if (error !== SUPERSEDED && !closed && current === socket) refused(error);
    });
  }

  function suspend(): void {
    current = ready = undefined;
    if (!closed && !detached) held ??= [];
  }

  /* Sending */

  async function joinedSocket(signal: AbortSignal | undefined): Promise<Socket> {
    for (;;) {
      if (closed) throw closedError(closed);
      if (detached) throw closedError({ reason: 'room_ended' });
      if (ready) return ready;
      await abortable(new Promise<void>((resolve) => waiting.push(resolve)), signal);
    }
  }

  /**
   * Where to send a message: where the room is joined. One that was sent before may have been stored although the room is
   * closed by now; the service tells that of a room that is not joined, too.
   */
  async function socketFor(sentBefore: boolean, signal: AbortSignal | undefined): Promise<Socket> {
    try {
      return await joinedSocket(signal);
    } catch (error) {
      if (sentBefore && FINAL.has(codeOf(error))) return host.socket(signal);
      throw error;
    }
  }

  async function sendUntilAcknowledged(
    frame: Omit<Actions['message']['frame'], 'room_id'>,
    signal: AbortSignal | undefined,
  ): Promise<Message> {
    for (let tried = 0; ; tried++) {
      const socket = await socketFor(tried > 0, signal);
      try {
        const request = socket.request('message', { room_id, ...frame });
        const message = await abortable(request, signal);
        // Should the broadcast of it be late or lost, the sender has seen it all the same.
        onEvent(messageEvent(message));
        // Joined this very moment: the timer of the join, which gives events out, comes before this one.
        if (!started) await sleep(0);
        return message;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isRetryable(error)) throw error;
        if (codeOf(error) === 'connection_lost' && !detached) {
          if (ready === socket) ready = undefined;
        } else await sleep(backoff(tried, settings.retryInitialMs, settings.retryMaxMs), signal);
      }
    }
  }

  async function send(message: OutgoingMessage, options: SendOptions = {}): Promise<Message> {
    const { text, attachment, client_message_id = randomId() } = message;
    const file = attachment && isFile(attachment) ? await host.upload(attachment, options) : attachment;
    const sent = queue.then(() => {
      options.signal?.throwIfAborted();
      return sendUntilAcknowledged(
        { client_message_id, ...(text && { text }), ...(file && { attachment: { file_id: file.file_id } }) },
        options.signal,
      );
    });
    queue = sent.catch(() => {});
    return sent;
  }

  async function leave(): Promise<void> {
    const socket = current;
    close({ reason: 'left' });
    if (!socket) return;
    const tell = async (): Promise<void> => {
      // The service handles frames side by side: a leave could overtake the join that it is to undo.
      await entering?.catch(() => {});
      // Where it cannot be told, the service notices that nobody is there.
      await socket.request('leave', { room_id }).catch(() => {});
    };
    const told = Promise.race([tell(), socket.closed]);
    host.onLeaving(told);
    await told;
  }

  function subscribe(): Feed<RoomEvent> {
    const events = feed<RoomEvent>(() => feeds.delete(events));
    if (closed) events.end();
    else feeds.add(events);
    return events;
  }

  function messages(): AsyncIterableIterator<Message, undefined> {
    const own = feed<Message>(() => stop());
    const stopMessages = listeners.on('message', own.push);
    const stopClosed = listeners.on('closed', own.end);
    const stop = () => {
      stopMessages();
      stopClosed();
    };
    if (closed) own.end();
    return own.iterator;
  }

  const room: LiveRoom = {
    id: room_id,
    get info() {
      if (!info) throw new Error('The room has not been joined.');
      return info;
    },
    get closed() {
      return closed;
    },
    on: listeners.on,
    events: () => subscribe().iterator,
    messages,
    send,
    leave,
  };
  return { room, joined: shared(joined, () => void leave()), enter, suspend, onEvent, close };
}
