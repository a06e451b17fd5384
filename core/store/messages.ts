import type { Attachment, Message, Page } from '../contract/answers.ts';
import { type ErrorCode, RoomsError } from '../contract/errors.ts';
import { IDEMPOTENCY_TTL_SECONDS } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { liveMembership, membership } from './access.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { OwnFile } from './files.ts';
import { type MessageItem, type SentItem, toMessage } from './items.ts';
import { chatPartition, MESSAGE, messageKey, sentKey } from './keys.ts';
import { newMessageId } from './message-id.ts';
import { rightRefusal, withRightToPost } from './posting.ts';
import { get, queryPage } from './read.ts';
import { checkRoomRate, countMessage, type RoomRateItem, rateKeyAt } from './room-rate.ts';
import { settleAll } from './settle-all.ts';
import { transact, type Write } from './write.ts';

export interface NewMessage {
  readonly room_id: string;
  readonly sender_id: string;
  /** The sender's username. */
  readonly sender_name?: string | undefined;
  /** Conditions that the sender may send: see `rightToPost`. Default: none. */
  readonly right?: readonly Write[] | undefined;
  /** Chosen by the sender; sending it again within a day stores nothing new. */
  readonly client_message_id: string;
  readonly text?: string | undefined;
  readonly attachment?: Attachment | undefined;
  /** Keeps the file of the attachment from expiring: see `OwnFile`. */
  readonly keep?: Write | undefined;
  readonly now: Timestamp;
}

/** Returns the message that a marker points to. */
async function messageOf(room_id: string, { message_id }: SentItem): Promise<Message> {
  const stored = await get<MessageItem>(messageKey(room_id, message_id));
  if (!stored) throw new Error(`The message ${message_id} was sent, but is not stored.`);
  return toMessage(stored);
}

/**
 * Stores a message and a marker under the sender's own id for it. Does not check whether the sender may send. Returns
 * the stored message; if it was sent before, the first one. Does not touch the room's item: two senders would
 * conflict there.
 * @throws `file_not_found` if the attachment has expired meanwhile
 */
export async function appendMessage(message: NewMessage): Promise<Message> {
  const { room_id, sender_id, sender_name, client_message_id, text, attachment, keep, right = [], now } = message;
  const message_id = newMessageId(now);
  const item: MessageItem = {
    ...messageKey(room_id, message_id),
    room_id,
    message_id,
    sender_id,
    client_message_id,
    ...(text !== undefined && { text }),
    ...(attachment && { attachment }),
    sent_at: now,
    ...(sender_name !== undefined && { sender_name }),
  };
  const sent: SentItem = {
    ...sentKey(room_id, sender_id, client_message_id),
    message_id,
    sent_at: now,
    expires_at: epochSeconds(now) + IDEMPOTENCY_TTL_SECONDS,
  };
  const outcome = await transact([
    {
      Put: {
        Item: sent,
        ConditionExpression: 'attribute_not_exists(PK) OR expires_at <= :now',
        ExpressionAttributeValues: { ':now': epochSeconds(now) },
      },
    },
    { Put: { Item: item, ConditionExpression: 'attribute_not_exists(PK)' } },
    ...right,
    ...(keep ? [keep] : []),
  ]);
  if (outcome.done) return toMessage(item);

  const [onSent, , ...others] = outcome.refusals;
  const first = onSent?.old as SentItem | undefined;
  if (!first) {
    const refusal = rightRefusal(others.slice(0, right.length));
    if (refusal) throw refusal;
    if (others[right.length]?.refused) throw new RoomsError('file_not_found');
  }
  // A ULID has 80 random bits per millisecond: no other message has this id.
  if (!first) throw new Error(`The message id ${message_id} is taken.`);
  return messageOf(room_id, first);
}

/** Errors of a message that may have been accepted when it was sent first. */
const SINCE_THEN: ReadonlySet<ErrorCode> = new Set([
  'not_a_participant',
  'read_only',
  'room_not_started',
  'room_ended',
]);

/**
 * Stores a participant's message in a room that is on. `attachment` finds the file that goes with it; it may throw. `admitted` is
 * awaited with the first read.
 * Who sends a message again, because the answer was lost, gets the first answer, also when the room has ended since, or the
 * sender was removed: it is what they sent themselves, and tells them nothing of what came after.
 * Throws `room_not_started`, `room_ended`, `too_many_requests` where the room takes no more in this second, and as `membership` does.
 */
export async function sendMessage({
  room_id,
  client_message_id,
  text,
  attachment,
  caller,
  now,
  admitted,
}: RequestContext & {
  room_id: string;
  client_message_id: string;
  text?: string | undefined;
  attachment?: () => Promise<OwnFile>;
  admitted: Promise<void>;
}): Promise<Message> {
  const ownFile = attachment?.();
  const read = async () => {
    const member = liveMembership<[RoomRateItem]>(room_id, caller, now, rateKeyAt(room_id, now));
    const [, { extra, ...rest }, file] = await settleAll([admitted, member, ownFile]);
    checkRoomRate(extra[0]);
    return { ...rest, file };
  };
  try {
    return await withRightToPost(read, async ({ participant, file }, right) => {
      const { username: sender_name } = participant;
      const [message] = await settleAll([
        appendMessage({ room_id, sender_id: caller, sender_name, client_message_id, text, right, ...file, now }),
        countMessage(room_id, now),
      ]);
      return message;
    });
  } catch (error) {
    if (!(error instanceof RoomsError && SINCE_THEN.has(error.code))) throw error;
    const first = await get<SentItem>(sentKey(room_id, caller, client_message_id));
    if (!first || first.expires_at <= epochSeconds(now)) throw error;
    return messageOf(room_id, first);
  }
}

/**
 * Returns one page of a room's chat. Consistent: it contains everything stored before the request.
 * @throws as `membership` does
 */
export async function listMessages({
  room_id,
  order,
  limit,
  cursor,
  caller,
}: {
  room_id: string;
  order: 'asc' | 'desc';
  limit: number;
  cursor?: string | undefined;
  caller: string;
}): Promise<Page<Message>> {
  const list = `chat of ${room_id}`;
  const start = cursor && decodeCursor(list, cursor);
  const [, { items, more }] = await Promise.all([
    membership(room_id, caller),
    queryPage<MessageItem>(
      {
        KeyConditionExpression: 'PK = :chat AND begins_with(SK, :message)',
        ExpressionAttributeValues: { ':chat': chatPartition(room_id), ':message': MESSAGE },
        ScanIndexForward: order === 'asc',
        ConsistentRead: true,
        ...(start && { ExclusiveStartKey: messageKey(room_id, start) }),
      },
      limit,
    ),
  ]);
  const last = items.at(-1)?.message_id;
  return { items: items.map(toMessage), next_cursor: more && last ? encodeCursor(list, last) : null };
}
