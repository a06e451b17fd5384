import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Announcement, Posting, Room, RoomDetails } from '../contract/answers.ts';
import { RoomsError } from '../contract/errors.ts';
import { IDEMPOTENCY_TTL_SECONDS } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { settleAll } from '../platform/settle-all.ts';
import { agendaIssues } from '../rules/agenda.ts';
import type { JsonObject } from '../rules/json.ts';
import { endIssues, isPast, orderIssues, startIssues, throwIfInvalid } from '../rules/room.ts';
import { epochSeconds, plus, type Timestamp } from '../rules/time.ts';
import { ADMIN_OF_LIVE_ROOM, adminRefusal, adminValues, membership } from './access.ts';
import { guardAgenda } from './agenda.ts';
import { type IdempotencyItem, type RoomItem, type SequenceItem, toMyRoom, toRoom } from './items.ts';
import { idempotencyKey, roomKey, roomSequenceKey } from './keys.ts';
import { newParticipant } from './participants.ts';
import { lockWrites, unlockWrites } from './posting.ts';
import { get } from './read.ts';
import { countUnread } from './reading.ts';
import { transactCounted } from './user-limits.ts';
import { transact, update, type Write } from './write.ts';

export interface NewRoom {
  readonly name: string;
  readonly description?: string | null | undefined;
  /** Default: now. */
  readonly start_time?: Timestamp | null | undefined;
  /** Default: none, so that the room continues until it is ended. */
  readonly end_time?: Timestamp | null | undefined;
  /** Default: everyone. */
  readonly posting?: Posting | undefined;
  readonly metadata?: JsonObject | null | undefined;
  readonly end_warnings_seconds?: readonly number[] | undefined;
  readonly announcements?: readonly Announcement[] | undefined;
  readonly participant_ids: readonly string[];
}

/** For JSON.stringify: `null` and a missing field mean the same room, so they must result in the same text. */
const nullAsAbsent = (_key: string, value: unknown): unknown => value ?? undefined;

/**
 * Creates a room with its participants. The caller is its first admin. A retry with the same idempotency key returns
 * the first room, even after its times have passed, and does not count towards limits.
 *
 * @throws `invalid_request` for inconsistent times, `idempotency_conflict` for a key of another request, or
 * `too_many_requests`
 */
export async function createRoom(
  call: RequestContext & { room: NewRoom; idempotency_key?: string | undefined },
): Promise<Room> {
  const { caller, now, room: wanted, idempotency_key } = call;
  const start_time = wanted.start_time ?? now;
  const request = {
    ...wanted,
    // The default.
    posting: wanted.posting === 'everyone' ? undefined : wanted.posting,
    // Serialized, so that null inside of it is kept.
    metadata: wanted.metadata && JSON.stringify(wanted.metadata),
  };
  const request_hash = createHash('sha256').update(JSON.stringify(request, nullAsAbsent)).digest('base64url');
  const roomOfFirst = (first: IdempotencyItem): Room => {
    if (first.request_hash !== request_hash) throw new RoomsError('idempotency_conflict');
    return toRoom(first.room, now);
  };

  const issues = [
    ...startIssues(start_time, now),
    ...(wanted.end_time ? [...endIssues(wanted.end_time, now), ...orderIssues({ ...wanted, start_time })] : []),
    ...agendaIssues({ ...wanted, start_time }, start_time < now ? start_time : now),
  ];
  if (issues.length > 0) {
    // The room's times were valid when it was created, but may have passed at a retry.
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
    ...(wanted.posting === 'admins' && { posting: wanted.posting }),
    ...(wanted.metadata && { metadata: JSON.stringify(wanted.metadata) }),
    ...(wanted.end_warnings_seconds && { end_warnings_seconds: wanted.end_warnings_seconds }),
    ...(wanted.announcements?.length && { announcements: wanted.announcements }),
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
    ...participants.map((id) => ({ Put: { Item: newParticipant(room_id, id, call) } })),
    ...(room.posting ? lockWrites(room_id) : []),
    ...(memory
      ? [
          {
            Put: {
              Item: memory,
              // DynamoDB deletes expired items up to some days later.
              ConditionExpression: 'attribute_not_exists(PK) OR expires_at <= :now',
              ExpressionAttributeValues: { ':now': epochSeconds(now) },
            },
          },
        ]
      : []),
  ];
  // Without the caller, who is always added.
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
  /** null clears it, so that the room continues until it is ended. */
  readonly end_time?: Timestamp | null | undefined;
  readonly posting?: Posting | undefined;
  /** null clears it. */
  readonly metadata?: JsonObject | null | undefined;
  readonly end_warnings_seconds?: readonly number[] | undefined;
  readonly announcements?: readonly Announcement[] | undefined;
}

