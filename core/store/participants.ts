import type { ListedParticipant, Page, Participant, Profile, RemovedParticipant, Role } from '../contract/answers.ts';
import { RoomsError } from '../contract/errors.ts';
import { MAX_ADMINS } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { settleAll } from '../platform/settle-all.ts';
import { epochSeconds } from '../rules/time.ts';
import { ADMIN_OF_LIVE_ROOM, adminRefusal, adminValues, membership } from './access.ts';
import { removalMark } from './connections.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { type LeftItem, type ParticipantItem, type RoomItem, toParticipant, toProfile } from './items.ts';
import { leftKey, PARTICIPANT, participantKey, roomKey, roomPartition, userRoomKey } from './keys.ts';
import { isParticipant } from './posting.ts';
import { batchGetOrdered, get, getMany, queryPage } from './read.ts';
import { transactCounted } from './user-limits.ts';
import { CONFLICT_ATTEMPTS, transact, update, type Write } from './write.ts';

type RoomRequest = RequestContext & { readonly room_id: string };

/** How long the record of a participant who left is kept, in seconds: as long as the stream keeps the removal. */
const LEFT_SECONDS = 24 * 3_600;

/** The item of a user who becomes a participant. */
export const newParticipant = (
  room_id: string,
  participant_id: string,
  { caller, now }: RequestContext,
  role: Role = 'member',
): ParticipantItem => ({
  ...participantKey(room_id, participant_id),
  ...userRoomKey(room_id, participant_id),
  room_id,
  participant_id,
  ...(role === 'observer' && { role }),
  added_by: caller,
  added_at: now,
});

/** Adds a user, unless they are a participant already. */
function addMember({ room_id, caller, now }: RoomRequest, id: string): Write {
  const { GSI1PK, GSI1SK } = userRoomKey(room_id, id);
  return {
    Update: {
      Key: participantKey(room_id, id),
      UpdateExpression:
        'SET room_id = :room, participant_id = :id, GSI1PK = :gsi1pk, GSI1SK = :gsi1sk, ' +
        'added_by = if_not_exists(added_by, :caller), added_at = if_not_exists(added_at, :now)',
      ExpressionAttributeValues: {
        ...adminValues(caller, now),
        ':room': room_id,
        ':id': id,
        ':gsi1pk': GSI1PK,
        ':gsi1sk': GSI1SK,
      },
    },
  };
}

/**
 * Adds an observer. An update could not preserve the role of an existing member, because members have no role
 * attribute.
 */
const addObserver = (request: RoomRequest, id: string): Write => ({
  Put: {
    Item: newParticipant(request.room_id, id, request, 'observer'),
    ConditionExpression: 'attribute_not_exists(PK)',
  },
});

/**
 * Adds users to a room, and returns all of them. Existing participants do not change. Profiles are read in parallel
 * with the write, which does not affect them. If some of the observers are participants already, a second attempt is
 * necessary.
 *
 * @throws `too_many_requests`, `try_again` if the participants change with each attempt, and as `adminRefusal` says
 */
export async function addParticipants({
  participant_ids,
  role,
  ...request
}: RoomRequest & { participant_ids: readonly string[]; role: Role }): Promise<Page<Participant>> {
  const { room_id, caller, now } = request;
  const ids = [...new Set(participant_ids)];
  const addUnless = (existing: ReadonlySet<string>) => {
    const writes: readonly Write[] = [
      {
        ConditionCheck: {
          Key: roomKey(room_id),
          ConditionExpression: ADMIN_OF_LIVE_ROOM,
          ExpressionAttributeValues: adminValues(caller, now),
        },
      },
      ...ids.map((id) => {
        if (role === 'member') return addMember(request, id);
        return existing.has(id) ? isParticipant(room_id, id) : addObserver(request, id);
      }),
    ];
    return transactCounted(writes, { caller, now, uses: { participantsPerHour: ids.length } });
  };
  const keys = [roomKey(room_id), ...ids.map((id) => participantKey(room_id, id))];
  const add = async () => {
    let existing: ReadonlySet<string> = new Set();
    for (let attempt = 1; ; attempt++) {
      const outcome = await addUnless(existing);
      if (outcome.done) return;
      const [onRoom, ...others] = outcome.refusals;
      if (onRoom?.refused || attempt === CONFLICT_ATTEMPTS)
        throw (await adminRefusal(onRoom?.old as RoomItem | undefined, caller, now)) ?? new RoomsError('try_again');
      // The user's participation has changed since the last attempt, so the next one assumes the opposite.
      existing = existing.symmetricDifference(new Set(ids.filter((_, n) => others[n]?.refused)));
    }
  };
  const [, known] = await settleAll([add(), getMany<RoomItem | ParticipantItem>(keys, { consistent: true })]);

  const room = known.find((item): item is RoomItem => 'admins' in item);
  const profiles = new Map(known.flatMap((item) => ('participant_id' in item ? [[item.participant_id, item]] : [])));
  return {
    items: ids.map((id) =>
      toParticipant(id, profiles.get(id) ?? withRole(undefined, role), room?.admins.has(id) ?? false),
    ),
    next_cursor: null,
  };
}

