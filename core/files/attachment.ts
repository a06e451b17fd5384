import { RoomsError } from '../contract/errors.ts';
import type { RequestContext } from '../contract/route.ts';
import { invocationSignal, pause } from '../platform/abort.ts';
import { backoffMs } from '../platform/backoff.ts';
import { timeLimits } from '../platform/client-settings.ts';
import { requestTo, sender } from '../platform/send.ts';
import { statusOf } from '../platform/status-of.ts';
import { getOwnFile, type OwnFile } from '../store/files.ts';
import { objectKey } from './object-key.ts';
import { signed } from './transfer.ts';

/** How long the signature of a request is valid, in seconds: longer than all attempts take. */
const SIGNED_SECONDS = 60;

const { maxAttempts, requestHandler } = timeLimits(2_000);
const send = sender(requestHandler);

/**
 * Returns what a message says about a file: the stored facts of a file that the sender uploaded to the room, after
 * its upload has finished.
 *
 * @throws `file_not_found` or `file_not_uploaded`
 */
export async function attachmentOf(room_id: string, file_id: string, sender: RequestContext): Promise<OwnFile> {
  const file = await getOwnFile(room_id, file_id, sender);
  await requireObject(room_id, file_id);
  return file;
}

/**
 * Throws `file_not_uploaded` if S3 has no such object. Without permission to list the bucket, S3 reports that as a
 * 403.
 */
async function requireObject(room_id: string, file_id: string): Promise<void> {
  const url = await signed('HEAD', objectKey(room_id, file_id), SIGNED_SECONDS, new Date().toISOString(), {});
  const abortSignal = invocationSignal();
  for (let attempt = 1; ; attempt++)
    try {
      return await send(requestTo('HEAD', url), abortSignal && { abortSignal });
    } catch (error) {
      const status = statusOf(error);
      if (status === 404 || status === 403) throw new RoomsError('file_not_uploaded');
      const isRefused = status !== undefined && status < 500 && status !== 429;
      if (isRefused || abortSignal?.aborted || attempt === maxAttempts) throw error;
      await pause(backoffMs(attempt));
    }
}
