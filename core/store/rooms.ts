import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { MyRoom, Page, Room, RoomDetails } from '../contract/answers.ts';
import { RoomsError } from '../contract/errors.ts';
import { IDEMPOTENCY_TTL_SECONDS } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import {
  endIssues,
  isPast,
  orderIssues,
  type RoomStatus,
  roomStatus,
  startIssues,
  throwIfInvalid,
} from '../rules/room.ts';
import { epochSeconds, plus, type Timestamp } from '../rules/time.ts';
import { ADMIN_OF_LIVE_ROOM, adminRefusal, adminValues, membership } from './access.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import {
  type IdempotencyItem,
  type IndexedParticipant,
  type ParticipantItem,
  type RoomItem,
  type SequenceItem,
  toMyRoom,
  toRoom,
} from './items.ts';
import {
  INDEX,
  idempotencyKey,
  type Key,
  participantKey,
  roomIdOf,
  roomKey,
  roomPartition,
  roomSequenceKey,
  userPartition,
  userRoomKey,
} from './keys.ts';
import { get, getMany, queryPage } from './read.ts';
import { countUnread } from './reading.ts';
import { transactCounted } from './user-limits.ts';
import { update, type Write } from './write.ts';

export interface NewRoom {
  readonly name: string;
  readonly description?: string | null | undefined;
  /** Default: now. */
  readonly start_time?: Timestamp | null | undefined;
  /** Default: none; the room goes on until it is ended. */
  readonly end_time?: Timestamp | null | undefined;
  readonly participant_ids: readonly string[];
}

const newParticipant = (room_id: string, participant_id: string, { caller, now }: RequestContext): ParticipantItem => ({
  ...participantKey(room_id, participant_id),
  ...userRoomKey(room_id, participant_id),
  room_id,
  participant_id,
  added_by: caller,
  added_at: now,
});

/** For JSON.stringify: `null` and a missing field ask for the same room, so that they are the same request. */
const nullAsAbsent = (_key: string, value: unknown): unknown => value ?? undefined;

/**
 * Creates a room with its participants. The caller is its first admin. With an idempotency key, repeating the request
 * returns the first room, also after its times have passed. A repeated request does not count.
 * @throws `invalid_request` for inconsistent times, `idempotency_conflict` for a key of another request, or
 * `too_many_requests`
 */
export async function createRoom(
  act: RequestContext & { room: NewRoom; idempotency_key?: string | undefined },
): Promise<Room> {
  const { caller, now, room: wanted, idempotency_key } = act;
  const start_time = wanted.start_time ?? now;
  const request_hash = createHash('sha256').update(JSON.stringify(wanted, nullAsAbsent)).digest('base64url');
  const roomOfFirst = (first: IdempotencyItem): Room => {
    if (first.request_hash !== request_hash) throw new RoomsError('idempotency_conflict');
    return toRoom(first.room, now);
  };

  const issues = [
    ...startIssues(start_time, now),
    ...(wanted.end_time ? [...endIssues(wanted.end_time, now), ...orderIssues({ ...wanted, start_time })] : []),
  ];
  if (issues.length > 0) {
    // Times that were valid when the room was created may have passed when the request is repeated.
    const first = idempotency_key && (await get<IdempotencyItem>(idempotencyKey(caller, idempotency_key)));
    if (first && first.expires_at > epochSeconds(now)) return roomOfFirst(first);
    throwIfInvalid(issues);
  }

  const room_id = uuidv7({ msecs: Date.parse(now) });
  const room: RoomItem = {
    ...roomKey(room_id),
    room_id,
    name: wanted.name,
    ...(wanted.description && { description: wanted.description }),
    start_time,
    ...(wanted.end_time && { end_time: wanted.end_time }),
    admins: new Set([caller]),
    created_by: caller,
    created_at: now,
    updated_at: now,
  };
  const participants = [...new Set([caller, ...wanted.participant_ids])];
  const memory = idempotency_key && {
    ...idempotencyKey(caller, idempotency_key),
    request_hash,
    room,
    expires_at: epochSeconds(now) + IDEMPOTENCY_TTL_SECONDS,
  };

  const writes: readonly Write[] = [
    { Put: { Item: room, ConditionExpression: 'attribute_not_exists(PK)' } },
    ...participants.map((id) => ({ Put: { Item: newParticipant(room_id, id, act) } })),
    ...(memory
      ? [
          {
            Put: {
              Item: memory,
              // Expired items linger until DynamoDB deletes them, up to some days later.
              ConditionExpression: 'attribute_not_exists(PK) OR expires_at <= :now',
              ExpressionAttributeValues: { ':now': epochSeconds(now) },
            },
          },
        ]
      : []),
  ];
  // Without the caller, who need not be named.
  const others = participants.length - 1;
  const uses = { roomsPerMinute: 1, roomsPerDay: 1, participantsPerHour: others };
  const outcome = await transactCounted(writes, { caller, now, uses });
  if (outcome.done) return toRoom(room, now);

  const first = outcome.refusals.at(-1)?.old as IdempotencyItem | undefined;
  if (!memory || !first) throw new Error('A new room was refused although its id is new.');
  return roomOfFirst(first);
}

