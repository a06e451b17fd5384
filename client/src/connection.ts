import type { Attachment, Message } from './contract.ts';
import { codeOf, RoomsApiError } from './errors.ts';
import { emitter } from './events.ts';
import type { UploadOptions } from './files.ts';
import type { Page, Tokens } from './http.ts';
import { tokenFacts } from './jwt.ts';
import { MAX_TIMER_MS, type Settings } from './options.ts';
import { type JoinOptions, type LiveRoom, type RoomActor, roomActor } from './room.ts';
import { openSocket, type RoomEvent, type Socket } from './socket.ts';
import { abortable, backoff, shared, sleep } from './timing.ts';

/** `idle`: no room is joined, and the service has closed the socket. The next join opens one. */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'idle' | 'closed';

/** What the listeners of each state are called with. */
export type ConnectionListeners = {
  readonly connecting: readonly [];
  readonly connected: readonly [];
  readonly reconnecting: readonly [
    attempt: { readonly attempt: number; readonly delayMs: number; readonly error: unknown },
  ];
  readonly idle: readonly [];
  readonly closed: readonly [];
};

/** A connection to the service, kept up through outages until it is closed. */
export interface Connection {
  readonly state: ConnectionState;
  /** The user, as far as the access token tells. */
  readonly userId: string | undefined;
  /** Calls `listener` at every change to that state. The function that it returns ends that. */
  on<Name extends keyof ConnectionListeners>(
    name: Name,
    listener: (...args: ConnectionListeners[Name]) => void,
  ): () => void;
  /** Joins a room. A room that is joined already is given back as it is, and options are not looked at. */
  join(roomId: string, options?: JoinOptions): Promise<LiveRoom>;
  /** Closes the socket and all rooms, for good. */
  close(): void;
}

/** What a connection needs of the HTTP API. */
export interface ConnectionHost {
  readonly settings: Settings;
  readonly token: Tokens;
  readonly readHistory: (roomId: string, limit: number, cursor: string | undefined) => Promise<Page<Message>>;
  readonly upload: (
    roomId: string,
    file: Blob | Uint8Array<ArrayBuffer>,
    options: UploadOptions,
  ) => Promise<Attachment>;
}

/** A socket that lasts this long, in milliseconds, was a good one: backoff starts anew. */
const GOOD_MS = 10_000;
/** How long before its token expires a socket is replaced, in milliseconds: at most this, at most half of its life. */
const RENEW_MS = 30_000;

type Listening = (name: string, listener: () => void) => void;

/**
 * Opens a connection. `opened` rejects when that does not work in time, and the connection is closed then; so it is when all
 * who waited have given up.
 */
