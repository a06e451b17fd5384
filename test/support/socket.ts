import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import * as v from 'valibot';
import { expect } from 'vitest';
import { ERRORS, type ErrorCode } from '../../core/contract/errors.ts';
import {
  type Action,
  type ActionName,
  actions,
  COMMON_ACTION_ERRORS,
  unknownAction,
} from '../../core/contract/realtime.ts';
import type { SocketHandler } from '../../core/realtime/socket-event.ts';
import { eventFunctions } from '../../lib/event-functions.ts';
import { context } from '../fixtures/event.ts';
import { newSocket, type RouteKey, type Socket, socketEvent } from '../fixtures/socket-event.ts';
import { type Trace, traced } from '../fixtures/trace.ts';
import { expectWithin } from './access.ts';
import { type LogLine, logged } from './logs.ts';

export { newSocket, type Socket, socketEvent } from '../fixtures/socket-event.ts';

/*
 * Invokes WebSocket handlers with API Gateway events. Checks every reply against the contract: shape, codes, and used
 * permissions.
 */

/** The connections that have left a room or disconnected by themselves. */
export const departed = new Set<string>();

/** Loads the handler in a file of functions/realtime. `vitest --changed` finds the files, because their folder is written out. */
async function handlerOf(name: string): Promise<SocketHandler> {
  const loaded: { handler: SocketHandler } = await import(`../../functions/realtime/${name}.ts`);
  return loaded.handler;
}

interface Common {
  readonly request_id: string | null;
  readonly trace: Trace;
  readonly log: LogLine;
}
export type DataOf<Name extends ActionName> = v.InferOutput<(typeof actions)[Name]['data']>;
export type SocketReply<Data> = Common &
  (
    | { readonly ok: true; readonly data: Data }
    | {
        readonly ok: false;
        readonly code: ErrorCode;
        readonly message: string;
        readonly errors?:
          | readonly {
              readonly code: ErrorCode;
              readonly message: string;
              readonly path?: string | undefined;
            }[]
          | undefined;
        readonly retry_after?: number | undefined;
      }
  );

const replySchema = v.variant('ok', [
  v.strictObject({ type: v.literal('reply'), request_id: v.string(), ok: v.literal(true), data: v.unknown() }),
  v.strictObject({
    type: v.literal('reply'),
    request_id: v.nullable(v.string()),
    ok: v.literal(false),
    error: v.strictObject({
      code: v.picklist(Object.keys(ERRORS) as ErrorCode[]),
      message: v.pipe(v.string(), v.minLength(1)),
      errors: v.optional(
        v.array(
          v.strictObject({
            code: v.picklist(Object.keys(ERRORS) as ErrorCode[]),
            message: v.pipe(v.string(), v.minLength(1)),
            path: v.optional(v.string()),
          }),
        ),
      ),
      retry_after: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    }),
  }),
]);

/** Sends a frame, and returns the reply. Fails the test if the reply does not match the contract. */
async function exchange(
  row: Action,
  file: string,
  socket: Socket,
  body: string,
  within: Context = context,
): Promise<SocketReply<unknown>> {
  const handler = await handlerOf(file);
  const event = socketEvent(row.action as RouteKey, socket, body);
  if (row.action === 'join') departed.delete(socket.connection_id);
  if (row.action === 'leave') departed.add(socket.connection_id);
  const {
    result: { result, trace },
    lines,
  } = await logged(() => traced(() => handler(event, within)));

  expectWithin(row.action, row.access, trace);
  const [log, ...more] = lines;
  if (!log || more.length > 0) throw new Error(`${row.action} must log one line, not ${JSON.stringify(lines)}`);
  expect(result.statusCode).toBe(200);
  const reply = v.parse(replySchema, JSON.parse(result.body ?? ''));
  const common = { request_id: reply.request_id, trace, log };
  if (reply.ok) {
    const data = v.parse(row.data, reply.data);
    // Parsing removes fields that the schema does not have.
    expect(reply.data).toEqual(data);
    return { ...common, ok: true, data };
  }
  const documented: readonly ErrorCode[] = [...COMMON_ACTION_ERRORS, ...row.errors];
  expect(documented, `${row.action} does not list ${reply.error.code}`).toContain(reply.error.code);
  return { ...common, ok: false, ...reply.error };
}

/** The text of a frame. An object gets `action` and, if it has none, a `request_id`. A string is sent unchanged. */
export const frameOf = (action: string, frame: object | string): string =>
  typeof frame === 'string' ? frame : JSON.stringify({ action, request_id: randomUUID(), ...frame });

/** Sends a frame of an action, and returns the reply. */
export const invokeAction = async <Name extends ActionName>(
  action: Name,
  socket: Socket,
  frame: object | string,
  within?: Context,
): Promise<SocketReply<DataOf<Name>>> =>
  (await exchange(actions[action], action, socket, frameOf(action, frame), within)) as SocketReply<DataOf<Name>>;

/** Sends a frame with an unknown action. */
export const invokeUnknownAction = (socket: Socket, frame: object | string): Promise<SocketReply<unknown>> =>
  exchange(unknownAction, 'default', socket, typeof frame === 'string' ? frame : JSON.stringify(frame));

/** Sends a frame that must succeed. Returns the `data` of the reply. */
export async function reply<Name extends ActionName>(
  action: Name,
  socket: Socket,
  frame: object,
): Promise<DataOf<Name>> {
  const answer = await invokeAction(action, socket, frame);
  if (answer.ok) return answer.data;
  throw new Error(`${action} was refused: ${answer.code}: ${answer.message} ${JSON.stringify(answer.log)}`);
}

/** Sends a frame that must be rejected. Returns the error code. */
export async function refusedWith(action: ActionName, socket: Socket, frame: object | string): Promise<ErrorCode> {
  const answer = await invokeAction(action, socket, frame);
  if (!answer.ok) return answer.code;
  throw new Error(`${action} was not refused, but answered with ${JSON.stringify(answer.data)}`);
}

/** A new connection of a user that has joined a room. */
export async function joined(room_id: string, user_id: string, token_expires_at?: number): Promise<Socket> {
  const socket = newSocket(user_id, token_expires_at);
  await reply('join', socket, { room_id });
  return socket;
}

/** Disconnects, as when a user closes a browser tab. Returns the requests to DynamoDB. */
export async function disconnect(socket: Socket): Promise<Trace> {
  const handler = await handlerOf('disconnect');
  departed.add(socket.connection_id);
  const { result } = await logged(() => traced(() => handler(socketEvent('$disconnect', socket), context)));
  expect(result.result).toEqual({ statusCode: 200 });
  expectWithin('$disconnect', eventFunctions.disconnect.access, result.trace);
  return result.trace;
}