export interface RoomChanges {
  readonly name?: string | undefined;
  /** null clears it. */
  readonly description?: string | null | undefined;
  readonly start_time?: Timestamp | undefined;
  /** null clears it: the room goes on until it is ended. */
  readonly end_time?: Timestamp | null | undefined;
}

/** `SET`s what has a value and `REMOVE`s what is null; names go through placeholders, as some are reserved words. */
function assignment(attributes: Readonly<Record<string, string | null | undefined>>) {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  const sets = given.filter(([, value]) => value !== null).map(([name]) => `#${name} = :${name}`);
  const removes = given.filter(([, value]) => value === null).map(([name]) => `#${name}`);
  return {
    UpdateExpression: `SET ${sets.join(', ')}${removes.length > 0 ? ` REMOVE ${removes.join(', ')}` : ''}`,
    ExpressionAttributeNames: Object.fromEntries(given.map(([name]) => [`#${name}`, name])),
    values: Object.fromEntries(given.filter(([, value]) => value !== null).map(([name, value]) => [`:${name}`, value])),
  };
}

/**
 * Changes a room that has not ended. A new time is checked against the other stored time in the condition of the
 * write.
 * @throws `invalid_request` for inconsistent times, and as `adminRefusal` says
 */
export async function updateRoom({
  room_id,
  changes,
  caller,
  now,
}: RequestContext & { room_id: string; changes: RoomChanges }): Promise<Room> {
  const { name, start_time, end_time } = changes;
  const description = changes.description === '' ? null : changes.description;
  throwIfInvalid([
    ...(start_time ? startIssues(start_time, now, true) : []),
    ...(end_time ? endIssues(end_time, now) : []),
    ...(start_time && end_time ? orderIssues({ start_time, end_time }) : []),
  ]);

  const { values, ...expressions } = assignment({
    updated_at: now,
    name,
    description,
    start_time,
    end_time,
    // The reason belongs to the end that this one replaces.
    end_reason: end_time === undefined ? undefined : null,
  });
  const outcome = await update<RoomItem>(roomKey(room_id), {
    ...expressions,
    ConditionExpression: [
      ADMIN_OF_LIVE_ROOM,
      ...(start_time && end_time === undefined ? ['(attribute_not_exists(end_time) OR end_time > :start_time)'] : []),
      ...(end_time && !start_time ? ['start_time < :end_time'] : []),
      // A form that sends all fields of a room may send its stored start, which is in the past.
      ...(start_time && isPast(start_time, now) ? ['start_time = :start_time'] : []),
    ].join(' AND '),
    ExpressionAttributeValues: { ...adminValues(caller, now), ...values },
  });
  if (outcome.done) return toRoom(outcome.item, now);

  const { old } = outcome;
  const refusal = await adminRefusal(old, caller, now);
  if (refusal || !old) throw refusal;
  throwIfInvalid([
    ...(start_time ? startIssues(start_time, now, start_time === old.start_time) : []),
    ...orderIssues({
      start_time: start_time ?? old.start_time,
      end_time: end_time === undefined ? old.end_time : end_time,
    }),
  ]);
  throw new RoomsError('try_again');
}

