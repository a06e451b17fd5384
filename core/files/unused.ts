import type { Timestamp } from '../rules/time.ts';
import { fileKey } from '../store/keys.ts';
import { get } from '../store/read.ts';
import { objectKey } from './object-key.ts';
import { signed } from './transfer.ts';

/** S3 answers a DELETE within some hundred milliseconds. */
const TIMEOUT_MS = 5_000;

/**
 * Deletes the object of a file whose item has expired, if the item is gone. Deleting twice is harmless. The request is signed as a
 * URL: an S3 client would double the size of the bundle.
 *
 * @throws if S3 refuses or does not answer in time
 */
export async function deleteUnusedObject(room_id: string, file_id: string, now: Timestamp): Promise<void> {
  if (await get(fileKey(room_id, file_id))) return;
  const url = await signed('DELETE', objectKey(room_id, file_id), 60, now, {});
  const { status } = await fetch(url, { method: 'DELETE', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (status !== 204 && status !== 404) throw new Error(`S3 answered ${status} when an unused file was to be deleted.`);
}
