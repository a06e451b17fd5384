import type { APIGatewayProxyEventV2WithJWTAuthorizer } from 'aws-lambda';
import * as v from 'valibot';
import { type Issue, invalid, RoomsError } from '../contract/errors.ts';
import { userId } from '../contract/fields.ts';
import { MAX_BODY_BYTES } from '../contract/limits.ts';
import type { Call, Route } from '../contract/route.ts';
import { issuesOf } from '../platform/issues.ts';
import { parseJsonObject } from '../platform/json.ts';

type Event = APIGatewayProxyEventV2WithJWTAuthorizer;
type Entries = Readonly<Record<string, { readonly type: string; readonly wrapped?: { readonly type: string } }>>;

const NUMBER = /^-?\d+(\.\d+)?$/;
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);

/** Returns the calling user. The authorizer has verified the token, but not that its `sub` is a valid user ID. */
function callerOf(event: Event): string {
  const parsed = v.safeParse(userId, event.requestContext.authorizer.jwt.claims.sub);
  if (!parsed.success) throw new RoomsError('invalid_token');
  return parsed.output;
}

/** Converts each query parameter to the type of its field, because numbers, booleans and lists arrive as text. */
function queryOf(raw: string, entries: Entries, issues: Issue[]): Record<string, unknown> {
  const search = new URLSearchParams(raw);
  // Without a prototype, `__proto__` is an ordinary key, and is rejected like any unknown one.
  const query: Record<string, unknown> = Object.create(null);
  for (const name of new Set(search.keys())) {
    const values = search.getAll(name);
    const [value = ''] = values;
    const field = Object.hasOwn(entries, name) ? entries[name] : undefined;
    const type = (field?.wrapped ?? field)?.type;
    if (type === 'array') query[name] = values;
    else if (values.length > 1) issues.push({ path: name, message: 'must be given only once' });
    else if (type === 'number' && NUMBER.test(value)) query[name] = Number(value);
    else query[name] = type === 'boolean' ? (BOOLEANS.get(value) ?? value) : value;
  }
  return query;
}

function textOf({ body = '', isBase64Encoded }: Event): string {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > MAX_BODY_BYTES)
    throw new RoomsError('payload_too_large', [{ message: `The body must be at most ${MAX_BODY_BYTES} bytes.` }]);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim();
  } catch {
    throw invalid({ message: 'The body must be UTF-8.' });
  }
}

function bodyOf(route: Route, event: Event): unknown {
  if (!route.body) {
    if (event.body?.trim()) throw invalid({ message: `${route.method} ${route.path} takes no body.` });
    return {};
  }
  const text = textOf(event);
  if (text === '') {
    if (route.bodyOptional) return {};
    throw invalid({ message: `${route.method} ${route.path} needs a JSON body.` });
  }
  try {
    return parseJsonObject(text);
  } catch {
    throw invalid({ message: 'The body must be a JSON object.' });
  }
}

/**
 * Returns the input of a route's handler.
 *
 * @throws `invalid_request` with one entry for every issue, `invalid_token`, or `payload_too_large`
 */
export function parseRequest<R extends Route>(route: R, event: Event, now: string): Call<R> {
  const caller = callerOf(event);
  const issues: Issue[] = [];
  const check = (schema: v.GenericSchema<unknown, unknown> | undefined, input: unknown): unknown => {
    if (!schema) return {};
    const parsed = v.safeParse(schema, input, { abortPipeEarly: true });
    if (!parsed.success) issues.push(...issuesOf(parsed.issues, schema));
    return parsed.output;
  };
  const query = route.query ?? v.strictObject({});
  const headers = Object.keys(route.headers?.entries ?? {}).flatMap((name) =>
    event.headers[name] === undefined ? [] : [[name, event.headers[name]]],
  );
  const call = {
    caller,
    now,
    params: check(route.params, event.pathParameters ?? {}),
    query: check(query, queryOf(event.rawQueryString, query.entries, issues)),
    headers: check(route.headers, Object.fromEntries(headers)),
    body: check(route.body, bodyOf(route, event)),
  };
  if (issues.length > 0) throw invalid(...issues);
  // The cast is safe: the schemas from which Call is inferred have just validated the values.
  return call as unknown as Call<R>;
}
