import {
  type ActionName,
  type Actions,
  BEARER_SUB_PROTOCOL,
  type DetachedFrame,
  ERROR_STATUS,
  type EventData,
  type EventName,
  type EventsFrame,
  MAX_FRAME_BYTES,
  SUB_PROTOCOL,
  SUB_PROTOCOL_V2,
} from './contract.ts';
import { messageOf, RoomsApiError, type RoomsErrorCode } from './errors.ts';
import { isObject, issuesOf, type Json } from './http.ts';
import type { Settings, WebSocketConstructor, WebSocketLike } from './options.ts';
import { pingSchedule } from './ping-schedule.ts';
import { timeoutError } from './timing.ts';

/** An event of a room in the service's format. */
export type RoomEvent<Name extends EventName = EventName> = {
  readonly [N in Name]: {
    readonly type: N;
    readonly room_id: string;
    readonly data: EventData[N];
    /** The time at which the service sent it. */
    readonly sent_at: string;
  };
}[Name];

/** A ping to send, and the handler of its reply. */
export interface Ping {
  readonly frame: Actions['ping']['frame'];
  readonly onReply: (data: Actions['ping']['data']) => void;
}

/** The parts of a connection that a socket uses. */
export interface SocketHost {
  /** An event of `rooms.v1`, or a frame of `rooms.v2`. */
  onFrame(frame: RoomEvent | EventsFrame | DetachedFrame): void;
  /** Returns the pings that are due: at least one. */
  pings(): readonly Ping[];
  /** Whether silence alone makes a ping due, because every missed event would leave a gap in the numbers. */
  isNumbered(): boolean;
}

/** One open WebSocket. */
export interface Socket {
  /** Whether the handshake chose `rooms.v2`. During a deployment of the service, it can be wrong. */
  readonly speaksV2: boolean;
  /** Sends a frame and returns the data of its reply. Rejects with the reply's error, `payload_too_large`, `timeout`, or `connection_lost`. */
  request<Name extends ActionName>(action: Name, frame: Actions[Name]['frame']): Promise<Actions[Name]['data']>;
  /** Sends pings. Closes the socket if no frame arrives within `ms` milliseconds. Default: the option `replyMs`. */
  check(ms?: number): void;
  close(): void;
  /** Resolves when the socket is closed or dead, with the reason: `connection_lost` or `token_expired`. */
  readonly closed: Promise<RoomsApiError>;
}

interface Pending {
  /** Length of the frame, in bytes. */
  readonly bytes: number;
  readonly resolve: (data: unknown) => void;
  readonly reject: (error: RoomsApiError) => void;
}

/**
 * Close codes with which a server rejects a frame instead of the connection: unsupported data, invalid data, too big.
 */
const REFUSED_FRAME: ReadonlySet<number | undefined> = new Set([1003, 1007, 1009]);

function replyError(error: unknown): RoomsApiError {
  const { code, message, retry_after } = isObject(error) ? error : {};
  const known = typeof code === 'string' && code in ERROR_STATUS;
  const errors = issuesOf(error);
  // A code that this client version does not know.
  return new RoomsApiError(known ? (code as RoomsErrorCode) : 'unexpected_answer', String(message ?? code), {
    ...(errors.length > 0 && { errors }),
    ...(typeof retry_after === 'number' && { retryAfter: retry_after * 1_000 }),
  });
}

/** Returns the error for a response of API Gateway itself about a frame that did not reach the service. */
function gatewayError(message: string): RoomsApiError {
  const isThrottled = /limit exceeded|too many requests|throttl/i.test(message);
  return new RoomsApiError(isThrottled ? 'too_many_requests' : 'try_again', `The gateway refused a frame: ${message}.`);
}

function parse(data: unknown): Json {
  if (typeof data !== 'string') return {};
  try {
    const frame: unknown = JSON.parse(data);
    return isObject(frame) ? frame : {};
  } catch {
    return {};
  }
}

const webSocketOf = (given: WebSocketConstructor | undefined): WebSocketConstructor => {
  const found = given ?? (globalThis as { readonly WebSocket?: WebSocketConstructor }).WebSocket;
  if (!found) throw new TypeError('There is no global WebSocket: pass one as the option WebSocket');
  return found;
};

/** The token is sent as a sub-protocol, because browsers cannot set headers, and URLs are logged. */
function construct({ wsUrl, WebSocket }: Pick<Settings, 'wsUrl' | 'WebSocket'>, token: string): WebSocketLike {
  if (!wsUrl) throw new TypeError('Real time needs the option wsUrl');
  const Constructor = webSocketOf(WebSocket);
  try {
    return new Constructor(wsUrl, [SUB_PROTOCOL_V2, SUB_PROTOCOL, BEARER_SUB_PROTOCOL + token]);
  } catch (cause) {
    throw new RoomsApiError(
      'invalid_token',
      `The WebSocket cannot be made: ${messageOf(cause)}. Check wsUrl, and that the access token is a JWT.`,
      { cause },
    );
  }
}

/**
 * How often due pings are checked, in milliseconds. Frequent checks are necessary because timers stop while a device
 * sleeps, but the clock does not.
 */
const TICK_MS = 10_000;

