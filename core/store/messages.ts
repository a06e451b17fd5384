import { createHash } from 'node:crypto';
import type { Message, Page } from '../contract/answers.ts';
import { type ErrorCode, RoomsError } from '../contract/errors.ts';
import { IDEMPOTENCY_TTL_SECONDS, MAX_MESSAGE_BYTES } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { settleAll } from '../platform/settle-all.ts';
import { type JsonObject, jsonBytes } from '../rules/json.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { liveMembership, membership } from './access.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { OwnFile } from './files.ts';
import { type MessageItem, type SentItem, toMessage } from './items.ts';
import { chatPartition, MESSAGE, messageKey, presenceDigestKey, sentKey } from './keys.ts';
import { newMessageId } from './message-id.ts';
import { rightRefusal, withRightToPost } from './posting.ts';
import type { DigestItem } from './presence-digest.ts';
import { get, queryPage } from './read.ts';
import { checkRoomRate, checkSenderRate, countMessage, type RoomRateItem, rateKeyAt } from './room-rate.ts';
import { transact, type Write } from './write.ts';

export interface NewMessage {
  readonly room_id: string;
  readonly sender_id: string;
  /** The sender's username. */
  readonly sender_name?: string | undefined;
  /** Conditions of the sender's right to post: see `rightToPost`. Default: none. */
  readonly right?: readonly Write[] | undefined;
  /** Chosen by the sender. Sending it again within a day stores nothing new. */
  readonly client_message_id: string;
  readonly text?: string | undefined;
  readonly files?: readonly OwnFile[] | undefined;
  readonly type?: string | undefined;
  readonly data?: JsonObject | undefined;
  readonly reply_to?: string | undefined;
  readonly now: Timestamp;
}

/** The content of a message, which must be the same when it is sent again. */
type Content = Pick<NewMessage, 'text' | 'type' | 'data' | 'reply_to'> & { readonly file_ids: readonly string[] };

const hashOf = ({ text, type, data, reply_to, file_ids }: Content): string =>
  createHash('sha256')
    .update(JSON.stringify([text, type, data, reply_to, file_ids]))
    .digest('base64url');

/** Throws `payload_too_large` if a message does not fit into the frame of an event. */
export function requireMessageSize(message: Message): void {
  if (jsonBytes(message) > MAX_MESSAGE_BYTES)
    throw new RoomsError('payload_too_large', [
      {
        message: `A message with its data and the names of its files must be at most ${MAX_MESSAGE_BYTES} bytes as JSON.`,
      },
    ]);
}

/**
 * Returns the message that a marker points to, as it is now.
 * @throws `idempotency_conflict` if its content was another one
 */
async function messageOf(room_id: string, { message_id, content_hash }: SentItem, hash: string): Promise<Message> {
  if (content_hash !== undefined && content_hash !== hash) throw new RoomsError('idempotency_conflict');
  const stored = await get<MessageItem>(messageKey(room_id, message_id));
  if (!stored) throw new Error(`The message ${message_id} was sent, but is not stored.`);
  return toMessage(stored);
}

/**
 * Stores a message, and a marker under the sender's own ID for it. Does not check the right to post. Returns the stored
 * message, or the first one if it was sent before. Does not write the room's item, which would cause conflicts between
 * senders.
 *
 * @throws `file_not_found` if a file has expired in the meantime, `idempotency_conflict`, or `payload_too_large`
 */