/**
 * Removes users from a room, and their admin rights in the same write. Returns all named users, also those who were not
 * participants. After the response, their connections receive nothing more, and the stream reader closes them.
 *
 * @throws `last_admin` if no admin would remain, `try_again` if the admins change with each attempt, and as
 * `adminRefusal` says
 */
export async function removeParticipants({
  room_id,
  participant_ids,
  caller,
  now,
}: RoomRequest & { participant_ids: readonly string[] }): Promise<Page<RemovedParticipant>> {
  const ids = [...new Set(participant_ids)];
  const remove = (guard: string, values: Record<string, unknown>) =>
    transact([
      {
        Update: {
          Key: roomKey(room_id),
          UpdateExpression: 'DELETE admins :removed',
          ConditionExpression: `${ADMIN_OF_LIVE_ROOM}${guard}`,
          ExpressionAttributeValues: { ...adminValues(caller, now), ':removed': new Set(ids), ...values },
        },
      },
      ...ids.map((id) => ({ Delete: { Key: participantKey(room_id, id) } })),
      { Put: { Item: removalMark(room_id, ids, now) } },
    ]);

  // An admin who removes others stays. An admin who leaves needs another admin who stays. If the room has more admins
  // than the request removes, one stays. Otherwise, the failed condition returns the admins, and the next attempt
  // requires that a particular one stays.
  let outcome = await (ids.includes(caller)
    ? remove(' AND size(admins) > :count', { ':count': ids.length })
    : remove('', {}));
  for (let attempt = 1; !outcome.done; attempt++) {
    const room = outcome.refusals[0]?.old as RoomItem | undefined;
    const refusal = await adminRefusal(room, caller, now);
    if (refusal || !room) throw refusal;
    const remainingAdmin = [...room.admins].find((admin) => !ids.includes(admin));
    if (remainingAdmin === undefined) throw new RoomsError('last_admin');
    if (attempt === CONFLICT_ATTEMPTS) throw new RoomsError('try_again');
    outcome = await remove(' AND contains(admins, :remaining)', { ':remaining': remainingAdmin });
  }
  return { items: ids.map((participant_id) => ({ participant_id })), next_cursor: null };
}

/**
 * Removes the caller from a room in any status, together with their admin right. After the response, their connections
 * receive nothing more.
 *
 * @throws `not_a_participant`, `room_not_found`, `last_admin`, or `try_again` if the caller's right changes with each
 * attempt
 */
export async function leaveRoom({ room_id, caller, now }: RoomRequest): Promise<RemovedParticipant> {
  const left: LeftItem = {
    ...leftKey(room_id, caller),
    left_at: now,
    expires_at: epochSeconds(now) + LEFT_SECONDS,
  };
  const leave = (onRoom: Write) =>
    transact([
      onRoom,
      { Delete: { Key: participantKey(room_id, caller), ConditionExpression: 'attribute_exists(PK)' } },
      { Put: { Item: removalMark(room_id, [caller], now) } },
      { Put: { Item: left } },
    ]);
  const leaveAsMember = () =>
    leave({
      ConditionCheck: {
        Key: roomKey(room_id),
        ConditionExpression: 'attribute_exists(PK) AND NOT contains(admins, :me)',
        ExpressionAttributeValues: { ':me': caller },
      },
    });
  const leaveAsAdmin = () =>
    leave({
      Update: {
        Key: roomKey(room_id),
        UpdateExpression: 'DELETE admins :left',
        ConditionExpression: 'contains(admins, :me) AND size(admins) > :one',
        ExpressionAttributeValues: { ':me': caller, ':left': new Set([caller]), ':one': 1 },
      },
    });

  let isAdmin = false;
  for (let attempt = 1; attempt <= CONFLICT_ATTEMPTS; attempt++) {
    const outcome = await (isAdmin ? leaveAsAdmin() : leaveAsMember());
    if (outcome.done) return { participant_id: caller };
    const [onRoom, onParticipant] = outcome.refusals;
    // The room's item is returned only if its own condition failed.
    const room = onRoom?.old as RoomItem | undefined;
    if (onRoom?.refused && !room) throw new RoomsError('room_not_found');
    if (onParticipant?.refused) throw new RoomsError('not_a_participant');
    const wasAdmin = isAdmin;
    isAdmin = room?.admins.has(caller) ?? false;
    if (wasAdmin && isAdmin) throw new RoomsError('last_admin');
  }
  throw new RoomsError('try_again');
}