/** Opens a WebSocket, unless `signal` aborts before it is open. */
export function openSocket(settings: Settings, token: string, host: SocketHost, signal: AbortSignal): Promise<Socket> {
  const { openMs, replyMs, pingMs } = settings;
  const ws = construct(settings, token);
  const pending = new Map<string, Pending>();
  let sent = 0;
  let received = 0;
  let ticker: ReturnType<typeof setTimeout> | undefined;
  let schedule = pingSchedule(pingMs, Date.now());
  let end: (reason: RoomsApiError) => void = () => {};
  const closed = new Promise<RoomsApiError>((resolve) => {
    end = resolve;
  });

  let dead: RoomsApiError | undefined;

  function rejectAll(error: RoomsApiError): void {
    const all = [...pending.values()];
    pending.clear();
    for (const { reject } of all) reject(error);
  }

  /** Does not wait for the close handshake, which would never finish on a dead socket. */
  function drop(message: string, code: 'connection_lost' | 'token_expired' = 'connection_lost'): void {
    if (dead) return;
    const lost = new RoomsApiError('connection_lost', message);
    dead = lost;
    ws.onopen = ws.onmessage = ws.onclose = null;
    // The package `ws` throws an error without a listener.
    ws.onerror = () => {};
    clearTimeout(ticker);
    ws.close();
    rejectAll(lost);
    end(code === 'connection_lost' ? lost : new RoomsApiError(code, message));
  }

  function send<Name extends ActionName>(
    action: Name,
    frame: Actions[Name]['frame'],
    ms: number,
    option: string,
  ): Promise<Actions[Name]['data']> {
    return new Promise((resolve, reject) => {
      if (dead) return reject(dead);
      const request_id = String(++sent);
      const text = JSON.stringify({ action, request_id, ...frame });
      // API Gateway would close the connection after such a frame.
      const bytes = new TextEncoder().encode(text).length;
      if (bytes > MAX_FRAME_BYTES)
        return reject(new RoomsApiError('payload_too_large', `A frame must be at most ${MAX_FRAME_BYTES} bytes.`));
      const before = received;
      const timer = setTimeout(() => {
        pending.delete(request_id);
        reject(timeoutError(`The reply to "${action}"`, ms, option));
        // One reply can be lost on a working socket. Only complete silence means that the socket is dead.
        if (received === before) drop('The connection went silent.');
      }, ms);
      pending.set(request_id, {
        bytes,
        resolve: (data) => {
          clearTimeout(timer);
          resolve(data as Actions[Name]['data']);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      // Throws only while the socket is connecting. A frame that is sent into a closed socket is lost, which `drop`
      // reports.
      ws.send(text);
      schedule.sent(Date.now());
    });
  }

  function check(ms = replyMs): void {
    if (dead) return;
    schedule.pinged(Date.now());
    // `send` handles lost replies.
    for (const { frame, onReply } of host.pings()) send('ping', frame, ms, 'replyMs').then(onReply, () => {});
    waitForPing();
  }

  function waitForPing(): void {
    clearTimeout(ticker);
    const since = Date.now();
    const dueAt = () => schedule.dueAt(host.isNumbered());
    ticker = setTimeout(
      () => {
        const now = Date.now();
        // After the clock was set back, the elapsed time is unknown.
        if (now >= dueAt() || now < since) check();
        else waitForPing();
      },
      Math.min(dueAt() - since, TICK_MS),
    );
  }

  function onReply(frame: Json): void {
    const error = frame.ok === true ? undefined : replyError(frame.error);
    // The request is sent again with a new token on a new socket.
    if (error?.code === 'token_expired') drop(error.message, 'token_expired');
    // The frame's request_id could not be read. It is most likely the oldest one.
    const id = typeof frame.request_id === 'string' ? frame.request_id : ([...pending.keys()][0] ?? '');
    const waiting = pending.get(id);
    pending.delete(id);
    if (error) waiting?.reject(error);
    else waiting?.resolve(frame.data);
  }

  function onFrame(data: unknown): void {
    received++;
    const frame = parse(data);
    const isReply = frame.type === 'reply';
    schedule.heard(Date.now(), !isReply);
    if (isReply) onReply(frame);
    else if (typeof frame.type === 'string' && typeof frame.room_id === 'string')
      // Frames of the service match the contract. Validation here would only reject newer services.
      host.onFrame(frame as unknown as RoomEvent);
    else if (typeof frame.message === 'string')
      // API Gateway does not identify the frame that it rejected. All frames can be sent again safely.
      rejectAll(gatewayError(frame.message));
  }

  function onClose({ code, reason }: { readonly code?: number; readonly reason?: string }): void {
    const why = [code, reason].filter(Boolean).join(' ');
    const [largest] = [...pending.values()].sort((a, b) => b.bytes - a.bytes);
    // If the same frame were sent again, it would close the next socket, too.
    if (REFUSED_FRAME.has(code))
      largest?.reject(
        new RoomsApiError('payload_too_large', `The gateway refused a frame and closed the connection (${why}).`),
      );
    drop(`The connection was closed (${why}).`);
  }

  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (message: string) => {
      settle();
      drop(message);
      reject(new RoomsApiError('network_error', message));
    };
    const timer = setTimeout(() => fail(timeoutError('Opening the WebSocket', openMs, 'openMs').message), openMs);
    const onAbort = () => fail('The connection was closed.');
    signal.addEventListener('abort', onAbort, { once: true });
    let why = 'The WebSocket could not be opened. Check wsUrl and the network';
    ws.onerror = ({ message }: { readonly message?: unknown }) => {
      if (typeof message === 'string' && message) why = `${why} (${message})`;
    };
    ws.onclose = () => fail(`${why}.`);
    ws.onmessage = ({ data }: { readonly data: unknown }) => onFrame(data);
    ws.onopen = () => {
      settle();
      ws.onerror = () => {};
      ws.onclose = onClose;
      schedule = pingSchedule(pingMs, Date.now());
      waitForPing();
      resolve({
        speaksV2: ws.protocol === SUB_PROTOCOL_V2,
        request: (action, frame) => send(action, frame, replyMs, 'replyMs'),
        check,
        close: () => drop('The connection was closed.'),
        closed,
      });
    };
  });
}
