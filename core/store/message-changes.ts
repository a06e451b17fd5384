import type { Message, Page } from '../contract/answers.ts';
import { type ErrorCode, RoomsError } from '../contract/errors.ts';
import { MAX_CHANGE } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { pause } from '../platform/abort.ts';
import { backoffMs } from '../platform/backoff.ts';
import { settleAll } from '../platform/settle-all.ts';
import { roomStatus } from '../rules/room.ts';
import { membership, requireLive } from './access.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { releaseFile } from './files.ts';
import {
  attachmentsOf,
  type ChangeItem,
  type ChangesItem,
  type FileItem,
  type MessageItem,
  type ParticipantItem,
  type RoomItem,
  toMessage,
} from './items.ts';
import { CHANGE, changeKey, changesKey, chatPartition, type Key, messageKey, roomKey } from './keys.ts';
import { requireMessageSize } from './messages.ts';
import { isParticipant, rightRefusal, withRightToPost } from './posting.ts';
import { getMany, queryPage } from './read.ts';
import { countUsage } from './user-limits.ts';
import { type Refusal, transact, type Write } from './write.ts';

/*
 * Edits and deletions of messages, and the feed that lists them. Each change is one transaction: it writes the message,
 * the room's number of changes, and a pointer from the new number to the message, and deletes the previous pointer. See
 * docs/decisions/0050-changes-of-messages.md.
 */

/**
 * The number of attempts at a change that conflicts with others. In each round, one of the conflicting changes
 * succeeds.
 */
const CHANGE_ATTEMPTS = 20;
/** The maximum wait between two attempts, in milliseconds. */
const CHANGE_WAIT_MS = 100;

interface MessageRequest extends RequestContext {
  readonly room_id: string;
  readonly message_id: string;
}

/** A message, and the data that is necessary to change it. */
interface Target {
  readonly room: RoomItem;
  readonly participant: ParticipantItem;
  readonly message: MessageItem;
  /** The number of the last change in the room. */
  readonly last: number;
}

async function read({
  room_id,
  message_id,
  caller,
}: MessageRequest): Promise<Omit<Target, 'message'> & { message?: MessageItem }> {
  const {
    extra: [message, changes],
    ...member
  } = await membership<[MessageItem, ChangesItem]>(
    room_id,
    caller,
    messageKey(room_id, message_id),
    changesKey(room_id),
  );
  return { ...member, ...(message && { message }), last: changes?.last ?? 0 };
}

/**
 * Returns whether a user sent a message. Messages of the service have no sending user, even if a user has the same ID.
 */
const isSender = ({ sender_id, kind }: MessageItem, user_id: string): boolean =>
  sender_id === user_id && kind === undefined;

/** A change of a message. */
interface Change {
  readonly set: Readonly<Partial<MessageItem>>;
  readonly remove?: readonly (keyof MessageItem)[];
  /** Further actions of the transaction. */
  readonly alsoWrite: readonly Write[];
  /**
   * Called with the results of `alsoWrite` if one of its actions was rejected. Throws, or returns the actions for the next
   * attempt.
   */
  readonly onRefusal: (refusals: readonly Refusal[]) => readonly Write[];
}

interface Outcome {
  /** The current message. */
  readonly message: MessageItem;
  /** Whether another user has deleted it since the read, so that this change was not applied. */
  readonly isTooLate: boolean;
}

/**
 * Changes a message, with the next change number of the room.
 *
 * @throws `message_not_found`, or `try_again` if other changes keep conflicting
 */
