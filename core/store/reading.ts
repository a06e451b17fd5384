import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { ReadMark } from '../contract/answers.ts';
import { invalid, RoomsError } from '../contract/errors.ts';
import { CLOCK_SKEW_MS, MAX_UNREAD_COUNT } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { dynamodb, tableName } from './client.ts';
import { type ParticipantItem, readUpTo } from './items.ts';
import { chatPartition, MESSAGE, messageKey, participantKey, roomKey } from './keys.ts';
import { millisecondsOf } from './message-id.ts';
import { get } from './read.ts';
import { update } from './write.ts';

/*
 * How far participants have read. The mark is on the participant's item. The room's last message is on the item of its
 * sequence, which each batch of messages writes anyway. So a message causes no additional cost, for any number of
 * unread participants.
 */

/**
 * Moves the caller's read mark forward to a message, which need not exist. For an older message, the mark does not
 * move. Returns the caller's current mark.
 *
 * @throws `invalid_request` for a message in the future, `room_not_found` or `not_a_participant`
 */
export async function markRead({
  room_id,
  message_id,
  caller,
  now,
}: RequestContext & { room_id: string; message_id: string }): Promise<ReadMark> {
  if (millisecondsOf(message_id) > Date.parse(now) + CLOCK_SKEW_MS)
    throw invalid({ path: 'message_id', message: 'must not be in the future' });
  const outcome = await update<ParticipantItem>(participantKey(room_id, caller), {
    UpdateExpression: 'SET read_to = :message',
    ConditionExpression: 'attribute_exists(PK) AND (attribute_not_exists(read_to) OR read_to < :message)',
    ExpressionAttributeValues: { ':message': message_id },
  });
  const participant = outcome.done ? outcome.item : outcome.old;
  if (!participant) throw new RoomsError((await get(roomKey(room_id))) ? 'not_a_participant' : 'room_not_found');
  return { participant_id: caller, read_to: participant.read_to ?? null };
}

/**
 * Counts a participant's unread messages: those of others that were not deleted, among the next {@link
 * MAX_UNREAD_COUNT} after the read mark. Takes one query for only these.
 */
export async function countUnread(participant: ParticipantItem): Promise<number> {
  const { room_id, participant_id } = participant;
  const { Count = 0 } = await dynamodb.send(
    new QueryCommand({
      TableName: tableName(),
      Select: 'COUNT',
      ConsistentRead: true,
      KeyConditionExpression: 'PK = :chat AND SK BETWEEN :first AND :last',
      FilterExpression: 'sender_id <> :reader AND attribute_not_exists(deleted_at)',
      ExpressionAttributeValues: {
        ':chat': chatPartition(room_id),
        // The character that sorts after the end of an ID, so that the read message itself is excluded.
        ':first': `${messageKey(room_id, readUpTo(participant)).SK}!`,
        ':last': `${MESSAGE}\uffff`,
        ':reader': participant_id,
      },
      Limit: MAX_UNREAD_COUNT,
    }),
  );
  return Count;
}
