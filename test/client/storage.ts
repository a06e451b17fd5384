import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import * as v from 'valibot';
import type { Download, Upload } from '../../core/contract/answers.ts';
import { bucketProperties, CREDENTIALS, startS3 } from '../../local/s3/s3.ts';
import { breakableWay, type Way } from './faults.ts';

const BUCKET = 'files';
const MINUTES_15 = 900;

export interface Storage {
  /** The proxy in all signed URLs. */
  readonly way: Way;
  /** Signs an upload as the service does, including length, type and `If-None-Match: *`. The URL expires after `seconds` (default: 15 minutes). */
  upload(file_id: string, size: number, content_type: string, seconds?: number): Promise<Upload>;
  download(
    file_id: string,
    facts: Pick<Download, 'name' | 'size' | 'content_type'>,
    seconds?: number,
  ): Promise<Download>;
  close(): Promise<void>;
}

/** Starts the S3 emulator with a bucket that allows requests from any web page. */
export async function startStorage(): Promise<Storage> {
  const directory = await mkdtemp(join(tmpdir(), 'rooms-client-'));
  const CorsRules = [
    { AllowedOrigins: ['*'], AllowedMethods: ['GET', 'PUT'], AllowedHeaders: ['content-type', 'if-none-match'] },
  ];
  const properties = v.parse(bucketProperties, { CorsConfiguration: { CorsRules } });
  const server = await startS3({ port: 0, directory, buckets: [{ name: BUCKET, properties }] });
  const way = await breakableWay(server.url);
  const s3 = new S3Client({
    // The URL must contain the proxy's host, because the host is signed.
    endpoint: way.url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: CREDENTIALS,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const expires_at = new Date(Date.now() + MINUTES_15 * 1_000).toISOString();
  return {
    way,
    async upload(file_id, size, content_type, seconds = MINUTES_15) {
      const put = new PutObjectCommand({
        Bucket: BUCKET,
        Key: file_id,
        ContentLength: size,
        ContentType: content_type,
        IfNoneMatch: '*',
      });
      const upload_url = await getSignedUrl(s3, put, {
        expiresIn: seconds,
        signableHeaders: new Set(['host', 'content-length', 'content-type', 'if-none-match']),
      });
      return {
        file_id,
        upload_url,
        method: 'PUT',
        headers: { 'content-type': content_type, 'if-none-match': '*' },
        expires_at,
      };
    },
    async download(file_id, facts, seconds = MINUTES_15) {
      const get = new GetObjectCommand({ Bucket: BUCKET, Key: file_id });
      return { download_url: await getSignedUrl(s3, get, { expiresIn: seconds }), expires_at, ...facts };
    },
    async close() {
      s3.destroy();
      await way.close();
      await server.close();
      await rm(directory, { recursive: true });
    },
  };
}
