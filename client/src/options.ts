import { MAX_TIMER_MS } from './timing.ts';

/** The argument of the token callback. */
export interface TokenRequest {
  /** True if the last token was rejected or is about to expire: get a new one from the identity provider. */
  readonly refresh: boolean;
}

/**
 * Returns an access token of the identity provider. It is called before every request, so it should cache the token
 * until it expires.
 */
export type TokenSource = (request: TokenRequest) => Promise<string> | string;

/** The used parts of a WebSocket. Browsers, Node, and the package `ws` have them. */
export interface WebSocketLike {
  readonly readyState: number;
  /** The sub-protocol that the service chose. */
  readonly protocol?: string;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

export interface RoomsClientOptions {
  /** The URL of the HTTP API, such as `https://abc123.execute-api.eu-central-1.amazonaws.com`. */
  readonly url: string;
  /**
   * The URL of the WebSocket API, such as `wss://def456.execute-api.eu-central-1.amazonaws.com/v1`. Default: none,
   * which disables real-time functions.
   */
  readonly wsUrl?: string | undefined;
  /** Returns the access token. */
  readonly token: TokenSource;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Default: the global `WebSocket`. */
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** How long the token callback may take, in milliseconds. Default: 15,000. */
  readonly tokenMs?: number | undefined;
  /** How long one attempt of an HTTP request may take, in milliseconds. Default: 15,000. */
  readonly timeoutMs?: number | undefined;
  /** The maximum number of retries after temporary failures. Default: 3. */
  readonly retries?: number | undefined;
  /**
   * The longest wait before the first retry, in milliseconds. It doubles each time, and the actual wait is a random
   * part of it. Default: 300.
   */
  readonly retryInitialMs?: number | undefined;
  /** The longest wait before any retry, in milliseconds. A longer `Retry-After` ends the retries. Default: 20,000. */
  readonly retryMaxMs?: number | undefined;
  /** The maximum time without progress of an upload or download, in milliseconds. Default: 60,000. */
  readonly stallMs?: number | undefined;
  /** How long the reply to a WebSocket frame may take, in milliseconds. Default: 10,000. */
  readonly replyMs?: number | undefined;
  /** How long opening a WebSocket may take, in milliseconds. Default: 10,000. */
  readonly openMs?: number | undefined;
  /** How long the first `connect` keeps trying, in milliseconds. Default: 30,000. */
  readonly connectMs?: number | undefined;
  /** How long the first join of a room keeps trying, in milliseconds. Default: 30,000. */
  readonly joinMs?: number | undefined;
  /**
   * How long `send` retries after the upload, in milliseconds. Default: 3,600,000 (1 hour). At most 23 hours: after one
   * day, the service would store a repeated message again.
   */
  readonly sendMs?: number | undefined;
  /**
   * How long an acknowledged message of the user may stay undelivered before history is read, in milliseconds. Default:
   * 5,000.
   */
  readonly lagMs?: number | undefined;
  /**
   * How often the client checks that an open WebSocket is alive, in milliseconds. If the service speaks `rooms.v2`:
   * after a silence of 1 to 4 times this, depending on the traffic. Default: 30,000.
   */
  readonly pingMs?: number | undefined;
  /**
   * The longest wait before the first reconnect, in milliseconds. It doubles each time, and the actual wait is a
   * random part of it. Default: 500.
   */
  readonly reconnectInitialMs?: number | undefined;
  /** The longest wait before any reconnect, in milliseconds. Default: 30,000. */
  readonly reconnectMaxMs?: number | undefined;
  /**
   * The maximum delay between the time in a message's ID and its storage, in milliseconds. After an outage, history is
   * read from this long before the last complete message. Default: 30,000.
   */
  readonly overlapMs?: number | undefined;
}

/** The options, with defaults for those that the application omitted. */
export type Settings = {
  readonly [Name in Exclude<keyof RoomsClientOptions, 'wsUrl' | 'WebSocket'>]-?: NonNullable<RoomsClientOptions[Name]>;
} & Pick<RoomsClientOptions, 'wsUrl' | 'WebSocket'>;

const DEFAULTS = {
  tokenMs: 15_000,
  timeoutMs: 15_000,
  retries: 3,
  retryInitialMs: 300,
  retryMaxMs: 20_000,
  stallMs: 60_000,
  replyMs: 10_000,
  openMs: 10_000,
  connectMs: 30_000,
  joinMs: 30_000,
  sendMs: 3_600_000,
  lagMs: 5_000,
  pingMs: 30_000,
  reconnectInitialMs: 500,
  reconnectMaxMs: 30_000,
  overlapMs: 30_000,
};

const requireUrl = (name: string, text: unknown, protocols: readonly string[]): string => {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (typeof text !== 'string' || !url || !protocols.includes(url.protocol))
    throw new TypeError(`${name} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`);
  return text.replace(/\/+$/, '');
};

/** The service recognizes a repeated message for one day. Later, it would store the message twice. */
export const MAX_SEND_MS = 23 * 3_600_000;

/** Throws a TypeError that contains the name of the invalid option. */
export function settingsOf(options: RoomsClientOptions): Settings {
  if (typeof options !== 'object' || !options) throw new TypeError('RoomsClient needs options: { url, token, … }');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  if (typeof options.token !== 'function') throw new TypeError('token must be a function that gives an access token');
  for (const name of Object.keys(DEFAULTS)) {
    const value: unknown = given[name];
    if (value !== undefined && !(typeof value === 'number' && value >= 0))
      throw new TypeError(`${name} must be a number that is not negative`);
    if (value !== undefined && name.endsWith('Ms'))
      given[name] = Math.min(value, name === 'sendMs' ? MAX_SEND_MS : MAX_TIMER_MS);
  }
  return {
    ...DEFAULTS,
    // A browser's fetch throws if it is called as a method of anything but the global object.
    fetch: (input, init) => globalThis.fetch(input, init),
    ...given,
    token: options.token,
    url: requireUrl('url', options.url, ['https:', 'http:']),
    wsUrl: options.wsUrl && requireUrl('wsUrl', options.wsUrl, ['wss:', 'ws:']),
  };
}
