import type {
  Attachment,
  DetachedFrame,
  EventsFrame,
  ListMessagesQuery,
  Message,
  MyRoom,
  ReadMark,
} from './contract.ts';
import { codeOf, isRetryable, RoomsApiError, retryAfterOf } from './errors.ts';
import { emitter, type Listening } from './events.ts';
import type { UploadOptions } from './files.ts';
import { followFeed } from './follow.ts';
import type { ChangesQuery } from './history.ts';
import { type CallOptions, type Page, probeToken, type Tokens } from './http.ts';
import { tokenFacts } from './jwt.ts';
import type { Settings } from './options.ts';
import { isHasty, nextAttempt, type Outcome, renewAfter, type TokenState } from './reconnect.ts';
import { roomActor } from './room.ts';
import { unpack } from './room-feeds.ts';
import type { RoomActor } from './room-host.ts';
import type { JoinOptions, LiveRoom } from './room-types.ts';
import { openSocket, type Ping, type RoomEvent, type Socket } from './socket.ts';
import { abortable, backoff, MAX_TIMER_MS, shared, sleep, timeoutError, within } from './timing.ts';

/** `idle`: no room is joined, and the service has closed the socket. The next join opens one. */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'idle' | 'closed';

/** The arguments of each state's listeners. */
export type ConnectionListeners = {
  readonly connecting: readonly [];
  readonly connected: readonly [];
  /** `error`: why there is no socket. The code is `invalid_token` if the service rejects the token. */
  readonly reconnecting: readonly [
    attempt: { readonly attempt: number; readonly delayMs: number; readonly error: unknown },
  ];
  readonly idle: readonly [];
  readonly closed: readonly [];
  /**
   * The subscription is active, or changes may have been missed. Missed changes are not delivered, so list the rooms
   * now.
   */
  readonly subscribed: readonly [];
  /** The user was added to a room. Emitted only after `subscribe`. */
  readonly added: readonly [room: { readonly room_id: string }, event: RoomEvent<'participant_added'>];
  /** The user was removed from a room. Emitted only after `subscribe`. */
  readonly removed: readonly [room: { readonly room_id: string }, event: RoomEvent<'participant_removed'>];
  /** The user has read further in a room, on another connection. Emitted only after `subscribe`. */
  readonly read: readonly [mark: ReadMark & { readonly room_id: string }, event: RoomEvent<'read'>];
};

/** A connection to the service that reconnects after outages until it is closed. */
export interface Connection extends Listening<ConnectionListeners> {
  readonly state: ConnectionState;
  /** The user, if the access token names one. */
  readonly userId: string | undefined;
  /** Joins a room. If it is already joined, returns the same room and ignores the options. */
  join(roomId: string, options?: JoinOptions): Promise<LiveRoom>;
  /**
   * Delivers `added`, `removed` and `read` from now on, when the user is added to or removed from any room, or has read
   * further. Keeps the socket open even if no room is joined. Takes at most `joinMs`.
   *
   * @throws RoomsApiError `invalid_request` if the service does not support it
   */
  subscribe(options?: CallOptions): Promise<void>;
  /** Opens the next socket now if the connection is waiting for its next attempt. */
  retry(): void;
  /** Closes the socket and all rooms permanently. */
  close(): void;
}

/** The parts of the HTTP API that a connection needs. */
export interface ConnectionHost {
  readonly settings: Settings;
  readonly token: Tokens;
  readonly api: HttpApi;
}

/** The calls of the HTTP API that joined rooms make. */
interface HttpApi {
  listMessages(roomId: string, query: ListMessagesQuery & CallOptions): Promise<Page<Message>>;
  listMessageChanges(roomId: string, query: ChangesQuery & CallOptions): Promise<Page<Message>>;
  editMessage(roomId: string, messageId: string, text: string, options?: CallOptions): Promise<Message>;
  deleteMessage(roomId: string, messageId: string, options?: CallOptions): Promise<Message>;
  markRead(roomId: string, messageId: string, options?: CallOptions): Promise<ReadMark>;
  getRoom(roomId: string, options: CallOptions): Promise<MyRoom>;
  uploadFile(roomId: string, file: Blob | Uint8Array<ArrayBuffer>, options: UploadOptions): Promise<Attachment>;
}

