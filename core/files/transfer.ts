import {
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { create as contentDisposition } from 'content-disposition';
import { CLIENT_SETTINGS, withEndpoint } from '../aws/client-settings.ts';
import type { Attachment, Download, Upload } from '../contract/answers.ts';
import { invalid, RoomsError } from '../contract/errors.ts';
import { DOWNLOAD_URL_SECONDS, UPLOAD_URL_SECONDS } from '../contract/limits.ts';
import { env } from '../env.ts';
import { plus, type Timestamp } from '../rules/time.ts';
import { addFile, getFile, getOwnFile } from '../store/files.ts';

/*
 * Files go from the client to S3 and back; our functions only sign. Signing asks S3 nothing.
 */

// A checksum that the SDK would add to the URL is one of the empty body that it signs, and S3 would hold the file to it.
const s3 = withEndpoint(
  new S3Client({ ...CLIENT_SETTINGS, requestChecksumCalculation: 'WHEN_REQUIRED' }),
  'AWS_ENDPOINT_URL_S3',
);

/** The key has nothing in it that a caller chose. */
const objectKey = (room_id: string, file_id: string): string => `rooms/${room_id}/${file_id}`;

/**
 * Records a file and signs a PUT for it. Its length and type are part of the signature, so S3 refuses any other.
 * Throws `invalid_request` for a file above MAX_UPLOAD_BYTES, and as `addFile` does.
 */
export async function startUpload(asked: {
  room_id: string;
  name: string;
  /** In bytes. */
  size: number;
  content_type: string;
  caller: string;
  now: Timestamp;
}): Promise<Upload> {
  const max = Number(env('MAX_UPLOAD_BYTES'));
  if (asked.size > max) throw invalid({ path: 'size', message: `must be at most ${max} bytes` });
  const { file_id } = await addFile(asked);
  const upload_url = await getSignedUrl(
    s3,
    new PutObjectCommand({
      Bucket: env('BUCKET_NAME'),
      Key: objectKey(asked.room_id, file_id),
      ContentLength: asked.size,
      ContentType: asked.content_type,
    }),
    {
      expiresIn: UPLOAD_URL_SECONDS,
      signingDate: new Date(asked.now),
      signableHeaders: new Set(['host', 'content-length', 'content-type']),
    },
  );
  return {
    file_id,
    upload_url,
    method: 'PUT',
    // The length is signed too, but every HTTP client sends it by itself, and browsers let nobody set it.
    headers: { 'content-type': asked.content_type },
    expires_at: plus(asked.now, UPLOAD_URL_SECONDS * 1_000),
  };
}

/** Signs a GET for a file of a room, under the name it was uploaded with. Throws as `getFile` does. */
export async function startDownload(asked: {
  room_id: string;
  file_id?: string | undefined;
  message_id?: string | undefined;
  caller: string;
  now: Timestamp;
}): Promise<Download> {
  const { file_id, name, size, content_type } = await getFile(asked);
  const download_url = await getSignedUrl(
    s3,
    new GetObjectCommand({
      Bucket: env('BUCKET_NAME'),
      Key: objectKey(asked.room_id, file_id),
      ResponseContentDisposition: contentDisposition(name),
      ResponseContentType: content_type,
    }),
    { expiresIn: DOWNLOAD_URL_SECONDS, signingDate: new Date(asked.now) },
  );
  return { download_url, expires_at: plus(asked.now, DOWNLOAD_URL_SECONDS * 1_000), name, size, content_type };
}

/**
 * What a message is to say about a file: the stored facts of one that the sender uploaded to the room, and whose upload has
 * finished. Throws `file_not_found` and `file_not_uploaded`.
 */
export async function attachmentOf(room_id: string, file_id: string, sender_id: string): Promise<Attachment> {
  const file = await getOwnFile(room_id, file_id, sender_id);
  await requireObject(room_id, file_id);
  return file;
}

/** Throws `file_not_uploaded` where S3 has no such object. Without the right to list the bucket, S3 calls that a 403. */
async function requireObject(room_id: string, file_id: string): Promise<void> {
  try {
    await s3.send(new HeadObjectCommand({ Bucket: env('BUCKET_NAME'), Key: objectKey(room_id, file_id) }));
  } catch (error) {
    const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
    if (status === 404 || status === 403) throw new RoomsError('file_not_uploaded', [], { cause: error });
    throw error;
  }
}