async function change(
  { message: before, last: seen }: Pick<Target, 'message' | 'last'>,
  { set, remove = [], alsoWrite, onRefusal }: Change,
): Promise<Outcome> {
  const { room_id, message_id } = before;
  let [message, last, others] = [before, seen, alsoWrite];
  for (let attempt = 1; attempt <= CHANGE_ATTEMPTS; attempt++) {
    const former = message.change;
    // The message and the count are read separately, so the count may be older.
    last = Math.max(last, former ?? 0);
    const number = last + 1;
    const changed = { ...set, change: number };
    const names = [...Object.keys(changed), ...remove];
    const outcome = await transact([
      {
        Update: {
          Key: messageKey(room_id, message_id),
          UpdateExpression:
            `SET ${Object.keys(changed).map((name) => `#${name} = :${name}`)}` +
            (remove.length > 0 ? ` REMOVE ${remove.map((name) => `#${name}`)}` : ''),
          ConditionExpression:
            'attribute_exists(PK) AND attribute_not_exists(#deleted_at) AND ' +
            (former === undefined ? 'attribute_not_exists(#change)' : '#change = :former'),
          ExpressionAttributeNames: {
            '#deleted_at': 'deleted_at',
            ...Object.fromEntries(names.map((name) => [`#${name}`, name])),
          },
          ExpressionAttributeValues: {
            ...Object.fromEntries(Object.entries(changed).map(([name, value]) => [`:${name}`, value])),
            ...(former !== undefined && { ':former': former }),
          },
        },
      },
      {
        Update: {
          Key: changesKey(room_id),
          UpdateExpression: 'SET #last = :number',
          ConditionExpression: last === 0 ? 'attribute_not_exists(#last)' : '#last = :last',
          ExpressionAttributeNames: { '#last': 'last' },
          ExpressionAttributeValues: { ':number': number, ...(last > 0 && { ':last': last }) },
        },
      },
      { Put: { Item: { ...changeKey(room_id, number), message_id } satisfies ChangeItem } },
      ...(former === undefined ? [] : [{ Delete: { Key: changeKey(room_id, former) } }]),
      ...others,
    ]);
    if (outcome.done) {
      const kept = Object.entries({ ...message, ...changed }).filter(([name]) => !remove.some((each) => each === name));
      // The cast is safe: the item that was read and written is a message.
      return { message: Object.fromEntries(kept) as unknown as MessageItem, isTooLate: false };
    }

    const [onMessage, onChanges] = outcome.refusals;
    const onOthers = outcome.refusals.slice(former === undefined ? 3 : 4);
    if (onMessage?.refused) {
      const present = onMessage.old as MessageItem | undefined;
      if (!present) throw new RoomsError('message_not_found');
      if (present.deleted_at !== undefined) return { message: present, isTooLate: true };
      message = present;
    }
    if (onOthers.some(({ refused }) => refused)) others = onRefusal(onOthers);
    if (onChanges?.refused) last = (onChanges.old as ChangesItem | undefined)?.last ?? 0;
    await pause(backoffMs(attempt, CHANGE_WAIT_MS));
  }
  throw new RoomsError('try_again');
}

/**
 * Replaces the text of the caller's own message. If the text is the same, nothing changes.
 *
 * @throws `room_not_started`, `room_ended`, `message_not_found`, `not_the_sender`, `message_deleted`,
 * `payload_too_large`, `too_many_requests`, and as `membership` and `withRightToPost` do
 */
export async function editMessage({ text, ...request }: MessageRequest & { text: string }): Promise<Message> {
  const { caller, now } = request;
  const usage = countUsage({ caller, now, uses: { messageChangesPerMinute: 1 } });
  const target = async (): Promise<Target> => {
    const [{ message, ...others }] = await settleAll([read(request), usage]);
    requireLive(others.room, now);
    if (!message) throw new RoomsError('message_not_found');
    if (!isSender(message, caller)) throw new RoomsError('not_the_sender');
    if (message.deleted_at !== undefined) throw new RoomsError('message_deleted');
    return { ...others, message };
  };
  return await withRightToPost(target, async ({ message, last }, right) => {
    if (message.text === text) return toMessage(message);
    const set = { text, edited_at: now };
    requireMessageSize(toMessage({ ...message, ...set }));
    const edited = await change({ message, last }, { set, alsoWrite: right, onRefusal });
    if (edited.isTooLate) throw new RoomsError('message_deleted');
    return toMessage(edited.message);

    function onRefusal(refusals: readonly Refusal[]): readonly Write[] {
      throw rightRefusal(refusals) ?? new Error('An edit was refused although each of its conditions held.');
    }
  });
}

/** A deleted message, and the files that were deleted with it. */
export interface Deleted {
  readonly message: Message;
  /** IDs of files that no message has. */
  readonly unused: readonly string[];
}

/**
 * The condition under which the caller may delete a message: they sent it and the room is live, or they are an admin.
 * Also contains the error for a condition that fails only at the write.
 */
function rightToDelete(
  { room, message }: Target,
  { room_id, caller, now }: MessageRequest,
): { right: Write; lost: ErrorCode } {
  const isOwn = isSender(message, caller);
  const isAdmin = room.admins.has(caller);
  if (!isOwn && !isAdmin) throw new RoomsError('not_the_sender');
  if (isOwn && !(isAdmin && roomStatus(room, now) !== 'started')) {
    requireLive(room, now);
    return { right: isParticipant(room_id, caller), lost: 'not_a_participant' };
  }
  return {
    right: {
      ConditionCheck: {
        Key: roomKey(room_id),
        ConditionExpression: 'contains(admins, :caller)',
        ExpressionAttributeValues: { ':caller': caller },
      },
    },
    lost: isOwn ? 'not_a_participant' : 'not_the_sender',
  };
}

/**
 * Permanently deletes the content of a message. The sender, the time, and the user who deleted it are kept. The sender
 * may delete it while the room is live, and an admin at any time. A message that is already deleted does not change.
 *
 * @throws `message_not_found`, `not_the_sender`, `room_not_started`, `room_ended`, `too_many_requests`, and as
 * `membership` does
 */
export async function deleteMessage(request: MessageRequest): Promise<Deleted> {
  const { room_id, caller, now } = request;
  const [{ message, ...others }] = await settleAll([
    read(request),
    countUsage({ caller, now, uses: { messageChangesPerMinute: 1 } }),
  ]);
  if (!message) throw new RoomsError('message_not_found');
  const target: Target = { ...others, message };
  const { right, lost } = rightToDelete(target, request);
  if (message.deleted_at !== undefined) return { message: toMessage(message), unused: [] };

  // Most files belong to only one message.
  const uses = new Map(attachmentsOf(message).map(({ file_id }) => [file_id, 1]));
  const alsoWrite = () => [
    right,
    ...[...uses].flatMap(([file_id, n]) => (n > 0 ? releaseFile(room_id, file_id, n, now) : [])),
  ];
  const deleted = await change(target, {
    set: { deleted_at: now, deleted_by: caller },
    remove: ['text', 'type', 'data', 'attachment', 'attachments'],
    alsoWrite: alsoWrite(),
    onRefusal([onRight, ...onFiles]) {
      if (onRight?.refused) throw new RoomsError(lost);
      const counted = [...uses].filter(([, n]) => n > 0);
      for (const [n, [file_id]] of counted.entries()) {
        const onFile = onFiles[n];
        // The number of messages with the file has changed, or its record does not exist.
        if (onFile?.refused) uses.set(file_id, (onFile.old as FileItem | undefined)?.uses ?? 0);
      }
      return alsoWrite();
    },
  });
  const unused = deleted.isTooLate ? [] : [...uses].flatMap(([file_id, n]) => (n <= 1 ? file_id : []));
  return { message: toMessage(deleted.message), unused };
}

/**
 * Returns one page of a room's messages that changed after a number, in order of their last change. The query is
 * consistent: the page is complete up to the number of its last message.
 *
 * @throws as `membership` does
 */
export async function listMessageChanges({
  room_id,
  after = 0,
  limit,
  cursor,
  caller,
}: {
  room_id: string;
  after?: number | undefined;
  limit: number;
  cursor?: string | undefined;
  caller: string;
}): Promise<Page<Message>> {
  const list = `changes of ${room_id}`;
  const start = cursor === undefined ? after : Number(decodeCursor(list, cursor));
  const [, { items: pointers, more }] = await Promise.all([
    membership(room_id, caller),
    queryPage<ChangeItem>(
      {
        KeyConditionExpression: 'PK = :chat AND SK BETWEEN :first AND :last',
        ExpressionAttributeValues: {
          ':chat': chatPartition(room_id),
          ':first': changeKey(room_id, start + 1).SK,
          ':last': changeKey(room_id, MAX_CHANGE).SK,
        },
        ConsistentRead: true,
      },
      limit,
    ),
  ]);
  const messages = await getMany<MessageItem>(
    pointers.map(({ message_id }) => messageKey(room_id, message_id)),
    { consistent: true },
  );
  const byId = new Map(messages.map((message) => [message.message_id, message]));
  const items = pointers.flatMap((pointer) => {
    const message = byId.get(pointer.message_id);
    // A message that has changed since the query is omitted: its pointer now has a later number.
    return message?.change === numberOf(pointer) ? toMessage(message) : [];
  });
  const last = pointers.at(-1);
  return { items, next_cursor: more && last ? encodeCursor(list, String(numberOf(last))) : null };
}

/** Returns the change number in the key of a pointer. */
const numberOf = ({ SK }: Key): number => Number(SK.slice(CHANGE.length));