/**
 * Ends a room `time_left_in_seconds` from now (default: 0). This needs no job: the status follows from the clock.
 * @throws as `adminRefusal` says
 */
export async function endRoom({
  room_id,
  time_left_in_seconds = 0,
  reason,
  caller,
  now,
}: RequestContext & {
  room_id: string;
  time_left_in_seconds?: number | undefined;
  reason?: string | undefined;
}): Promise<Room> {
  const { values, ...expressions } = assignment({
    updated_at: now,
    end_time: plus(now, time_left_in_seconds * 1_000),
    end_reason: reason || null,
  });
  const outcome = await update<RoomItem>(roomKey(room_id), {
    ...expressions,
    ConditionExpression: ADMIN_OF_LIVE_ROOM,
    ExpressionAttributeValues: { ...adminValues(caller, now), ...values },
  });
  if (outcome.done) return toRoom(outcome.item, now);
  const { old, again } = outcome;
  // An earlier attempt of this call has ended it.
  if (again && old?.admins.has(caller) && old.updated_at === now && old.end_time === now) return toRoom(old, now);
  throw (await adminRefusal(old, caller, now)) ?? new RoomsError('try_again');
}

/**
 * Returns the room as the caller sees it. Only a room with unread messages takes a second request, which counts them.
 * @throws as `membership` does
 */
export async function getRoom({ room_id, caller, now }: RequestContext & { room_id: string }): Promise<RoomDetails> {
  const { room, participant, extra } = await membership<[SequenceItem]>(room_id, caller, roomSequenceKey(room_id));
  const mine = toMyRoom(room, participant, extra[0], caller, now);
  const unread_count = mine.has_unread ? await countUnread(participant) : 0;
  return { ...mine, has_unread: unread_count > 0, unread_count };
}

interface RoomOfUser {
  readonly room: RoomItem;
  readonly participant: ParticipantItem;
  readonly sequence: SequenceItem | undefined;
}

/** Returns those of the rooms in which the user is a participant, in the given order. Eventually consistent, as the index. */
async function roomsOf(room_ids: readonly string[], user_id: string): Promise<RoomOfUser[]> {
  const keys = room_ids.flatMap((id) => [roomKey(id), participantKey(id, user_id), roomSequenceKey(id)]);
  const items = await getMany<Key>(keys, { consistent: false });
  const found = new Map(items.map((item) => [`${item.PK} ${item.SK}`, item]));
  const at = <Item extends Key>({ PK, SK }: Key) => found.get(`${PK} ${SK}`) as Item | undefined;
  return room_ids.flatMap((id) => {
    const room = at<RoomItem>(roomKey(id));
    const participant = at<ParticipantItem>(participantKey(id, user_id));
    return room && participant ? [{ room, participant, sequence: at<SequenceItem>(roomSequenceKey(id)) }] : [];
  });
}

/** Returns one page of the rooms of the caller, newest first. `status` filters within the page. */
export async function listRooms({
  status,
  limit,
  cursor,
  caller,
  now,
}: RequestContext & { status?: RoomStatus | undefined; limit: number; cursor?: string | undefined }): Promise<
  Page<MyRoom>
> {
  const list = `rooms of ${caller}`;
  const start = cursor && decodeCursor(list, cursor);
  const { items, more } = await queryPage<IndexedParticipant>(
    {
      IndexName: INDEX,
      KeyConditionExpression: 'GSI1PK = :user AND begins_with(GSI1SK, :room)',
      ExpressionAttributeValues: { ':user': userPartition(caller), ':room': roomPartition('') },
      ScanIndexForward: false,
      ...(start && { ExclusiveStartKey: { ...participantKey(start, caller), ...userRoomKey(start, caller) } }),
    },
    limit,
  );
  const found = await roomsOf(
    items.map(({ PK }) => roomIdOf(PK)),
    caller,
  );
  const last = items.at(-1)?.PK;
  return {
    items: found.flatMap(({ room, participant, sequence }) =>
      status && roomStatus(room, now) !== status ? [] : [toMyRoom(room, participant, sequence, caller, now)],
    ),
    next_cursor: more && last ? encodeCursor(list, roomIdOf(last)) : null,
  };
}