export function openConnection(host: ConnectionHost): {
  readonly connection: Connection;
  readonly opened: (signal?: AbortSignal) => Promise<Connection>;
} {
  const { settings } = host;
  const listeners = emitter<ConnectionListeners>();
  const rooms = new Map<string, RoomActor>();
  /** Rooms that the service is being told of that the user has left them. */
  const leaving = new Map<string, Promise<unknown>>();
  /** Those who wait for a socket, beside the rooms. */
  const wanting = new Set<(socket: Socket) => void>();
  const closing = new AbortController();
  let state: ConnectionState = 'connecting';
  let socket: Socket | undefined;
  let userId: string | undefined;
  let lastError: unknown;
  /** Ends the wait that is going on: a reconnect's, or that of an idle connection. */
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

  /** Never resolves by time alone. */
  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      hurry = resolve;
    });

  async function open(refresh: boolean): Promise<{ socket: Socket; renewAt: number | undefined }> {
    const token = await abortable(host.token(refresh), closing.signal);
    const facts = tokenFacts(token);
    userId = facts.userId;
    const onEvent = (event: RoomEvent) => rooms.get(event.room_id)?.onEvent(event);
    const opened = await openSocket(settings, token, onEvent, closing.signal);
    if (closing.signal.aborted) {
      opened.close();
      throw closing.signal.reason;
    }
    const life = facts.expiresAt === undefined ? Number.NaN : facts.expiresAt - Date.now();
    // A token that has expired already, by our clock, but not by the service's: nothing can be planned.
    return { socket: opened, renewAt: life > 0 ? life - Math.min(RENEW_MS, life / 2) : undefined };
  }

  /** Uses a socket until it is lost. True when the next one should have a new token. */
  async function use(current: Socket, renewAt: number | undefined): Promise<boolean> {
    let renew = false;
    const timer =
      renewAt === undefined || renewAt > MAX_TIMER_MS
        ? undefined
        : setTimeout(() => {
            renew = true;
            current.close();
          }, renewAt);
    socket = current;
    enterState('connected');
    for (const room of [...rooms.values()]) room.enter(current);
    for (const give of wanting) give(current);
    wanting.clear();
    const reason = await current.closed;
    clearTimeout(timer);
    socket = undefined;
    lastError = reason;
    for (const room of [...rooms.values()]) room.suspend();
    return renew || codeOf(reason) === 'token_expired';
  }

  async function run(onOpen: () => void, onFirstFailure: (error: unknown) => void): Promise<void> {
    let attempt = 0;
    let refresh = false;
    enterState('connecting');
    while (!closing.signal.aborted) {
      const since = Date.now();
      let opened = false;
      try {
        const next = await open(refresh);
        opened = true;
        onOpen();
        refresh = await use(next.socket, next.renewAt);
        if (Date.now() - since >= GOOD_MS) attempt = 0;
      } catch (error) {
        lastError = error;
        onFirstFailure(error);
        // The handshake does not tell a refused token from a network that failed: now and then, a new one is tried.
        refresh = attempt % 4 === 0;
      }
      if (closing.signal.aborted) return;
      if (opened && rooms.size === 0 && wanting.size === 0) {
        attempt = 0;
        const wanted = idle();
        enterState('idle');
        await wanted;
        if (!closing.signal.aborted) enterState('connecting');
        continue;
      }
      const delayMs = opened && refresh ? 0 : backoff(attempt, settings.reconnectInitialMs, settings.reconnectMaxMs);
      attempt++;
      // Before anyone is told, so that a listener can cut the wait short.
      const over = pause(delayMs);
      enterState('reconnecting', { attempt, delayMs, error: lastError });
      await over;
    }
  }

  /** The browser says that the network is back: try now, and see whether the socket has survived. */
  const onOnline = () => {
    if (state === 'reconnecting') hurry();
    socket?.check();
  };
  const { addEventListener, removeEventListener } = globalThis as {
    readonly addEventListener?: Listening;
    readonly removeEventListener?: Listening;
  };
  addEventListener?.call(globalThis, 'online', onOnline);

  function close(): void {
    if (closing.signal.aborted) return;
    closing.abort(new RoomsApiError('connection_closed', 'The connection was closed.'));
    removeEventListener?.call(globalThis, 'online', onOnline);
    for (const room of [...rooms.values()]) room.close({ reason: 'connection_closed' });
    socket?.close();
    hurry();
    enterState('closed');
  }

  /** The socket there is, or the next one. */
  async function anySocket(signal: AbortSignal | undefined): Promise<Socket> {
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

  async function join(roomId: string, options: JoinOptions = {}): Promise<LiveRoom> {
    closing.signal.throwIfAborted();
    options.signal?.throwIfAborted();
    // The service handles frames side by side: a join could overtake the leave before it, and be undone by it.
    for (let left = leaving.get(roomId); left; left = leaving.get(roomId)) await abortable(left, options.signal);
    const existing = rooms.get(roomId);
    if (existing) return existing.joined(options.signal);
    const actor = roomActor(roomId, options, {
      settings,
      readPage: (limit, cursor) => host.readHistory(roomId, limit, cursor),
      upload: (file, uploadOptions) => host.upload(roomId, file, uploadOptions),
      userId: () => userId,
      socket: anySocket,
      onDetached: () => {
        if (rooms.get(roomId) === actor) rooms.delete(roomId);
      },
      onLeaving: (told) => {
        leaving.set(roomId, told);
        void told.finally(() => {
          if (leaving.get(roomId) === told) leaving.delete(roomId);
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
    join,
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
      reject(error ?? new RoomsApiError('timeout', `No connection within ${settings.connectMs / 1_000} seconds.`));
      close();
    };
    closing.signal.addEventListener('abort', () => giveUp(closing.signal.reason), { once: true });
    void run(
      () => {
        settle();
        resolve(connection);
      },
      // What the token callback throws is the application's to deal with; the network may come back.
      (error) => {
        if (codeOf(error) !== 'network_error') giveUp(error);
      },
    );
  });
  return { connection, opened: shared(opened, close) };
}