export async function appendMessage(message: NewMessage): Promise<Message> {
  const { room_id, sender_id, sender_name, client_message_id, text, type, data, reply_to, now } = message;
  const { files = [], right = [] } = message;
  const message_id = newMessageId(now);
  const attachments = files.map(({ attachment }) => attachment);
  const [attachment] = attachments;
  const item: MessageItem = {
    ...messageKey(room_id, message_id),
    room_id,
    message_id,
    sender_id,
    client_message_id,
    ...(text !== undefined && { text }),
    ...(attachment && { attachment }),
    ...(attachments.length > 1 && { attachments }),
    sent_at: now,
    ...(sender_name !== undefined && { sender_name }),
    ...(type !== undefined && { type }),
    ...(data !== undefined && { data: JSON.stringify(data) }),
    ...(reply_to !== undefined && { reply_to }),
  };
  requireMessageSize(toMessage(item));
  const content_hash = hashOf({ ...message, file_ids: attachments.map(({ file_id }) => file_id) });
  const sent: SentItem = {
    ...sentKey(room_id, sender_id, client_message_id),
    message_id,
    content_hash,
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
    ...files.map(({ keep }) => keep),
  ]);
  if (outcome.done) return toMessage(item);

  const [onSent, , ...others] = outcome.refusals;
  const first = onSent?.old as SentItem | undefined;
  if (!first) {
    const refusal = rightRefusal(others.slice(0, right.length));
    if (refusal) throw refusal;
    if (others.slice(right.length).some(({ refused }) => refused)) throw new RoomsError('file_not_found');
  }
  // A ULID has 80 random bits per millisecond, so no other message has this ID.
  if (!first) throw new Error(`The message id ${message_id} is taken.`);
  return messageOf(room_id, first, content_hash);
}

/** Errors that can also occur for a retry of a stored message. */
const POSSIBLE_AFTER_STORING: ReadonlySet<ErrorCode> = new Set([
  'not_a_participant',
  'read_only',
  'room_not_started',
  'room_ended',
  // The message and its files may have been deleted in the meantime.
  'file_not_found',
]);

/**
 * Stores a participant's message in a live room. A retry returns the current message, even if the room has ended or the
 * sender was removed in the meantime. That reveals only the sender's own message.
 *
 * @param findFile returns one of the message's files. It may throw.
 * @param admitted is awaited together with the first read.
 * @throws `room_not_started`, `room_ended`, `message_not_found` for the message that is replied to, `too_many_requests`
 * above the limit of the room, and as `membership`, `withRightToPost` and `appendMessage` do
 */
export async function sendMessage({
  room_id,
  client_message_id,
  file_ids,
  findFile,
  caller,
  now,
  admitted,
  ...content
}: RequestContext &
  Content & {
    room_id: string;
    client_message_id: string;
    findFile: (file_id: string) => Promise<OwnFile>;
    admitted: Promise<number>;
  }): Promise<Message> {
  const { reply_to } = content;
  const found = settleAll(file_ids.map(findFile));
  const alsoGet = reply_to === undefined ? [] : [messageKey(room_id, reply_to)];
  const read = async () => {
    const keys = [rateKeyAt(room_id, now), presenceDigestKey(room_id)] as const;
    const member = liveMembership<[RoomRateItem, DigestItem, ...MessageItem[]]>(
      room_id,
      caller,
      now,
      ...keys,
      ...alsoGet,
    );
    const [
      sent,
      {
        extra: [rate, digests, repliedTo],
        ...rest
      },
      files,
    ] = await settleAll([admitted, member, found]);
    if (reply_to !== undefined && !repliedTo) throw new RoomsError('message_not_found');
    checkRoomRate(rate);
    checkSenderRate(sent, digests, now);
    return { ...rest, files };
  };
  try {
    return await withRightToPost(read, async ({ participant, files }, right) => {
      const { username: sender_name } = participant;
      const [message] = await settleAll([
        appendMessage({ ...content, room_id, sender_id: caller, sender_name, client_message_id, files, right, now }),
        countMessage(room_id, now),
      ]);
      return message;
    });
  } catch (error) {
    if (!(error instanceof RoomsError && POSSIBLE_AFTER_STORING.has(error.code))) throw error;
    const first = await get<SentItem>(sentKey(room_id, caller, client_message_id));
    if (!first || first.expires_at <= epochSeconds(now)) throw error;
    return messageOf(room_id, first, hashOf({ ...content, file_ids }));
  }
}

/**
 * Returns one page of a room's chat. Consistent: it contains everything that was stored before the request.
 *
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