/** The maximum silence of a socket after the browser has reported that it is offline, in milliseconds. */
const OFFLINE_CHECK_MS = 3_000;
/** The maximum number of rooms in one ping. */
const MAX_PING_ROOMS = 50;
/** After this many failures, the client checks again whether its token is still valid. */
const PROBE_AGAIN = 4;

/** The used parts of window and document. */
interface Listened {
  addEventListener(name: string, listener: () => void): void;
  removeEventListener(name: string, listener: () => void): void;
}
interface VisiblePage extends Listened {
  readonly visibilityState: string;
}

/**
 * Opens a connection. If that fails within `connectMs`, `opened` rejects and the connection is closed. It is also
 * closed when all callers have aborted.
 */
export function openConnection(host: ConnectionHost): {
  readonly connection: Connection;
  readonly opened: (signal?: AbortSignal) => Promise<Connection>;
} {
  const { settings, api } = host;
  const listeners = emitter<ConnectionListeners>([
    'connecting',
    'connected',
    'reconnecting',
    'idle',
    'closed',
    'subscribed',
    'added',
    'removed',
    'read',
  ]);
  const rooms = new Map<string, RoomActor>();
  /** Rooms with a pending request to leave. */
  const leaving = new Map<string, Promise<unknown>>();
  /** Callers, other than rooms, that wait for a socket. */
  const wanting = new Set<(socket: Socket) => void>();
  const closing = new AbortController();
  let state: ConnectionState = 'connecting';
  let socket: Socket | undefined;
  let userId: string | undefined;
  let lastError: unknown;
  /** The token of the last attempt. */
  let token: string | undefined;
  /** A token that the HTTP API accepts. */
  let goodToken: string | undefined;
  /** The service is about to close the socket, because a room has ended or the user was removed. */
  let isClosing = false;
  let wantsSubscription = false;
  /** By socket: whether its subscription was active before the socket was lost. */
  const subscriptions = new WeakMap<Socket, Promise<boolean>>();
  /** The last event about each room since the subscription, because events can be repeated. */
  const participation = new Map<string, RoomEvent['type']>();
  /** Ends the current wait before a reconnect, or of an idle connection. */
  let hurry: () => void = () => {};

  function enterState<Name extends ConnectionState>(name: Name, ...args: ConnectionListeners[Name]): void {
    state = name;
    listeners.emit(name, ...args);
  }

  async function pause(ms: number): Promise<void> {
    const waiting = new AbortController();
    hurry = () => waiting.abort();
    await sleep(ms, waiting.signal).catch(() => {});
  }

  /** Has no time limit. */
  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      hurry = resolve;
    });

  interface Opened {
    readonly socket: Socket;
    /** The delay in milliseconds. */
    readonly renewAfterMs: number | undefined;
  }

  async function open(refresh: boolean, hasty: boolean): Promise<Opened> {
    const before = token;
    token = undefined;
    token = await abortable(host.token(refresh, before), closing.signal);
    const facts = tokenFacts(token);
    userId = facts.userId;
    const opened = await openSocket(settings, token, { onFrame, pings, isNumbered }, closing.signal);
    if (closing.signal.aborted) {
      opened.close();
      throw closing.signal.reason;
    }
    const life = facts.expiresAt === undefined ? Number.NaN : facts.expiresAt - Date.now();
    return { socket: opened, renewAfterMs: renewAfter(life, hasty) };
  }

  /** Uses a socket until it is lost. */
  async function use({ socket: current, renewAfterMs }: Opened): Promise<Outcome & { readonly kind: 'lost' }> {
    const since = Date.now();
    let renew = false;
    const timer =
      renewAfterMs === undefined || renewAfterMs > MAX_TIMER_MS
        ? undefined
        : setTimeout(() => {
            renew = true;
            current.close();
          }, renewAfterMs);
    socket = current;
    isClosing = false;
    enterState('connected');
    for (const room of [...rooms.values()]) room.enter(current);
    if (wantsSubscription) subscribeOn(current).catch(() => {});
    for (const give of wanting) give(current);
    wanting.clear();
    const reason = await current.closed;
    clearTimeout(timer);
    socket = undefined;
    lastError = reason;
    for (const room of [...rooms.values()]) room.suspend();
    userFeed.lost();
    renew ||= codeOf(reason) === 'token_expired';
    return { kind: 'lost', lastedMs: Date.now() - since, planned: isClosing && !renew, renew };
  }

  /** Finds out why the socket could not be opened, because the handshake does not contain the reason. */
  async function explain(error: unknown, failures: number): Promise<TokenState> {
    // The token callback failed. The identity provider is probably unavailable together with the service.
    if (!token) return 'unreachable';
    if (codeOf(error) !== 'network_error' || closing.signal.aborted) return 'unknown';
    if (token === goodToken && failures % PROBE_AGAIN !== 0) return 'good';
    const state = await probeToken(settings, token, closing.signal);
    goodToken = state === 'good' ? token : undefined;
    if (state === 'refused') lastError = new RoomsApiError('invalid_token', 'The service refuses the access token.');
    return state;
  }

  async function run(onOpen: () => void, onFailure: (error: unknown) => void): Promise<void> {
    let failures = 0;
    let refresh = false;
    let hasty = false;
    enterState('connecting');
    while (!closing.signal.aborted) {
      let outcome: Outcome;
      try {
        const opened = await open(refresh, hasty);
        onOpen();
        const lost = await use(opened);
        hasty = lost.renew && isHasty(lost.lastedMs);
        outcome = lost;
      } catch (error) {
        lastError = error;
        outcome = { kind: 'failed', token: await explain(error, failures) };
        // If the token was rejected, gets a new one first.
        if (outcome.token !== 'refused' || refresh) onFailure(lastError);
      }
      if (closing.signal.aborted) return;
      if (outcome.kind === 'lost' && rooms.size === 0 && wanting.size === 0 && !wantsSubscription) {
        failures = 0;
        refresh = outcome.renew;
        const wanted = idle();
        enterState('idle');
        await wanted;
        if (!closing.signal.aborted) enterState('connecting');
        continue;
      }
      const next = nextAttempt(failures, refresh, outcome, settings);
      const delayMs = Math.random() * next.longestMs;
      ({ failures, refresh } = next);
      // Before the listeners are called, so that a listener can end the wait.
      const over = pause(delayMs);
      enterState('reconnecting', { attempt: Math.max(failures, 1), delayMs, error: lastError });
      await over;
    }
  }

  function retry(): void {
    if (state === 'reconnecting') hurry();
  }

  /** The browser is online again: reconnects now, and checks whether the socket still works. */
  const onOnline = () => {
    retry();
    socket?.check();
  };
  /** The browser is offline, but the service may still be reachable. */
  const onOffline = () => socket?.check(Math.min(OFFLINE_CHECK_MS, settings.replyMs));
  /** The page is visible again, perhaps after the device slept. */
  const onVisible = () => {
    if (page?.visibilityState === 'visible') onOnline();
  };
  const browser = globalThis as Partial<Listened> & { readonly document?: VisiblePage };
  const { document: page } = browser;
  browser.addEventListener?.('online', onOnline);
  browser.addEventListener?.('offline', onOffline);
  page?.addEventListener('visibilitychange', onVisible);

  function close(): void {
    if (closing.signal.aborted) return;
    closing.abort(new RoomsApiError('connection_closed', 'The connection was closed.'));
    browser.removeEventListener?.('online', onOnline);
    browser.removeEventListener?.('offline', onOffline);
    page?.removeEventListener('visibilitychange', onVisible);
    for (const room of [...rooms.values()]) room.close({ reason: 'connection_closed' });
    socket?.close();
    hurry();
    enterState('closed');
  }

  /** Returns the current socket, or the next one. */
  async function anySocket(signal: AbortSignal): Promise<Socket> {
    closing.signal.throwIfAborted();
    if (socket) return socket;
    let give: (socket: Socket) => void = () => {};
    const next = new Promise<Socket>((resolve) => {
      give = resolve;
    });
    wanting.add(give);
    if (state === 'idle') hurry();
    try {
      return await abortable(abortable(next, closing.signal), signal);
    } finally {
      wanting.delete(give);
    }
  }

  function onFrame(frame: RoomEvent | EventsFrame | DetachedFrame): void {
    const room = rooms.get(frame.room_id);
    if (frame.type === 'detached') room?.onDetached(frame);
    else if (frame.type !== 'events') {
      if (frame.type !== 'read') room?.onEvent(frame);
      notify(frame);
    } else if (frame.feed === 'user') userFeed.take(frame.seq, unpack(frame));
    else room?.onEvents(frame);
  }

  /** Emits that the user was added to or removed from a room, or has read further. */
  function notify(event: RoomEvent): void {
    const { type, room_id, data } = event;
    if (type === 'read' && wantsSubscription && data.participant_id === userId) {
      rooms.get(room_id)?.onEvent(event);
      listeners.emit('read', { room_id, ...data }, event);
    }
    if (type !== 'participant_added' && type !== 'participant_removed') return;
    if (!wantsSubscription || data.participant_id !== userId || participation.get(room_id) === type) return;
    participation.set(room_id, type);
    if (event.type === 'participant_added') listeners.emit('added', { room_id }, event);
    else if (event.type === 'participant_removed') listeners.emit('removed', { room_id }, event);
  }

  /** Earlier changes are not delivered. */
  function startSubscription(): void {
    participation.clear();
    listeners.emit('subscribed');
  }

  /** Events for subscribers. Only with `rooms.v2`. */
  const userFeed = followFeed<RoomEvent>({
    deliver: (events) => events.forEach(notify),
    read: async () => (covered) => {
      startSubscription();
      covered.forEach(notify);
    },
    onFailure: () => {},
  });

  /** Requests the last numbers of all feeds. */
  function pings(): readonly Ping[] {
    const asked = [...rooms].flatMap(([id, room]) => {
      const take = room.ask();
      return take ? [{ id, take }] : [];
    });
    const current = socket;
    const subscribed = userFeed.isFollowing;
    const { position } = userFeed;
    const all: Ping[] = [];
    do {
      const some = asked.splice(0, MAX_PING_ROOMS);
      const isFirst = all.length === 0;
      all.push({
        frame: {
          ...(some.length > 0 && { rooms: some.map(({ id }) => id) }),
          ...(isFirst && subscribed && { subscribed }),
        },
        onReply(data) {
          if (socket !== current) return;
          for (const { id, take } of some) take(data.rooms?.[id]);
          if (!isFirst || !subscribed || !current) return;
          if (data.user !== undefined && data.user >= position) return userFeed.told(data.user);
          userFeed.lost();
          subscriptions.delete(current);
          subscribeOn(current).catch(() => {});
        },
      });
    } while (asked.length > 0);
    return all;
  }

  /** Whether every missed event would leave a gap in the numbers. */
  const isNumbered = (): boolean =>
    (!wantsSubscription || userFeed.isFollowing) && [...rooms.values()].every((room) => room.isNumbered !== false);

  /** Resolves with false if the socket is lost first. */
  function subscribeOn(current: Socket): Promise<boolean> {
    const known = subscriptions.get(current);
    if (known) return known;
    const attempt = async (): Promise<boolean> => {
      for (let tried = 0; ; tried++) {
        try {
          const { seq } = await current.request('subscribe', {});
          if (seq === undefined || seq !== userFeed.position) startSubscription();
          if (seq !== undefined && socket === current) userFeed.start(seq).forEach(notify);
          return true;
        } catch (error) {
          if (codeOf(error) === 'connection_lost') return false;
          if (!isRetryable(error)) throw error;
          const ms = retryAfterOf(error) + backoff(tried, settings.reconnectInitialMs, settings.reconnectMaxMs);
          await Promise.race([sleep(ms), current.closed]);
        }
      }
    };
    const subscribed = attempt();
    subscriptions.set(current, subscribed);
    return subscribed;
  }

  async function subscribe({ signal }: CallOptions = {}): Promise<void> {
    const before = wantsSubscription;
    wantsSubscription = true;
    const { joinMs } = settings;
    try {
      await within(
        joinMs,
        () => timeoutError('Subscribing', joinMs, 'joinMs'),
        signal,
        async (bounded) => {
          for (;;) {
            const current = await anySocket(bounded);
            if (await subscribeOn(current)) return;
            await current.closed;
            await sleep(0, bounded);
          }
        },
      );
    } catch (error) {
      wantsSubscription = before;
      throw error;
    }
  }

  async function join(id: string, options: JoinOptions = {}): Promise<LiveRoom> {
    if (typeof id !== 'string' || !id) throw new TypeError('roomId must be the id of a room');
    // The service returns IDs in lower case, even if they are requested in upper case.
    const roomId = id.toLowerCase();
    closing.signal.throwIfAborted();
    options.signal?.throwIfAborted();
    // The service processes frames in parallel, so a join could overtake an earlier leave, which would then undo it.
    for (let left = leaving.get(roomId); left; left = leaving.get(roomId)) await abortable(left, options.signal);
    const existing = rooms.get(roomId);
    if (existing) return existing.joined(options.signal);
    const actor = roomActor(roomId, options, {
      settings,
      readPage: (limit, cursor) => api.listMessages(roomId, { limit, cursor, order: 'desc' }),
      readChangesPage: (query) => api.listMessageChanges(roomId, query),
      edit: (id, text, callOptions) => api.editMessage(roomId, id, text, callOptions),
      delete: (id, callOptions) => api.deleteMessage(roomId, id, callOptions),
      markRead: (id) => api.markRead(roomId, id),
      readRoom: (signal) => api.getRoom(roomId, { signal }),
      upload: (file, uploadOptions) => api.uploadFile(roomId, file, uploadOptions),
      userId: () => userId,
      socket: anySocket,
      onDetached: (closesSocket) => {
        isClosing ||= closesSocket;
        if (rooms.get(roomId) === actor) rooms.delete(roomId);
      },
      onLeaving: (done) => {
        leaving.set(roomId, done);
        void done.finally(() => {
          if (leaving.get(roomId) === done) leaving.delete(roomId);
        });
      },
    });
    rooms.set(roomId, actor);
    if (socket) actor.enter(socket);
    else if (state === 'idle') hurry();
    return actor.joined(options.signal);
  }

  const connection: Connection = {
    get state() {
      return state;
    },
    get userId() {
      return userId;
    },
    on: listeners.on,
    once: listeners.once,
    off: listeners.off,
    join,
    subscribe,
    retry,
    close,
  };

  const opened = new Promise<Connection>((resolve, reject) => {
    const timer = setTimeout(() => giveUp(lastError), settings.connectMs);
    let pending = true;
    const settle = () => {
      pending = false;
      clearTimeout(timer);
    };
    const giveUp = (error: unknown) => {
      if (!pending) return;
      settle();
      reject(error ?? timeoutError('Connecting', settings.connectMs, 'connectMs'));
      close();
    };
    closing.signal.addEventListener('abort', () => giveUp(closing.signal.reason), { once: true });
    void run(
      () => {
        settle();
        resolve(connection);
      },
      // A network error is temporary. Any other error, such as one of the token callback, is left to the application.
      (error) => {
        if (codeOf(error) !== 'network_error') giveUp(error);
      },
    );
  });
  return { connection, opened: shared(opened, close) };
}
