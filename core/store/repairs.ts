import { attachmentsOf, type FileItem, type MessageItem, type ParticipantItem, type RoomItem } from './items.ts';
import { fileKey, messageKey, PARTICIPANT, participantKey, roomKey, roomPartition } from './keys.ts';
import { isParticipant } from './posting.ts';
import { get, getMany, queryAll } from './read.ts';
import { transact, type Write } from './write.ts';

/*
 * The checks and repairs of `npm run check`. Each check is a consistent read. Each repair is one transaction, with
 * everything that the check read as its conditions. It changes nothing if any of that has changed.
 */

/** DynamoDB's maximum of items in a transaction, minus the room and the new admin. */
const MAX_RIGHTS_AT_ONCE = 98;

/** A room with an inconsistency of its admins. */
export interface AdminProblem {
  readonly room: RoomItem;
  /** Admins who are not participants. */
  readonly strangers: readonly string[];
  /** The participant who becomes admin, if no other admin is left. */
  readonly newAdmin?: string | undefined;
  /** Whether the room has an admin, or a participant who can become one. */
  readonly repairable: boolean;
}

/** Returns the inconsistency of a room's admins. Undefined if there is none, or no such room. */
export async function adminProblem(room_id: string): Promise<AdminProblem | undefined> {
  const room = await get<RoomItem>(roomKey(room_id));
  if (!room) return undefined;
  // DynamoDB has no empty sets, so the attribute can be missing.
  const admins: readonly string[] = [...((room as Partial<RoomItem>).admins ?? [])];
  const known = await getMany<ParticipantItem>(
    admins.map((id) => participantKey(room_id, id)),
    { consistent: true },
  );
  const present = new Set(known.map(({ participant_id }) => participant_id));
  const strangers = admins.filter((id) => !present.has(id)).slice(0, MAX_RIGHTS_AT_ONCE);
  if (present.size > 0) return strangers.length > 0 ? { room, strangers, repairable: true } : undefined;
  const newAdmin = await newAdminFor(room);
  return { room, strangers, newAdmin, repairable: newAdmin !== undefined };
}

/** Returns who becomes the admin of a room that has none: its creator or else the participant who was added first. */
async function newAdminFor({ room_id, created_by }: RoomItem): Promise<string | undefined> {
  let first: ParticipantItem | undefined;
  const pages = queryAll<ParticipantItem>({
    KeyConditionExpression: 'PK = :room AND begins_with(SK, :participant)',
    ExpressionAttributeValues: { ':room': roomPartition(room_id), ':participant': PARTICIPANT },
    ConsistentRead: true,
  });
  for await (const page of pages)
    for (const participant of page) {
      if (participant.participant_id === created_by) return created_by;
      if (!first || participant.added_at < first.added_at) first = participant;
    }
  return first?.participant_id;
}

const isNotParticipant = (room_id: string, user_id: string): Write => ({
  ConditionCheck: { Key: participantKey(room_id, user_id), ConditionExpression: 'attribute_not_exists(PK)' },
});
const isStored = (room_id: string, message_id: string): Write => ({
  ConditionCheck: {
    Key: messageKey(room_id, message_id),
    ConditionExpression: 'attribute_exists(PK) AND attribute_not_exists(deleted_at)',
  },
});

/**
 * Removes the right of admins who are not participants, and gives it to the new admin, if there is one. Returns whether
 * it did.
 */
export async function repairAdmins({ room, strangers, newAdmin }: AdminProblem): Promise<boolean> {
  const { room_id } = room;
  const before = (room as Partial<RoomItem>).admins;
  const after = new Set(before).difference(new Set(strangers));
  if (newAdmin !== undefined) after.add(newAdmin);
  const { done } = await transact([
    {
      Update: {
        Key: roomKey(room_id),
        UpdateExpression: 'SET admins = :after',
        ConditionExpression: `attribute_exists(PK) AND ${before ? 'admins = :before' : 'attribute_not_exists(admins)'}`,
        ExpressionAttributeValues: { ':after': after, ...(before && { ':before': before }) },
      },
    },
    ...strangers.map((id) => isNotParticipant(room_id, id)),
    ...(newAdmin === undefined ? [] : [isParticipant(room_id, newAdmin)]),
  ]);
  return done;
}

/** Returns whether a participant's room does not exist, while the participant does. */
export async function isOrphan(room_id: string, participant_id: string): Promise<boolean> {
  // Reads the room first, because a room that is created in the meantime also creates its participants.
  if (await get(roomKey(room_id))) return false;
  return (await get(participantKey(room_id, participant_id))) !== undefined;
}

/** Removes a participant whose room does not exist. Returns whether it did. */
export async function removeOrphan(room_id: string, participant_id: string): Promise<boolean> {
  const { done } = await transact([
    { ConditionCheck: { Key: roomKey(room_id), ConditionExpression: 'attribute_not_exists(PK)' } },
    { Delete: { Key: participantKey(room_id, participant_id), ConditionExpression: 'attribute_exists(PK)' } },
  ]);
  return done;
}

/** A message and one of its files, as currently stored. */
export interface MessageWithFile {
  /** With the file as its `attachment`. */
  readonly message: MessageItem & Required<Pick<MessageItem, 'attachment'>>;
  /** Undefined if the file has no record. */
  readonly file: FileItem | undefined;
}

/** Returns a message and one of its files. Undefined if the message does not exist, or does not have the file. */
export async function messageWithFile(
  room_id: string,
  message_id: string,
  file_id: string,
): Promise<MessageWithFile | undefined> {
  const message = await get<MessageItem>(messageKey(room_id, message_id));
  const attachment = message && attachmentsOf(message).find((each) => each.file_id === file_id);
  if (!attachment) return undefined;
  return { message: { ...message, attachment }, file: await get<FileItem>(fileKey(room_id, file_id)) };
}

/** Records the file of a message again. Returns whether it did. */
export async function recordFile({ message }: MessageWithFile): Promise<boolean> {
  const { room_id, message_id, attachment, sender_id, sent_at } = message;
  const item: FileItem = {
    ...fileKey(room_id, attachment.file_id),
    room_id,
    ...attachment,
    uploader_id: sender_id,
    created_at: sent_at,
  };
  const { done } = await transact([
    { Put: { Item: item, ConditionExpression: 'attribute_not_exists(PK)' } },
    isStored(room_id, message_id),
  ]);
  return done;
}

/** Keeps the record of a message's file from expiring. Returns whether it did. */
export async function keepFile({ message: { room_id, message_id, attachment } }: MessageWithFile): Promise<boolean> {
  const { done } = await transact([
    {
      Update: {
        Key: fileKey(room_id, attachment.file_id),
        // If the number of uses is unknown, one message uses the file.
        UpdateExpression: 'REMOVE expires_at, uses',
        ConditionExpression: 'attribute_exists(PK) AND attribute_exists(expires_at)',
      },
    },
    isStored(room_id, message_id),
  ]);
  return done;
}
