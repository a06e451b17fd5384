import { ERROR_STATUS, OPERATIONS, type OperationName, type Operations } from './contract.ts';
import {
  type Issue,
  invalidRequest,
  isRetryable,
  messageOf,
  RoomsApiError,
  type RoomsErrorCode,
  retryAfterOf,
} from './errors.ts';
import type { Settings } from './options.ts';
import { abortable, backoff, deadline, sleep, timeoutError, within } from './timing.ts';

/** Options of every call. */
export interface CallOptions {
  /** Aborts the call, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** One page of a list. `next_cursor` is null on the last one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

export interface Input<Name extends OperationName> {
  readonly params?: Operations[Name]['params'];
  readonly query?: Operations[Name]['query'];
  readonly body?: Operations[Name]['body'];
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer<Data> {
  readonly data: Data;
  readonly next_cursor: string | null;
}

export type Call = <Name extends OperationName>(
  name: Name,
  input: Input<Name>,
  options?: CallOptions & {
    /** Called before each attempt. */
    readonly onTry?: () => void;
  },
) => Promise<Answer<Operations[Name]['data']>>;

export type Json = Readonly<Record<string, unknown>>;
export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
const textOr = (value: unknown, fallback: string): string => (typeof value === 'string' ? value : fallback);

/** The error codes for responses of API Gateway itself, which contain no code. */
const GATEWAY_CODES: Readonly<Record<number, RoomsErrorCode>> = {
  401: 'invalid_token',
  413: 'payload_too_large',
  429: 'too_many_requests',
  500: 'internal',
  502: 'try_again',
  503: 'try_again',
  504: 'try_again',
};

const isCode = (code: unknown): code is RoomsErrorCode => typeof code === 'string' && code in ERROR_STATUS;

/** The entries of `errors`, in an HTTP body or in a WebSocket reply. */
export function issuesOf(body: unknown): Issue[] {
  if (!isObject(body) || !Array.isArray(body.errors)) return [];
  return body.errors.filter(isObject).map(({ code, message, path }) => ({
    code: isCode(code) ? code : 'unexpected_answer',
    message: textOr(message, ''),
    ...(typeof path === 'string' && { path }),
  }));
}

/** Parses seconds or an HTTP date. Returns milliseconds. */
function retryAfterIn(header: string | null): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function failureOf(response: Response): Promise<RoomsApiError> {
  const { status, headers } = response;
  const body: unknown = await response.json().catch(() => undefined);
  const errors = issuesOf(body);
  const code = errors[0]?.code ?? GATEWAY_CODES[status];
  const said = isObject(body) ? textOr(body.message, '') : '';
  if (!code) throw notOurs(status, said);
  const message = code === 'invalid_request' && errors.length > 0 ? errors.map(issueText).join('; ') : said;
  return new RoomsApiError(code, message || `The service answered with status ${status}.`, {
    status,
    ...(errors.length > 0 && { errors }),
    requestId: headers.get('apigw-requestid') ?? undefined,
    retryAfter: retryAfterIn(headers.get('retry-after')),
  });
}

/** Returns the error for a response that comes from a proxy or another service. */
const notOurs = (status: number, said: string): RoomsApiError =>
  new RoomsApiError(
    'unexpected_answer',
    `The answer is not one of the Rooms service: status ${status}${said && ` "${said}"`}. Check the option url.`,
    { status },
  );

const issueText = ({ path, message }: Issue): string => (path ? `${path} ${message}` : message);

async function answerOf(response: Response): Promise<Answer<unknown>> {
  if (!response.ok) throw await failureOf(response);
  const body: unknown = await response.json().catch((cause) => {
    // An incomplete body counts as a network error.
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  });
  if (!isObject(body) || !('data' in body)) throw notOurs(response.status, '');
  const cursor = isObject(body.page) ? body.page.next_cursor : null;
  return { data: body.data, next_cursor: typeof cursor === 'string' ? cursor : null };
}

/** A path parameter. `.` and `..` are rejected, because URLs resolve such segments to another path. */
function segmentOf(name: string, value: unknown): string {
  if (typeof value !== 'string' || !value) throw new TypeError(`${name} must be a string that is not empty`);
  if (value === '.' || value === '..') throw invalidRequest(name, `must not be ${value}`);
  return encodeURIComponent(value);
}

const pathOf = (template: string, params: Readonly<Partial<Record<string, unknown>>>): string =>
  template.replace(/\{(\w+)\}/g, (_, name: string) => segmentOf(name, params[name]));

function queryOf(query: object): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) search.append(name, String(one));
  const text = search.toString();
  return text && `?${text}`;
}

/** Throws if a token cannot be sent in a header or as a sub-protocol. */
function requireToken(token: unknown): string {
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token;
  const what =
    typeof token === 'string' ? 'is empty, or has a space, a line break or another character' : 'is no string';
  throw new RoomsApiError('invalid_token', `The result of the option token ${what} that no access token has.`);
}

