import {
  type ActionName,
  type Actions,
  BEARER_SUB_PROTOCOL,
  ERROR_STATUS,
  type EventData,
  type EventName,
  SUB_PROTOCOL,
} from './contract.ts';
import { RoomsApiError, type RoomsErrorCode } from './errors.ts';
import type { Settings, WebSocketConstructor, WebSocketLike } from './options.ts';

/** An event of a room, as the service sends it. */
export type RoomEvent<Name extends EventName = EventName> = {
  readonly [N in Name]: {
    readonly type: N;
    readonly room_id: string;
    readonly data: EventData[N];
    /** When the service sent it. */
    readonly sent_at: string;
  };
}[Name];

/** One open WebSocket. */
export interface Socket {
  /** Sends a frame and answers with the data of its reply. Rejects with the reply's error, `timeout`, or `connection_lost`. */
  request<Name extends ActionName>(action: Name, frame: Actions[Name]['frame']): Promise<Actions[Name]['data']>;
  /** Sees whether anyone is there: a socket that is dead is closed. */
  check(): void;
  close(): void;
  /** Resolves when the socket is closed or dead, with the reason: `connection_lost` or `token_expired`. */
  readonly closed: Promise<RoomsApiError>;
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;

interface Pending {
  readonly resolve: (data: unknown) => void;
  readonly reject: (error: RoomsApiError) => void;
}

function replyError(error: unknown): RoomsApiError {
  const { code, message } = isObject(error) ? error : {};
  const known = typeof code === 'string' && code in ERROR_STATUS;
  // A code that is newer than this client.
  return new RoomsApiError(known ? (code as RoomsErrorCode) : 'unexpected_answer', String(message ?? code));
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
  if (!found) throw new TypeError('There is no global WebSocket here: pass one as the option WebSocket.');
  return found;
};

/**
 * Opens a WebSocket, unless `signal` aborts before it is open. The token goes as a sub-protocol: browsers can set no header, and
 * a URL ends up in logs.
 */
export function openSocket(
  { wsUrl, WebSocket, openMs, replyMs, pingMs }: Settings,
  token: string,
  onEvent: (event: RoomEvent) => void,
  signal: AbortSignal,
): Promise<Socket> {
  if (!wsUrl) throw new TypeError('Real time needs the option wsUrl.');
  const ws: WebSocketLike = new (webSocketOf(WebSocket))(wsUrl, [SUB_PROTOCOL, BEARER_SUB_PROTOCOL + token]);
  const pending = new Map<string, Pending>();
  let sent = 0;
  let received = 0;
  let pinger: ReturnType<typeof setTimeout> | undefined;
  let end: (reason: RoomsApiError) => void = () => {};
  const closed = new Promise<RoomsApiError>((resolve) => {
    end = resolve;
  });

  let dead: RoomsApiError | undefined;

  /** Does not wait for the other side: on a dead socket, it would never say good-bye. */
  function drop(message: string, code: 'connection_lost' | 'token_expired' = 'connection_lost'): void {
    if (dead) return;
    const lost = new RoomsApiError('connection_lost', message);
    dead = lost;
    ws.onopen = ws.onmessage = ws.onclose = null;
    // `ws` throws what nobody listens to.
    ws.onerror = () => {};
    clearTimeout(pinger);
    ws.close();
    for (const { reject } of pending.values()) reject(lost);
    pending.clear();
    end(code === 'connection_lost' ? lost : new RoomsApiError(code, message));
  }

  const request: Socket['request'] = (action, frame) =>
    new Promise((resolve, reject) => {
      if (dead) return reject(dead);
      const request_id = String(++sent);
      const before = received;
      const timer = setTimeout(() => {
        pending.delete(request_id);
        reject(new RoomsApiError('timeout', `No reply to "${action}" within ${replyMs / 1_000} seconds.`));
        // A lost reply is one thing, a silent socket another.
        if (received === before) drop('The connection went silent.');
      }, replyMs);
      pending.set(request_id, {
        resolve: (data) => {
          clearTimeout(timer);
          resolve(data as Actions[typeof action]['data']);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      // Throws only while connecting; what is sent into a closed socket is lost, and reported as such by `drop`.
      ws.send(JSON.stringify({ action, request_id, ...frame }));
    });

  function check(): void {
    clearTimeout(pinger);
    pinger = setTimeout(check, pingMs);
    // What is wrong is dealt with where it is noticed.
    request('ping', {}).catch(() => {});
  }

  function onFrame(data: unknown): void {
    received++;
    const frame = parse(data);
    if (frame.type === 'reply') {
      const id = String(frame.request_id);
      const waiting = pending.get(id);
      const error = frame.ok === true ? undefined : replyError(frame.error);
      // With a new token on a new socket, what was refused is sent again.
      if (error?.code === 'token_expired') drop(error.message, 'token_expired');
      pending.delete(id);
      if (error) waiting?.reject(error);
      else waiting?.resolve(frame.data);
    } else if (typeof frame.type === 'string' && typeof frame.room_id === 'string') {
      // The service says what the contract says; a check here would only refuse newer services.
      onEvent(frame as unknown as RoomEvent);
    }
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
    const timer = setTimeout(() => fail(`The WebSocket did not open within ${openMs / 1_000} seconds.`), openMs);
    const onAbort = () => fail('The connection was closed.');
    signal.addEventListener('abort', onAbort, { once: true });
    let why = 'The WebSocket could not be opened: the network failed, or the access token was refused';
    ws.onerror = ({ message }: { readonly message?: unknown }) => {
      if (typeof message === 'string' && message) why = `${why} (${message})`;
    };
    ws.onclose = () => fail(`${why}.`);
    ws.onmessage = ({ data }: { readonly data: unknown }) => onFrame(data);
    ws.onopen = () => {
      settle();
      ws.onerror = () => {};
      ws.onclose = ({ code, reason }: { readonly code?: number; readonly reason?: string }) =>
        drop(`The connection was closed (${[code, reason].filter(Boolean).join(' ')}).`);
      pinger = setTimeout(check, pingMs);
      resolve({ request, check, close: () => drop('The connection was closed.'), closed });
    };
  });
}
