import { v7 as uuidv7 } from 'uuid';
import type { Attachment } from '../contract/answers.ts';
import { RoomsError } from '../contract/errors.ts';
import { roomStatus } from '../rules/room.ts';
import type { Timestamp } from '../rules/time.ts';
import { membership } from './access.ts';
import type { FileItem, MessageItem } from './items.ts';
import { fileKey, messageKey, participantKey } from './keys.ts';
import { get } from './read.ts';
import { transact } from './write.ts';

/**
 * Records a file that a participant is about to upload; a room that has not started yet takes files too.
 * That the caller is a participant is part of the write: the read before it says what else is amiss, and costs no conflict
 * with others who upload. Throws `room_ended`, and as `membership` does.
 */
export async function addFile({
  room_id,
  name,
  size,
  content_type,
  caller,
  now,
}: Omit<Attachment, 'file_id'> & { room_id: string; caller: string; now: Timestamp }): Promise<Attachment> {
  const { room } = await membership(room_id, caller);
  if (roomStatus(room, now) === 'ended') throw new RoomsError('room_ended');
  const file: Attachment = { file_id: uuidv7({ msecs: Date.parse(now) }), name, size, content_type };
  const item: FileItem = { ...fileKey(room_id, file.file_id), room_id, ...file, uploader_id: caller, created_at: now };
  const outcome = await transact([
    { ConditionCheck: { Key: participantKey(room_id, caller), ConditionExpression: 'attribute_exists(PK)' } },
    { Put: { Item: item } },
  ]);
  if (!outcome.done) throw new RoomsError('not_a_participant');
  return file;
}

/**
 * A file of a room, found by its own id or by that of a message it is attached to; one request reads all.
 * Throws `file_not_found`, and as `membership` does.
 */
export async function getFile({
  room_id,
  file_id,
  message_id,
  caller,
}: {
  room_id: string;
  file_id?: string | undefined;
  message_id?: string | undefined;
  caller: string;
}): Promise<Attachment> {
  const key = file_id ? fileKey(room_id, file_id) : message_id ? messageKey(room_id, message_id) : undefined;
  const { beside } = await membership<FileItem | MessageItem>(room_id, caller, key);
  const file = beside && 'message_id' in beside ? beside.attachment : beside;
  if (!file) throw new RoomsError('file_not_found');
  return file;
}

/** A file that this user uploaded to this room. Throws `file_not_found` for any other. */
export async function getOwnFile(room_id: string, file_id: string, uploader_id: string): Promise<Attachment> {
  const file = await get<FileItem>(fileKey(room_id, file_id));
  if (file?.uploader_id !== uploader_id) throw new RoomsError('file_not_found');
  return { file_id, name: file.name, size: file.size, content_type: file.content_type };
}
