import type { Message } from '../contract/answers.ts';
import type { RequestContext } from '../contract/route.ts';
import { logError } from '../platform/log.ts';
import type { Timestamp } from '../rules/time.ts';
import { fileKey } from '../store/keys.ts';
import { deleteMessage } from '../store/message-changes.ts';
import { get } from '../store/read.ts';
import { objectKey } from './object-key.ts';
import { signed } from './transfer.ts';

/** S3 usually responds to a DELETE within a few hundred milliseconds. */
const TIMEOUT_MS = 5_000;
/** The time limit while a caller waits. Slower deletions happen when the stream record of the file arrives. */
const CALLER_TIMEOUT_MS = 2_000;

/**
 * Deletes an object. Deleting twice is harmless. Uses a signed URL, because an S3 client would double the size of the
 * bundle.
 *
 * @throws if S3 rejects the request, or does not respond in time
 */
async function deleteObject(room_id: string, file_id: string, now: Timestamp, timeout: number): Promise<void> {
  const url = await signed('DELETE', objectKey(room_id, file_id), 60, now, {});
  const { status } = await fetch(url, { method: 'DELETE', signal: AbortSignal.timeout(timeout) });
  if (status !== 204 && status !== 404) throw new Error(`S3 answered ${status} when an unused file was to be deleted.`);
}

/**
 * Deletes the object of a file whose item has expired, unless the item exists again.
 *
 * @throws as `deleteObject` does
 */
export async function deleteUnusedObject(room_id: string, file_id: string, now: Timestamp): Promise<void> {
  if (await get(fileKey(room_id, file_id))) return;
  await deleteObject(room_id, file_id, now, TIMEOUT_MS);
}

/**
 * Deletes a message, and its files that no other message has. If S3 does not delete an object now, that happens when
 * DynamoDB deletes the expired record of the file.
 *
 * @throws as `deleteMessage` does
 */
export async function deleteMessageAndFiles(
  request: RequestContext & { room_id: string; message_id: string },
): Promise<Message> {
  const { message, unused } = await deleteMessage(request);
  const { room_id, now } = request;
  await Promise.all(
    unused.map((file_id) =>
      deleteObject(room_id, file_id, now, CALLER_TIMEOUT_MS).catch((error: unknown) =>
        logError({ action: 'delete_object', room_id, file_id }, error),
      ),
    ),
  );
  return message;
}