/**
 * Sets the role of a participant who is not an admin. Setting `member` for an admin has no effect.
 *
 * @throws `participant_not_found`, `participant_is_admin`, and as `adminRefusal` says
 */
export async function setRole({
  room_id,
  participant_id,
  role,
  caller,
  now,
}: RoomRequest & { participant_id: string; role: Role }): Promise<Participant> {
  const notAnAdmin = role === 'observer' ? ' AND NOT contains(admins, :participant)' : '';
  const [outcome, [room, participant]] = await settleAll([
    transact([
      {
        ConditionCheck: {
          Key: roomKey(room_id),
          ConditionExpression: `${ADMIN_OF_LIVE_ROOM}${notAnAdmin}`,
          ExpressionAttributeValues: {
            ...adminValues(caller, now),
            ...(role === 'observer' && { ':participant': participant_id }),
          },
        },
      },
      setRoleWrite(room_id, participant_id, role),
    ]),
    batchGetOrdered<[RoomItem, ParticipantItem]>(roomKey(room_id), participantKey(room_id, participant_id)),
  ]);
  if (outcome.done) {
    const isAdmin = role === 'member' && (room?.admins.has(participant_id) ?? false);
    return toParticipant(participant_id, withRole(participant, role), isAdmin);
  }
  const [onRoom, onParticipant] = outcome.refusals;
  // The room's item is returned only if its own condition failed.
  const refusal = onRoom?.refused ? await adminRefusal(onRoom.old as RoomItem | undefined, caller, now) : undefined;
  throw refusal ?? new RoomsError(onParticipant?.refused ? 'participant_not_found' : 'participant_is_admin');
}

const setRoleWrite = (room_id: string, participant_id: string, role: Role): Write => ({
  Update: {
    Key: participantKey(room_id, participant_id),
    UpdateExpression: role === 'observer' ? 'SET #role = :observer' : 'REMOVE #role',
    ConditionExpression: 'attribute_exists(PK)',
    ExpressionAttributeNames: { '#role': 'role' },
    ...(role === 'observer' && { ExpressionAttributeValues: { ':observer': role } }),
  },
});

/** The participant's item after the role was set. */
const withRole = ({ role: _, ...item }: Partial<ParticipantItem> = {}, role: Role): Partial<ParticipantItem> => ({
  ...item,
  ...(role === 'observer' && { role }),
});

/**
 * Grants a participant the admin right.
 *
 * @throws `participant_not_found` for a user who is not in the room, `too_many_admins`, and as `adminRefusal` says
 */
export async function grantAdmin({
  room_id,
  participant_id,
  caller,
  now,
}: RoomRequest & { participant_id: string }): Promise<Participant> {
  const [outcome, participant] = await Promise.all([
    transact([
      {
        Update: {
          Key: roomKey(room_id),
          UpdateExpression: 'ADD admins :granted',
          ConditionExpression: `${ADMIN_OF_LIVE_ROOM} AND (contains(admins, :participant) OR size(admins) < :max)`,
          ExpressionAttributeValues: {
            ...adminValues(caller, now),
            ':participant': participant_id,
            ':granted': new Set([participant_id]),
            ':max': MAX_ADMINS,
          },
        },
      },
      setRoleWrite(room_id, participant_id, 'member'),
    ]),
    get<ParticipantItem>(participantKey(room_id, participant_id)),
  ]);
  if (outcome.done) return toParticipant(participant_id, withRole(participant, 'member'), true);

  const [onRoom, onParticipant] = outcome.refusals;
  // The room's item is returned only if its own condition failed.
  const refusal = onRoom?.refused ? await adminRefusal(onRoom.old as RoomItem | undefined, caller, now) : undefined;
  throw refusal ?? new RoomsError(onParticipant?.refused ? 'participant_not_found' : 'too_many_admins');
}

