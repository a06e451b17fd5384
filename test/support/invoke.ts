import type { Context } from 'aws-lambda';
import * as v from 'valibot';
import { expect } from 'vitest';
import { ERRORS, type ErrorCode } from '../../core/contract/errors.ts';
import { routes } from '../../core/contract/index.ts';
import { type Answer, COMMON_ERRORS, type Route } from '../../core/contract/route.ts';
import type * as table from '../../core/contract/routes.ts';
import { context, handlerOf, httpEvent, type Operation, type Request, TOKEN } from '../fixtures/event.ts';
import { type Trace, traced } from '../fixtures/trace.ts';
import { expectWithin } from './access.ts';
import { type LogLine, logged } from './logs.ts';

export { context, httpEvent, type Operation, type Request, runningOut } from '../fixtures/event.ts';

/*
 * Invokes HTTP handlers with API Gateway events. Checks every response against the contract: shape, status, codes and
 * headers. Also checks that the function used only permitted actions.
 */

/** The type of `data` in a response: an array of items for lists. */
export type Data<Op extends Operation> =
  Answer<(typeof table)[Op]> extends { readonly items: readonly (infer Item)[] } ? Item[] : Answer<(typeof table)[Op]>;

interface Common {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly requestId: string;
  readonly trace: Trace;
  readonly log: LogLine;
}
export interface Success<Op extends Operation> extends Common {
  readonly ok: true;
  readonly data: Data<Op>;
  readonly page: { readonly size: number; readonly next_cursor: string | null } | undefined;
}
export interface Failure extends Common {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly message: string;
  readonly errors: readonly {
    readonly code: ErrorCode;
    readonly message: string;
    readonly path?: string | undefined;
  }[];
}
export type Reply<Op extends Operation> = Success<Op> | Failure;

const sentAt = v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/));
const failure = v.strictObject({
  message: v.string(),
  errors: v.pipe(
    v.array(
      v.strictObject({
        code: v.picklist(Object.keys(ERRORS) as ErrorCode[]),
        message: v.pipe(v.string(), v.minLength(1)),
        path: v.optional(v.string()),
      }),
    ),
    v.minLength(1),
  ),
  sent_at: sentAt,
});
const page = v.strictObject({ size: v.number(), next_cursor: v.nullable(v.string()) });

/** Invokes the handler of a route. Fails the test if the response does not match the contract. */
export async function invoke<Op extends Operation>(
  operation: Op,
  request: Request,
  within: Context = context,
): Promise<Reply<Op>> {
  const route = routes[operation];
  const event = httpEvent(route, request);
  const handler = await handlerOf(route);
  const {
    result: { result, trace },
    lines,
  } = await logged(() => traced(() => handler(event, within)));

  expectWithin(operation, route.access, trace);
  const [log, ...more] = lines;
  if (!log || more.length > 0) throw new Error(`${operation} must log one line, not ${JSON.stringify(lines)}`);
  expect(JSON.stringify(log)).not.toContain(TOKEN.split('.')[1]);

  const status = result.statusCode ?? 0;
  expect(result.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' });
  const common = { status, headers: result.headers ?? {}, requestId: event.requestContext.requestId, trace, log };
  const json: unknown = JSON.parse(result.body ?? '');
  if (status === route.status) return { ok: true, ...common, ...successOf<Op>(route, json) };

  const { message, errors } = v.parse(failure, json);
  const [first] = errors;
  if (!first) throw new Error('A failure has at least one error.');
  const { code } = first;
  const documented: readonly ErrorCode[] = [...COMMON_ERRORS, ...route.errors];
  for (const error of errors) expect(documented, `${operation} does not list ${error.code}`).toContain(error.code);
  expect(new Set(errors.map((error) => error.code)).size).toBe(1);
  // The request to revoke the right of a user who is not a participant is sent as a write, which has no effect.
  if (!(operation === 'revokeAdmin' && code === 'participant_not_found'))
    expect(trace.writes, `${operation} wrote, although it was refused`).toBe(0);
  expect({ status, message }).toEqual({ status: ERRORS[code].status, message: ERRORS[code].message });
  return { ok: false, ...common, code, message, errors };
}

const single = v.strictObject({ data: v.unknown(), sent_at: sentAt });
const list = v.strictObject({ ...single.entries, page });

function successOf<Op extends Operation>(route: Route, json: unknown): Pick<Success<Op>, 'data' | 'page'> {
  const envelope = route.list ? v.parse(list, json) : { ...v.parse(single, json), page: undefined };
  const data = v.parse(route.list ? v.array(route.data) : route.data, envelope.data);
  // Parsing removes fields that the schema does not have.
  expect(envelope.data).toEqual(data);
  if (envelope.page && Array.isArray(data)) expect(envelope.page.size).toBe(data.length);
  return { data: data as Data<Op>, page: envelope.page };
}

/** Sends a request that must succeed. Returns the response. */
export async function succeed<Op extends Operation>(
  operation: Op,
  request: Request,
  within?: Context,
): Promise<Success<Op>> {
  const reply = await invoke(operation, request, within);
  if (reply.ok) return reply;
  throw new Error(
    `${operation} was refused: ${JSON.stringify(reply.errors)} ${reply.status >= 500 ? JSON.stringify(reply.log) : ''}`,
  );
}

/** Sends a request that must succeed. Returns its `data`. */
export const data = async <Op extends Operation>(
  operation: Op,
  request: Request,
  within?: Context,
): Promise<Data<Op>> => (await succeed(operation, request, within)).data;

/** Sends a request that must be rejected. Returns the response. */
export async function refused(operation: Operation, request: Request, within?: Context): Promise<Failure> {
  const reply = await invoke(operation, request, within);
  if (!reply.ok) return reply;
  throw new Error(`${operation} was not refused, but answered with ${JSON.stringify(reply.data)}`);
}

/** Sends a request that must be rejected. Returns the error code. */
export const refusal = async (operation: Operation, request: Request): Promise<ErrorCode> =>
  (await refused(operation, request)).code;
