import { RoomsError } from '../contract/errors.ts';
import type { ParticipantItem, RoomItem } from './items.ts';
import { lockKey, participantKey } from './keys.ts';
import type { Refusal, Write } from './write.ts';

/*
 * The right to post in a room. It is part of the write: a message that is stored after the answer to a removal, a demotion or a lock does
 * not exist. See docs/decisions/0041-right-to-post.md.
 */

/**
 * How many items lock a room. A message checks one of them, so that two senders rarely conflict: with 50 messages a second, and 20 ms a
 * transaction, one message in 16 meets another.
 */
const LOCK_SHARDS = 16;

const shards = Array.from({ length: LOCK_SHARDS }, (_, n) => n);

/** Belongs in the transaction that stores `posting: "admins"`. */
export const lockWrites = (room_id: string): Write[] =>
  shards.map((n) => ({ Put: { Item: { ...lockKey(room_id, n), room_id } } }));

/** Belongs in the transaction that removes `posting`. */
export const unlockWrites = (room_id: string): Write[] => shards.map((n) => ({ Delete: { Key: lockKey(room_id, n) } }));

/** Condition: the user is a participant. For what observers may do, and members of a locked room. */
export const isParticipant = (room_id: string, user_id: string): Write => ({
  ConditionCheck: { Key: participantKey(room_id, user_id), ConditionExpression: 'attribute_exists(PK)' },
});

/** A room and one of its participants, as read before the write. */
interface Membership {
  readonly room: RoomItem;
  readonly participant: ParticipantItem;
}

/** Throws `read_only` for an observer, and for a member of a locked room, as they were read: that saves a write. */
export function requireRightToPost({ room, participant }: Membership): void {
  const isLocked = room.posting === 'admins' && !room.admins.has(participant.participant_id);
  if (isLocked || participant.role === 'observer') throw new RoomsError('read_only');
}

/**
 * The conditions of the right to post. In a locked room, only admins come this far, and the lock is not checked. Everywhere else it is,
 * also for admins: one who has lost that right since the read is then stopped by a lock like any member.
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
 * Returns why the conditions of the right to post did not hold; undefined where they did.
 *
 * @param refusals what became of these conditions, and of no others of the transaction
 */
export function rightRefusal([onParticipant, onLock]: readonly Refusal[]): RoomsError | undefined {
  if (onParticipant?.refused) return new RoomsError(onParticipant.old ? 'read_only' : 'not_a_participant');
  return onLock?.refused ? new RoomsError('read_only') : undefined;
}

/**
 * How often the right is read for one write. Only an admin whose room is locked in the meantime needs a second time.
 */
const READ_ATTEMPTS = 3;

/**
 * Posts something with the right of a participant.
 *
 * @param read the room and the participant, as they are now
 * @param write a transaction that includes `right`. It throws what {@link rightRefusal} returns
 * @returns what `write` returned
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
      // The room was locked after it was read: an admin may still post, unless they have lost that right, too.
      const isUnclear =
        error instanceof RoomsError &&
        error.code === 'read_only' &&
        member.room.admins.has(member.participant.participant_id);
      if (!isUnclear || attempt === READ_ATTEMPTS) throw error;
    }
  }
}
