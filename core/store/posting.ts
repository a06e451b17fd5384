import { RoomsError } from '../contract/errors.ts';
import type { ParticipantItem, RoomItem } from './items.ts';
import { lockKey, participantKey } from './keys.ts';
import type { Refusal, Write } from './write.ts';

/*
 * The right to post in a room. It is a condition of the write, so no message is stored after the response to a removal,
 * a demotion, or a lock. See docs/decisions/0041-right-to-post.md.
 */

/**
 * The number of lock items of a room. Each message checks one of them, so that two senders rarely conflict. With 50
 * messages per second and 20 ms per transaction, one message in 16 conflicts.
 */
const LOCK_SHARDS = 16;

const shards = Array.from({ length: LOCK_SHARDS }, (_, n) => n);

/** Part of the transaction that stores `posting: "admins"`. */
export const lockWrites = (room_id: string): Write[] =>
  shards.map((n) => ({ Put: { Item: { ...lockKey(room_id, n), room_id } } }));

/** Part of the transaction that removes `posting`. */
export const unlockWrites = (room_id: string): Write[] => shards.map((n) => ({ Delete: { Key: lockKey(room_id, n) } }));

/**
 * Condition: the user is a participant. For actions that are also allowed to observers, and to members of a locked
 * room.
 */
export const isParticipant = (room_id: string, user_id: string): Write => ({
  ConditionCheck: { Key: participantKey(room_id, user_id), ConditionExpression: 'attribute_exists(PK)' },
});

/** A room and one of its participants, as read before the write. */
interface Membership {
  readonly room: RoomItem;
  readonly participant: ParticipantItem;
}

/**
 * Checks an observer's or a locked room's member's lack of permission in advance, from what was read, which saves a
 * write.
 *
 * @throws `read_only`
 */
export function requireRightToPost({ room, participant }: Membership): void {
  const isLocked = room.posting === 'admins' && !room.admins.has(participant.participant_id);
  if (isLocked || participant.role === 'observer') throw new RoomsError('read_only');
}

/**
 * The conditions of the right to post. In a locked room, the caller is an admin, and the lock is not checked.
 * Otherwise, the lock is checked even for admins: an admin who has lost the right since the read is then rejected like
 * a member.
 */
function rightToPost({ room, participant }: Membership): Write[] {
  const { room_id, participant_id } = participant;
  const shard = Math.floor(Math.random() * LOCK_SHARDS);
  return [
    {
      ConditionCheck: {
        Key: participantKey(room_id, participant_id),
        ConditionExpression: 'attribute_exists(PK) AND (attribute_not_exists(#role) OR #role <> :observer)',
        ExpressionAttributeNames: { '#role': 'role' },
        ExpressionAttributeValues: { ':observer': 'observer' },
      },
    },
    ...(room.posting === 'admins'
      ? []
      : [{ ConditionCheck: { Key: lockKey(room_id, shard), ConditionExpression: 'attribute_not_exists(PK)' } }]),
  ];
}

/**
 * Returns why the conditions of the right to post failed. Undefined if they did not.
 *
 * @param refusals the results of these conditions, without those of the rest of the transaction
 */
export function rightRefusal([onParticipant, onLock]: readonly Refusal[]): RoomsError | undefined {
  if (onParticipant?.refused) return new RoomsError(onParticipant.old ? 'read_only' : 'not_a_participant');
  return onLock?.refused ? new RoomsError('read_only') : undefined;
}

/**
 * How often the right is read for one write. Only an admin whose room is locked in the meantime needs a second read.
 */
const READ_ATTEMPTS = 3;

/**
 * Writes something that requires a participant's right to post.
 *
 * @param read returns the current room and participant
 * @param write a transaction that includes `right`. It throws what {@link rightRefusal} returns
 * @returns the result of `write`
 * @throws `read_only`, and as `read` and `write` do
 */
export async function withRightToPost<Member extends Membership, Result>(
  read: () => Promise<Member>,
  write: (member: Member, right: readonly Write[]) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const member = await read();
    requireRightToPost(member);
    try {
      return await write(member, rightToPost(member));
    } catch (error) {
      // The room was locked after it was read. An admin can still post, unless they have lost that right, too.
      const isUnclear =
        error instanceof RoomsError &&
        error.code === 'read_only' &&
        member.room.admins.has(member.participant.participant_id);
      if (!isUnclear || attempt === READ_ATTEMPTS) throw error;
    }
  }
}
