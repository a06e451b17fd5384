import { RoomsError } from '../contract/errors.ts';
import { roomStatus } from '../rules/room.ts';
import type { Timestamp } from '../rules/time.ts';
import type { ParticipantItem, RoomItem } from './items.ts';
import { type Key, participantKey, roomKey } from './keys.ts';
import { batchGetOrdered, get } from './read.ts';

/** Condition on a room item: the caller is an admin, and the room has not ended. Takes `adminValues`. */
export const ADMIN_OF_LIVE_ROOM = 'contains(admins, :caller) AND (attribute_not_exists(end_time) OR end_time > :now)';

export const adminValues = (caller: string, now: Timestamp): Record<string, string> => ({
  ':caller': caller,
  ':now': now,
});

/**
 * Returns why ADMIN_OF_LIVE_ROOM failed, from the room as it was then. Returns undefined if the condition was met, so
 * that something else failed. Reads the table only to distinguish outsiders from participants.
 */
export async function adminRefusal(
  room: RoomItem | undefined,
  caller: string,
  now: Timestamp,
): Promise<RoomsError | undefined> {
  if (!room) return new RoomsError('room_not_found');
  if (!room.admins.has(caller))
    return new RoomsError((await get(participantKey(room.room_id, caller))) ? 'not_an_admin' : 'not_a_participant');
  return roomStatus(room, now) === 'ended' ? new RoomsError('room_ended') : undefined;
}

/** Returns the items of keys, each undefined if it does not exist. */
type Extra<Items extends readonly Key[]> = { readonly [N in keyof Items]: Items[N] | undefined };

interface Membership<Items extends readonly Key[]> {
  readonly room: RoomItem;
  readonly participant: ParticipantItem;
  /** In the order of the keys. */
  readonly extra: Extra<Items>;
}

/**
 * Returns the room, the caller's participant item, and the items of further keys, with one consistent read.
 *
 * @param alsoGet the further keys
 * @throws `room_not_found` or `not_a_participant`
 */
export async function membership<Items extends readonly Key[] = []>(
  room_id: string,
  user_id: string,
  ...alsoGet: { readonly [N in keyof Items]: Key }
): Promise<Membership<Items>> {
  const [room, participant, ...extra] = await batchGetOrdered<[RoomItem, ParticipantItem, ...Items]>(
    roomKey(room_id),
    participantKey(room_id, user_id),
    ...alsoGet,
  );
  if (!room) throw new RoomsError('room_not_found');
  if (!participant) throw new RoomsError('not_a_participant');
  return { room, participant, extra };
}

/** @throws `room_not_started` or `room_ended` unless the room has started and not ended */
export function requireLive(room: RoomItem, now: Timestamp): void {
  const status = roomStatus(room, now);
  if (status !== 'started') throw new RoomsError(status === 'ended' ? 'room_ended' : 'room_not_started');
}

/**
 * Like `membership`, for a live room.
 *
 * @throws `room_not_started` or `room_ended`, and as `membership` does
 */
export async function liveMembership<Items extends readonly Key[] = []>(
  room_id: string,
  user_id: string,
  now: Timestamp,
  ...alsoGet: { readonly [N in keyof Items]: Key }
): Promise<Membership<Items>> {
  const member = await membership<Items>(room_id, user_id, ...alsoGet);
  requireLive(member.room, now);
  return member;
}
