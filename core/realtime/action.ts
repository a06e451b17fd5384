import * as v from 'valibot';
import { invalid, RoomsError } from '../contract/errors.ts';
import { requestId as requestIdField, roomId } from '../contract/fields.ts';
import { MAX_FRAME_BYTES } from '../contract/limits.ts';
import type { Action, Reply } from '../contract/realtime.ts';
import type { RequestContext } from '../contract/route.ts';
import type { SubProtocol } from '../contract/sub-protocols.ts';
import { issuesOf } from '../platform/issues.ts';
import { parseJsonObject } from '../platform/json.ts';
import { type RequestKind, requestHandler } from '../platform/request.ts';
import { errorEntries } from '../platform/rooms-error.ts';
import { protocolOf } from '../rules/protocol.ts';
import { epochSeconds } from '../rules/time.ts';
import { admitFrame } from '../store/connections.ts';
import { rehearsalEvent } from './rehearsal.ts';
import type { SocketEvent, SocketHandler, SocketResult } from './socket-event.ts';

type OutputOf<Schema> = Schema extends v.GenericSchema<unknown, infer Output> ? Output : never;

/** The input of an action's handler, after its frame has been validated. */
export interface ActionCall<A extends Action> extends RequestContext {
  readonly connection_id: string;
  readonly token_expires_at: number;
  readonly protocol: SubProtocol;
  readonly frame: OutputOf<A['frame']>;
  /** Settles when this frame has been counted. Await it together with the first read, before any write. */
  readonly admitted: Promise<number>;
}

const reply = (body: Reply): SocketResult => ({ statusCode: 200, body: JSON.stringify(body) });

const failed = (request_id: string | null, error: RoomsError, apiRequestId: string): SocketResult => {
  const errors = errorEntries(error, apiRequestId);
  const message = errors.map((entry) => (entry.path ? `${entry.path} ${entry.message}` : entry.message)).join('; ');
  const isAboutFields = errors.some(({ path }) => path !== undefined);
  return reply({
    type: 'reply',
    request_id,
    ok: false,
    error: {
      code: error.code,
      message,
      // Present if the invalid field is known, as in HTTP.
      ...(isAboutFields && { errors }),
      ...(error.retryAfter !== undefined && { retry_after: error.retryAfter }),
    },
  });
};

function jsonOf(body: string): object {
  if (Buffer.byteLength(body) > MAX_FRAME_BYTES)
    throw new RoomsError('payload_too_large', [{ message: `A frame must be at most ${MAX_FRAME_BYTES} bytes.` }]);
  try {
    return parseJsonObject(body);
  } catch {
    throw invalid({ message: 'A frame must be a JSON object.' });
  }
}

const withRoom = v.pipe(v.string(), v.parseJson(), v.object({ room_id: roomId }));
const withRequest = v.pipe(v.string(), v.parseJson(), v.object({ request_id: requestIdField }));

/** Returns the room ID of a frame, if it can be read. It is for the log, which must contain only valid IDs. */
function roomOf(body: string | undefined): string | undefined {
  const parsed = v.safeParse(withRoom, body);
  return parsed.success ? parsed.output.room_id : undefined;
}

/** Returns the request ID of a frame, if it can be read: an error reply contains it, whatever else is wrong. */
export function requestIdOf(body: string | undefined): string | null {
  const parsed = v.safeParse(withRequest, body);
  return parsed.success ? parsed.output.request_id : null;
}

/** Returns the description of an action's requests. */
const framesOf = (action: string): RequestKind<SocketEvent, SocketResult> => ({
  service: 'websocket',
  line: ({ body, requestContext }, _result, code) => ({
    action,
    code: code ?? 'ok',
    api_request_id: requestContext.requestId,
    connection_id: requestContext.connectionId,
    user: requestContext.authorizer.user_id,
    room_id: roomOf(body),
  }),
  failure: (error, { body, requestContext }) => failed(requestIdOf(body), error, requestContext.requestId),
});

/**
 * Returns the Lambda handler of an action: checks token, frame and rate, calls `handle`, and replies. A rejected frame
 * gets an error reply, and the connection stays open.
 */
export function action<A extends Action>(row: A, handle: (call: ActionCall<A>) => Promise<unknown>): SocketHandler {
  return requestHandler(framesOf(row.action), replyTo, () => rehearsalEvent(row));

  async function replyTo(event: SocketEvent): Promise<SocketResult> {
    const { body, requestContext } = event;
    const { connectionId: connection_id, authorizer } = requestContext;
    const now = new Date().toISOString();
    const token_expires_at = Number(authorizer.token_expires_at);
    if (token_expires_at <= epochSeconds(now)) throw new RoomsError('token_expired');
    const parsed = v.safeParse(row.frame, jsonOf(body ?? ''), { abortPipeEarly: true });
    if (!parsed.success) throw invalid(...issuesOf(parsed.issues, row.frame));

    const caller = authorizer.user_id;
    const admitted = row.uncounted
      ? Promise.resolve(0)
      : admitFrame({ connection_id, user_id: caller, isMessage: row.action === 'message', now });
    // Callers that await it handle the rejection. If the frame fails earlier, an unhandled rejection must not end the
    // process.
    admitted.catch(() => undefined);
    const data = await handle({
      caller,
      connection_id,
      token_expires_at,
      protocol: protocolOf(authorizer),
      now,
      // ActionCall is inferred from the schema that has just validated the frame.
      frame: parsed.output as OutputOf<A['frame']>,
      admitted,
    });
    return reply({ type: 'reply', request_id: requestIdOf(body) ?? '', ok: true, data });
  }
}