/**
 * The time after a token was replaced, in milliseconds, in which other requests that were rejected with the old token
 * use the new one. After that, the callback is called again.
 */
const RECENT_MS = 5_000;

/**
 * Gets access tokens. If several requests need a replacement for the same `refused` token, the callback is called only
 * once.
 */
export function tokens({ token: source, tokenMs }: Pick<Settings, 'token' | 'tokenMs'>) {
  const ask = (refresh: boolean): Promise<string> =>
    within(
      tokenMs,
      () => timeoutError('The token callback', tokenMs, 'tokenMs', false),
      undefined,
      async () => requireToken(await source({ refresh })),
    );
  let refreshing: Promise<string> | undefined;
  let refreshed: { readonly token: string; readonly at: number } | undefined;
  const renew = async () => {
    const token = await ask(true);
    refreshed = { token, at: Date.now() };
    return token;
  };
  return async (refresh: boolean, refused?: string): Promise<string> => {
    if (!refresh) return refreshing ?? ask(false);
    // Another request was rejected earlier and has a new token already. The comparison allows for a clock that was set
    // back since then.
    const isNewer =
      refused && refreshed && refreshed.token !== refused && Math.abs(Date.now() - refreshed.at) < RECENT_MS;
    if (!refreshing && refreshed && isNewer) return refreshed.token;
    refreshing ??= renew().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  };
}

export type Tokens = ReturnType<typeof tokens>;

/** Retries `attempt` after temporary failures. */
export async function persist<T>(
  { retries, retryInitialMs, retryMaxMs }: Pick<Settings, 'retries' | 'retryInitialMs' | 'retryMaxMs'>,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isRetryable(error) || tried >= retries) throw error;
      const asked = retryAfterOf(error);
      if (asked > retryMaxMs) throw error;
      await sleep(asked + backoff(tried, retryInitialMs, retryMaxMs), signal);
    }
  }
}

/**
 * Calls `fetch`.
 *
 * @throws `network_error` if it fails, or `timeout` if it and `read` take too long
 */
export async function fetching<T>(
  fetch: typeof globalThis.fetch,
  url: string,
  init: RequestInit,
  time: ReturnType<typeof deadline>,
  read: (response: Response) => Promise<T>,
): Promise<T> {
  try {
    // A custom fetch may ignore the signal.
    return await abortable(fetch(url, { ...init, signal: time.signal, credentials: 'omit' }).then(read), time.signal);
  } catch (error) {
    if (time.signal.aborted) throw time.signal.reason;
    if (error instanceof RoomsApiError) throw error;
    throw new RoomsApiError('network_error', `The network failed: ${messageOf(error)}`, { cause: error });
  } finally {
    time.done();
  }
}

/** The HTTP API. All operations are safe to repeat, so each one is retried. */
export function caller(settings: Settings, token: Tokens): Call {
  const { timeoutMs } = settings;
  return async (name, { params = {}, query = {}, body, headers = {} }, { signal, onTry } = {}) => {
    const { method, path } = OPERATIONS[name];
    const url = settings.url + pathOf(path, { ...params }) + queryOf(query);
    let refresh = false;
    let used: string | undefined;
    const once = async (): Promise<Answer<unknown>> => {
      signal?.throwIfAborted();
      used = await abortable(token(refresh, used), signal);
      const authorization = `Bearer ${used}`;
      const init: RequestInit = {
        method,
        headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      };
      onTry?.();
      return fetching(
        settings.fetch,
        url,
        init,
        deadline(timeoutMs, () => timeoutError(name, timeoutMs, 'timeoutMs'), signal),
        answerOf,
      );
    };
    const answer = await persist(settings, signal, async () => {
      try {
        return await once();
      } catch (error) {
        if (!(error instanceof RoomsApiError) || error.status !== 401 || refresh) throw error;
        refresh = true;
        return once();
      }
    });
    // Responses of the service match the contract. Validation here would only reject newer services.
    return answer as Answer<never>;
  };
}

/**
 * Sends one request to the HTTP API to check an access token, because a WebSocket handshake does not say why it failed.
 *
 * `refused`: 401. `good`: any other response below 500. `busy`: 429. `unreachable`: no response, or a 5xx.
 */
export async function probeToken(
  { url, fetch, openMs }: Settings,
  token: string,
  signal: AbortSignal,
): Promise<'good' | 'refused' | 'busy' | 'unreachable'> {
  const time = deadline(openMs, () => timeoutError('An answer of the HTTP API', openMs, 'openMs'), signal);
  const headers = { authorization: `Bearer ${token}` };
  const probe = `${url}${OPERATIONS.listRooms.path}?limit=1`;
  return fetching(fetch, probe, { headers }, time, async ({ status, body }) => {
    await body?.cancel();
    if (status === 401) return 'refused';
    if (status === 429) return 'busy';
    // The service may respond like this while it starts.
    return status >= 500 ? 'unreachable' : 'good';
  }).catch(() => 'unreachable' as const);
}