/**
 * Revokes the admin right of a participant. Admins who revoke another admin's right keep their own. Only revoking one's
 * own right can leave a room without an admin.
 *
 * @throws `last_admin`, `participant_not_found`, and as `adminRefusal` says
 */
export async function revokeAdmin({
  room_id,
  participant_id,
  caller,
  now,
}: RoomRequest & { participant_id: string }): Promise<Participant> {
  const own = participant_id === caller;
  const [outcome, participant] = await Promise.all([
    update<RoomItem>(roomKey(room_id), {
      UpdateExpression: 'DELETE admins :revoked',
      ConditionExpression: `${ADMIN_OF_LIVE_ROOM}${own ? ' AND size(admins) > :one' : ''}`,
      ExpressionAttributeValues: {
        ...adminValues(caller, now),
        ':revoked': new Set([participant_id]),
        ...(own && { ':one': 1 }),
      },
    }),
    get<ParticipantItem>(participantKey(room_id, participant_id)),
  ]);
  if (!outcome.done) {
    // An earlier attempt of this call may have revoked it. The response is also correct for a user who never had the
    // right.
    const taken = own && outcome.again && participant && outcome.old?.admins.has(caller) === false;
    if (!taken) throw (await adminRefusal(outcome.old, caller, now)) ?? new RoomsError('last_admin');
  }
  if (!participant) throw new RoomsError('participant_not_found');
  return toParticipant(participant_id, participant, false);
}

/**
 * Returns one page of the participants of a room, in the order of their IDs.
 *
 * @throws as `membership` does
 */
export async function listParticipants({
  room_id,
  limit,
  cursor,
  caller,
}: Omit<RoomRequest, 'now'> & { limit: number; cursor?: string | undefined }): Promise<Page<ListedParticipant>> {
  const list = `participants of ${room_id}`;
  const start = cursor && decodeCursor(list, cursor);
  const [{ room }, { items, more }] = await Promise.all([
    membership(room_id, caller),
    queryPage<ParticipantItem>(
      {
        KeyConditionExpression: 'PK = :room AND begins_with(SK, :participant)',
        ExpressionAttributeValues: { ':room': roomPartition(room_id), ':participant': PARTICIPANT },
        ConsistentRead: true,
        ...(start && { ExclusiveStartKey: participantKey(room_id, start) }),
      },
      limit,
    ),
  ]);
  const last = items.at(-1)?.participant_id;
  return {
    items: items.map((item) => ({
      ...toParticipant(item.participant_id, item, room.admins.has(item.participant_id)),
      read_to: item.read_to ?? null,
      online: item.present ?? false,
    })),
    next_cursor: more && last ? encodeCursor(list, last) : null,
  };
}

/**
 * Changes the caller's own profile in a room, also after the room has ended. null clears the username. The other fields
 * are read in parallel with the write, which does not affect them.
 *
 * @throws `room_not_found`, `not_a_participant` or `too_many_requests`
 */
export async function updateProfile({
  room_id,
  username,
  archive_room,
  caller,
  now,
}: RoomRequest & {
  username?: string | null | undefined;
  archive_room?: boolean | undefined;
}): Promise<Profile> {
  const sets = [
    ...(username ? ['username = :username'] : []),
    ...(archive_room === undefined ? [] : ['archive_room = :archive_room']),
  ];
  const write: Write = {
    Update: {
      Key: participantKey(room_id, caller),
      UpdateExpression: [
        ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []),
        ...(username === null ? ['REMOVE username'] : []),
      ].join(' '),
      ConditionExpression: 'attribute_exists(PK)',
      ...(sets.length > 0 && {
        ExpressionAttributeValues: {
          ...(username && { ':username': username }),
          ...(archive_room !== undefined && { ':archive_room': archive_room }),
        },
      }),
    },
  };
  const [outcome, known] = await Promise.all([
    transactCounted([write], { caller, now, uses: { profileChangesPerMinute: 1 } }),
    get<ParticipantItem>(participantKey(room_id, caller)),
  ]);
  if (!outcome.done) throw new RoomsError((await get(roomKey(room_id))) ? 'not_a_participant' : 'room_not_found');
  const before = toProfile(caller, known);
  return {
    ...before,
    ...(username !== undefined && { username }),
    ...(archive_room !== undefined && { archive_room }),
  };
}
