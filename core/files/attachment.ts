import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { abortable } from '../aws/abort.ts';
import { CLIENT_SETTINGS, timeLimits, withEndpoint } from '../aws/client-settings.ts';
import { statusOf } from '../aws/status-of.ts';
import { RoomsError } from '../contract/errors.ts';
import { env } from '../env.ts';
import type { Timestamp } from '../rules/time.ts';
import { getOwnFile, type OwnFile } from '../store/files.ts';
import { objectKey } from './object-key.ts';

const s3 = withEndpoint(abortable(new S3Client({ ...CLIENT_SETTINGS, ...timeLimits(2_000) })), 'AWS_ENDPOINT_URL_S3');

/**
 * What a message is to say about a file: the stored facts of one that the sender uploaded to the room, and whose upload has
 * finished. Throws `file_not_found` and `file_not_uploaded`.
 */
export async function attachmentOf(
  room_id: string,
  file_id: string,
  sender: { caller: string; now: Timestamp },
): Promise<OwnFile> {
  const file = await getOwnFile(room_id, file_id, sender);
  await requireObject(room_id, file_id);
  return file;
}

/** Throws `file_not_uploaded` where S3 has no such object. Without the right to list the bucket, S3 calls that a 403. */
async function requireObject(room_id: string, file_id: string): Promise<void> {
  try {
    await s3.send(new HeadObjectCommand({ Bucket: env('BUCKET_NAME'), Key: objectKey(room_id, file_id) }));
  } catch (error) {
    const status = statusOf(error);
    if (status === 404 || status === 403) throw new RoomsError('file_not_uploaded');
    throw error;
  }
}
