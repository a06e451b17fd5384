import { v7 as uuidv7 } from 'uuid';
import type { Attachment } from '../contract/answers.ts';
import { RoomsError } from '../contract/errors.ts';
import { UNUSED_FILE_SECONDS } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { settleAll } from '../platform/settle-all.ts';
import { roomStatus } from '../rules/room.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { membership } from './access.ts';
import { attachmentsOf, type FileItem, type MessageItem } from './items.ts';
import { fileKey, messageKey } from './keys.ts';
import { isParticipant, requireRightToPost } from './posting.ts';
import { get } from './read.ts';
import { countUsage } from './user-limits.ts';
import { transact, transactUnlessContended, type Write } from './write.ts';

/**
 * Records a file that a participant is about to upload, also in a room that has not started. The write checks that the
 * caller is a participant. The read before it finds other errors, and does not conflict with parallel uploads. The file
 * expires after a day, unless a message has it by then. The limit is counted in parallel with the read, which avoids
 * conflicts between parallel uploads of a user, but also counts rejected uploads.
 *
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
    // A condition on the participant would make parallel uploads of one user conflict. Instead, the participant is read
    // again after the write. If the user was removed in between, the file expires, and nobody has its ID.
    await transact([put]);
    await membership(room_id, caller);
  } else if (!outcome.done) throw new RoomsError('not_a_participant');
  return file;
}

/**
 * Returns a file of a room with one request, by its own ID or by the ID of its message.
 *
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
  const file = file_id ? await byId(file_id) : message_id ? await byMessage(message_id) : undefined;
  if (!file || isExpired(file, now)) throw new RoomsError('file_not_found');
  return file;

  async function byId(id: string): Promise<FileItem | undefined> {
    return (await membership<[FileItem]>(room_id, caller, fileKey(room_id, id))).extra[0];
  }
  async function byMessage(id: string): Promise<Attachment | undefined> {
    const [message] = (await membership<[MessageItem]>(room_id, caller, messageKey(room_id, id))).extra;
    return message && attachmentsOf(message)[0];
  }
}

/** DynamoDB deletes expired items up to some days later. A file without uses counts as deleted on every clock. */
const isExpired = (file: Attachment | FileItem, now: Timestamp): boolean =>
  ('expires_at' in file && file.expires_at !== undefined && file.expires_at <= epochSeconds(now)) ||
  ('uses' in file && file.uses === 0);

/** A file that its uploader may attach to a message. */
export interface OwnFile {
  readonly attachment: Attachment;
  /**
   * Part of the transaction that stores the message: counts the use of the file, and removes its expiry. The condition
   * fails if the file has expired, or was deleted with its last message.
   */
  readonly keep: Write;
}

/**
 * Returns a file that this user uploaded to this room.
 *
 * @throws `file_not_found` for other files, and for expired ones
 */
export async function getOwnFile(room_id: string, file_id: string, { caller, now }: RequestContext): Promise<OwnFile> {
  const file = await get<FileItem>(fileKey(room_id, file_id));
  if (file?.uploader_id !== caller || isExpired(file, now)) throw new RoomsError('file_not_found');
  const attachment = { file_id, name: file.name, size: file.size, content_type: file.content_type };
  return {
    attachment,
    keep: {
      Update: {
        Key: fileKey(room_id, file_id),
        UpdateExpression: 'SET uses = if_not_exists(uses, :before) + :one REMOVE expires_at',
        // A deleted file has 0 uses, even if the clocks of two functions disagree about its expiry.
        ConditionExpression:
          'attribute_exists(PK) AND (attribute_not_exists(expires_at) OR expires_at > :now) AND ' +
          '(attribute_not_exists(uses) OR uses > :none)',
        ExpressionAttributeValues: {
          // Files whose first use was before uses were counted have no expiry either.
          ':before': file.expires_at === undefined ? 1 : 0,
          ':one': 1,
          ':none': 0,
          ':now': epochSeconds(now),
        },
      },
    },
  };
}

/**
 * Part of the transaction that deletes a message: removes one use of a file. Without further uses, the file expires at
 * once. The condition fails if the number of uses has changed.
 *
 * @param uses how many messages have the file
 */
export const releaseFile = (room_id: string, file_id: string, uses: number, now: Timestamp): Write => ({
  Update: {
    Key: fileKey(room_id, file_id),
    UpdateExpression: `SET uses = :left${uses === 1 ? ', expires_at = :now' : ''}`,
    ConditionExpression: `uses = :uses${uses === 1 ? ' OR (attribute_exists(PK) AND attribute_not_exists(uses))' : ''}`,
    ExpressionAttributeValues: {
      ':uses': uses,
      ':left': uses - 1,
      ...(uses === 1 && { ':now': epochSeconds(now) }),
    },
  },
});
