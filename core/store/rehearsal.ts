import { marshall } from '@aws-sdk/util-dynamodb';
import * as v from 'valibot';
import { REHEARSING_USER } from '../platform/prime.ts';
import { DISCONNECTING, laneKey, PARTICIPANT, ROOM, roomIdOf, roomPartition } from './keys.ts';

/*
 * The table's responses in a rehearsal (core/platform/prime.ts). Every room exists, is live, and has the caller as
 * admin, so that a rehearsal runs the same code as a valid request.
 */

const LONG_AGO = '2020-01-01T00:00:00.000Z';
const FAR_AHEAD = 4_102_444_800;

const key = v.object({ PK: v.object({ S: v.string() }), SK: v.object({ S: v.string() }) });
const input = v.object({
  Key: v.optional(key),
  ExpressionAttributeValues: v.optional(v.record(v.string(), v.unknown()), {}),
  RequestItems: v.optional(v.record(v.string(), v.object({ Keys: v.optional(v.array(key), []) })), {}),
});

/** An item with the given key, and with every attribute that handlers use. */
function itemAt({ PK: { S: PK }, SK: { S: SK } }: v.InferOutput<typeof key>) {
  const room_id = roomIdOf(PK);
  const participant_id = SK.slice(PARTICIPANT.length);
  return marshall({
    PK,
    SK,
    GSI1SK: PK,
    room_id,
    ...(SK === ROOM
      ? { name: 'x', start_time: LONG_AGO, admins: new Set([REHEARSING_USER]), created_by: 'x' }
      : {
          participant_id,
          sender_id: REHEARSING_USER,
          message_id: 'x',
          uploader_id: REHEARSING_USER,
          file_id: 'x',
          name: 'x',
          size: 1,
          content_type: 'text/plain',
        }),
    created_at: LONG_AGO,
    updated_at: LONG_AGO,
    expires_at: FAR_AHEAD,
    frames: 1,
  });
}

/** The connections of a room. A function that sends to them opens one HTTP connection for each. */
const LISTENERS = 8;

const connection = (n: number) =>
  marshall({ connection_id: `rehearsal-${n}`, participant_id: REHEARSING_USER, token_expires_at: FAR_AHEAD });

/** A task in a lane. */
const EVENT = { type: 'room_updated', room_id: 'x', data: {}, sent_at: '2020-01-01T00:00:00.000Z' };
const WAITING = marshall({ ...laneKey('x', 'messages', '1'), task: JSON.stringify({ kind: 'send', events: [EVENT] }) });

/** The result of a query: connections or lane tasks if the query is about them, and otherwise a participant. */
function found(values: Readonly<Record<string, unknown>>) {
  if (':lane' in values) return [WAITING];
  const { ':first': first } = values;
  if (v.is(v.object({ S: v.literal(DISCONNECTING) }), first))
    return Array.from({ length: LISTENERS }, (_, n) => connection(n));
  return [itemAt({ PK: { S: roomPartition('x') }, SK: { S: `${PARTICIPANT}x` } })];
}

/** Returns the rehearsal's response to a DynamoDB operation. Operation, input and response are JSON text. */
export function rehearsedAnswer(operation: string, json: string): string {
  const { Key, RequestItems, ExpressionAttributeValues } = v.parse(input, JSON.parse(json));
  const item = Key && itemAt(Key);
  const answers: Readonly<Record<string, () => object>> = {
    GetItem: () => ({ Item: item }),
    UpdateItem: () => ({ Attributes: item }),
    BatchGetItem: () => ({
      Responses: Object.fromEntries(Object.entries(RequestItems).map(([table, { Keys }]) => [table, Keys.map(itemAt)])),
    }),
    Query: () => ({ Items: found(ExpressionAttributeValues) }),
  };
  return JSON.stringify(answers[operation]?.() ?? {});
}
