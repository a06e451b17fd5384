import * as v from 'valibot';
import { OPERATIONS, type OperationName } from '../../client/src/contract.ts';
import type { Operation } from './history.ts';
import type { Tokens } from './tokens.ts';

/* The HTTP API without the SDK. Each call sends one request, so that the result of each request is known. */

/** API Gateway responds within 30 seconds, even if the function does not. */
const ANSWER_MS = 34_000;
/** Includes 10 seconds for a new access token. */
export const HTTP_LIMIT_MS = ANSWER_MS + 11_000;

export interface Call {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface CallResult {
  readonly outcome: Operation['outcome'];
  readonly code: string | undefined;
  readonly data: unknown;
  readonly cursor: string | undefined;
}

const success = v.object({
  data: v.unknown(),
  page: v.optional(v.object({ next_cursor: v.nullable(v.string()) })),
});
const failure = v.object({ errors: v.array(v.object({ code: v.string() })) });

/** Sends one request. Never throws. */
export async function call(
  url: string,
  tokens: Tokens,
  name: OperationName,
  { params = {}, query = {}, body, headers = {} }: Call,
): Promise<CallResult> {
  const { method, path } = OPERATIONS[name];
  const filled = path.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? ''));
  const search = new URLSearchParams(query).toString();
  const unknown = (code: string): CallResult => ({ outcome: 'unknown', code, data: undefined, cursor: undefined });
  const token = await tokens.get().catch(() => undefined);
  if (token === undefined) return unknown('no_token');
  try {
    const response = await fetch(`${url}${filled}${search && `?${search}`}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      signal: AbortSignal.timeout(ANSWER_MS),
      ...(body && { body: JSON.stringify(body) }),
    });
    const json: unknown = await response.json().catch(() => undefined);
    if (response.ok) {
      const { data, page } = v.parse(success, json);
      return { outcome: 'ok', code: undefined, data, cursor: page?.next_cursor ?? undefined };
    }
    const known = v.safeParse(failure, json);
    const code = (known.success ? known.output.errors[0]?.code : undefined) ?? String(response.status);
    return { outcome: response.status < 500 ? 'fail' : 'unknown', code, data: undefined, cursor: undefined };
  } catch (error) {
    const timedOut = error instanceof Error && error.name === 'TimeoutError';
    return unknown(timedOut ? 'no_reply' : 'network_error');
  }
}