type Attributes = Readonly<Record<string, string | readonly unknown[] | null | undefined>>;

/** Uses `SET` for values and `REMOVE` for null. Names are placeholders, because some are reserved words. */
function assignment(attributes: Attributes) {
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
 * Updates a room and its locks in one transaction. Because a transaction returns no item, the room is read in parallel,
 * and returned with the new attributes. Only simultaneous changes by others can be missing.
 */
async function updateWithLocks(
  room_id: string,
  write: Omit<NonNullable<Write['Update']>, 'Key'>,
  posting: Posting,
  attributes: Attributes,
): Promise<
  { readonly done: true; readonly item: RoomItem } | { readonly done: false; readonly old: RoomItem | undefined }
> {
  const locks = posting === 'admins' ? lockWrites(room_id) : unlockWrites(room_id);
  const [outcome, room] = await settleAll([
    transact([{ Update: { Key: roomKey(room_id), ...write } }, ...locks]),
    get<RoomItem>(roomKey(room_id)),
  ]);
  if (!outcome.done || !room)
    return { done: false, old: outcome.done ? undefined : (outcome.refusals[0]?.old as RoomItem | undefined) };
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return {
    done: true,
    item: { ...room, ...Object.fromEntries(given.map(([name, value]) => [name, value ?? undefined])) },
  };
}

/**
 * Changes a room that has not ended. The condition of the write checks a new time against the other, stored time.
 *
 * @throws `invalid_request` for inconsistent times, and as `adminRefusal` says
 */
export async function updateRoom({
  room_id,
  changes,
  caller,
  now,
}: RequestContext & { room_id: string; changes: RoomChanges }): Promise<Room> {
  const { name, start_time, end_time, end_warnings_seconds, announcements, posting, metadata } = changes;
  const description = changes.description === '' ? null : changes.description;
  throwIfInvalid([
    ...(start_time ? startIssues(start_time, now, true) : []),
    ...(end_time ? endIssues(end_time, now) : []),
    ...(start_time && end_time ? orderIssues({ start_time, end_time }) : []),
  ]);

  const agenda = await guardAgenda(room_id, changes, caller, now);

  const attributes = {
    updated_at: now,
    name,
    description,
    start_time,
    end_time,
    end_warnings_seconds,
    announcements,
    // Deletes the reason of the previous end.
    end_reason: end_time === undefined ? undefined : null,
    posting: posting === 'everyone' ? null : posting,
    metadata: metadata ? JSON.stringify(metadata) : metadata,
  };
  const { values, ...expressions } = assignment(attributes);
  const write = {
    ...expressions,
    ConditionExpression: [
      ADMIN_OF_LIVE_ROOM,
      ...(start_time && end_time === undefined ? ['(attribute_not_exists(end_time) OR end_time > :start_time)'] : []),
      ...(end_time && !start_time ? ['start_time < :end_time'] : []),
      // A form that sends all fields may include the stored start, which may be in the past.
      ...(start_time && isPast(start_time, now) ? ['start_time = :start_time'] : []),
      ...agenda.conditions,
    ].join(' AND '),
    ExpressionAttributeValues: { ...adminValues(caller, now), ...values, ...agenda.values },
  };
  const outcome = await (posting === undefined
    ? update<RoomItem>(roomKey(room_id), write)
    : updateWithLocks(room_id, write, posting, attributes));
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
 * Ends a room `time_left_in_seconds` from now (default: 0). No job is necessary, because the status follows from the
 * clock.
 *
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
  // An earlier attempt of this call has ended the room.
  if (again && old?.admins.has(caller) && old.updated_at === now && old.end_time === now) return toRoom(old, now);
  throw (await adminRefusal(old, caller, now)) ?? new RoomsError('try_again');
}

/**
 * Returns the room from the caller's perspective. Only unread messages require a second request, which counts them.
 *
 * @throws as `membership` does
 */
export async function getRoom({ room_id, caller, now }: RequestContext & { room_id: string }): Promise<RoomDetails> {
  const { room, participant, extra } = await membership<[SequenceItem]>(room_id, caller, roomSequenceKey(room_id));
  const mine = toMyRoom(room, participant, extra[0], caller, now);
  const unread_count = mine.has_unread ? await countUnread(participant) : 0;
  return { ...mine, has_unread: unread_count > 0, unread_count };
}
