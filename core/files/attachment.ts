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
 * Returns the attachment of a message: the stored details of a file that the sender has completely uploaded to the
 * room.
 *
 * @throws `file_not_found` or `file_not_uploaded`
 */
export async function attachmentOf(room_id: string, file_id: string, sender: RequestContext): Promise<OwnFile> {
  const file = await getOwnFile(room_id, file_id, sender);
  await requireObject(room_id, file_id);
  return file;
}

/**
 * Checks that S3 has the object. Without permission to list the bucket, S3 reports a missing object with a 403.
 *
 * @throws `file_not_uploaded` if it does not exist
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
