import { v7 as uuidv7 } from 'uuid';
import type { Attachment } from '../contract/answers.ts';
import { RoomsError } from '../contract/errors.ts';
import { UNUSED_FILE_SECONDS } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { roomStatus } from '../rules/room.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { membership } from './access.ts';
import { attachmentsOf, type FileItem, type MessageItem } from './items.ts';
import { fileKey, messageKey } from './keys.ts';
import { isParticipant, requireRightToPost } from './posting.ts';
import { get } from './read.ts';
import { settleAll } from './settle-all.ts';
import { countUsage } from './user-limits.ts';
import { transact, transactUnlessContended, type Write } from './write.ts';

/**
 * Records a file that a participant is about to upload, also to a room that has not started yet. The write itself
 * checks that the caller is a participant; the read before it finds other errors, and conflicts with no parallel
 * upload. The file expires after a day, unless a message has it by then. The limit is counted in parallel to the
 * read, so a rejected upload counts, too: parallel uploads of one user do not conflict there.
 * @throws `room_ended`, `too_many_requests`, and as `membership` does
 */
export async function addFile({
  room_id,
  name,
  size,
  content_type,
  caller,
  now,
}: Omit<Attachment, 'file_id'> & RequestContext & { room_id: string }): Promise<Attachment> {
  const requireRoom = async (): Promise<void> => {
    const member = await membership(room_id, caller);
    if (roomStatus(member.room, now) === 'ended') throw new RoomsError('room_ended');
    requireRightToPost(member);
  };
  await settleAll([requireRoom(), countUsage({ caller, now, uses: { uploadsPerHour: 1 } })]);
  const file: Attachment = { file_id: uuidv7({ msecs: Date.parse(now) }), name, size, content_type };
  const item: FileItem = {
    ...fileKey(room_id, file.file_id),
    room_id,
    ...file,
    uploader_id: caller,
    created_at: now,
    expires_at: epochSeconds(now) + UNUSED_FILE_SECONDS,
  };
  const put: Write = { Put: { Item: item } };
  const outcome = await transactUnlessContended([put, isParticipant(room_id, caller)], 1);
  if (!outcome) {
    // Parallel uploads of one user to one room would conflict. Instead, the participant is read once more after the
    // write. The file of a user who was removed meanwhile expires, and nobody knows its id.
    await transact([put]);
    await membership(room_id, caller);
  } else if (!outcome.done) throw new RoomsError('not_a_participant');
  return file;
}

/**
 * Returns a file of a room by its own id or by the id of a message with it, with one request.
 * @throws `file_not_found`, and as `membership` does
 */
export async function getFile({
  room_id,
  file_id,
  message_id,
  caller,
  now,
}: RequestContext & {
  room_id: string;
  file_id?: string | undefined;
  message_id?: string | undefined;
}): Promise<Attachment> {
  const keys = file_id ? [fileKey(room_id, file_id)] : message_id ? [messageKey(room_id, message_id)] : [];
  const {
    extra: [found],
  } = await membership<(FileItem | MessageItem)[]>(room_id, caller, ...keys);
  const file = found && 'message_id' in found ? attachmentsOf(found)[0] : found;
  if (!file || isExpired(file, now)) throw new RoomsError('file_not_found');
  return file;
}

/** Expired items stay in the table until DynamoDB deletes them, up to some days later. */
const isExpired = (file: Attachment | FileItem, now: Timestamp): boolean =>
  'expires_at' in file && file.expires_at !== undefined && file.expires_at <= epochSeconds(now);

/** A file that its uploader may attach to a message. */
export interface OwnFile {
  readonly attachment: Attachment;
  /**
   * Belongs in the transaction that stores the message, and keeps the file from expiring. Its condition does not hold if the file
   * has expired. Absent where another message has the file already.
   */
  readonly keep?: Write;
}

/** A file that this user uploaded to this room. Throws `file_not_found` for any other, and for one that has expired. */
export async function getOwnFile(room_id: string, file_id: string, { caller, now }: RequestContext): Promise<OwnFile> {
  const file = await get<FileItem>(fileKey(room_id, file_id));
  if (file?.uploader_id !== caller || isExpired(file, now)) throw new RoomsError('file_not_found');
  const { expires_at, ...kept } = file;
  const attachment = { file_id, name: file.name, size: file.size, content_type: file.content_type };
  if (expires_at === undefined) return { attachment };
  return {
    attachment,
    keep: {
      // A Put like the other writes of that transaction: IAM may compare all of its keys with the condition on each action.
      Put: {
        Item: kept,
        ConditionExpression: 'attribute_exists(PK) AND (attribute_not_exists(expires_at) OR expires_at > :now)',
        ExpressionAttributeValues: { ':now': epochSeconds(now) },
      },
    },
  };
}
