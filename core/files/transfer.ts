import { S3RequestPresigner } from '@aws-sdk/s3-request-presigner';
import { create as contentDisposition } from 'content-disposition';
import type { Download, Upload } from '../contract/answers.ts';
import { invalid } from '../contract/errors.ts';
import { DOWNLOAD_URL_SECONDS, UPLOAD_URL_SECONDS } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { env } from '../platform/env.ts';
import { plus, type Timestamp } from '../rules/time.ts';
import { dynamodb } from '../store/client.ts';
import { addFile, getFile } from '../store/files.ts';
import { objectKey } from './object-key.ts';

/*
 * Clients exchange files with S3 directly; functions only sign URLs. Signing needs no request to S3.
 */

// Uses the credentials, region and hash of the DynamoDB client: an S3 client would double the size of the bundle.
const { credentials, region, sha256 } = dynamodb.config;
const presigner = new S3RequestPresigner({ credentials, region, sha256 });

/** Returns the host of a bucket in a region, for a bucket name without dots, as CloudFormation generates it. */
export const bucketHost = (bucket: string, region: string): string =>
  `${bucket}.s3.${region}.${region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'}`;

/** Returns the location of an object. On AWS, the bucket is in the host name. In the local stack, it is in the path. */
async function locate(key: string): Promise<{ protocol: string; host: string; path: string }> {
  const bucket = env('BUCKET_NAME');
  const endpoint = process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
  if (!endpoint) return { protocol: 'https:', host: bucketHost(bucket, await region()), path: `/${key}` };
  const { protocol, host } = new URL(endpoint);
  return { protocol, host, path: `/${bucket}/${key}` };
}

/** Encodes as signature version 4 requires (RFC 3986). */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** Returns the presigned URL of a request for an object. All given `headers` are part of the signature. */
export async function signed(
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE',
  key: string,
  seconds: number,
  now: Timestamp,
  { headers = {}, query = {} }: { headers?: Record<string, string>; query?: Record<string, string> },
): Promise<string> {
  const { protocol, host, path } = await locate(key);
  const request = await presigner.presign(
    { method, protocol, hostname: host, path, headers: { ...headers, host }, query },
    {
      expiresIn: seconds,
      signingDate: new Date(now),
      signableHeaders: new Set(['host', ...Object.keys(headers)]),
    },
  );
  const parameters = Object.entries(request.query ?? {}).map(
    ([name, value]) => `${encoded(name)}=${encoded(String(value))}`,
  );
  return `${protocol}//${host}${path}?${parameters.join('&')}`;
}

/**
 * Records a file, and signs a PUT request for it. S3 rejects another length or type, because both are part of the
 * signature. `If-None-Match: *` is signed as well: the URL stores the file only once, so nobody can replace what others
 * have read.
 *
 * @throws `invalid_request` for a file above MAX_UPLOAD_BYTES, and as `addFile` does
 */
export async function startUpload(
  request: RequestContext & {
    room_id: string;
    name: string;
    /** In bytes. */
    size: number;
    content_type: string;
  },
): Promise<Upload> {
  const max = Number(env('MAX_UPLOAD_BYTES'));
  if (request.size > max) throw invalid({ path: 'size', message: `must be at most ${max} bytes` });
  const { file_id } = await addFile(request);
  const headers = { 'content-type': request.content_type, 'if-none-match': '*' };
  const upload_url = await signed('PUT', objectKey(request.room_id, file_id), UPLOAD_URL_SECONDS, request.now, {
    headers: { 'content-length': String(request.size), ...headers },
  });
  return {
    file_id,
    upload_url,
    method: 'PUT',
    // The signed length is not among the returned headers: HTTP clients send it themselves, and browsers do not let
    // pages set it.
    headers,
    expires_at: plus(request.now, UPLOAD_URL_SECONDS * 1_000),
  };
}

/**
 * Signs a GET request for a file of a room, with its original name.
 *
 * @throws as `getFile` does
 */
export async function startDownload(
  request: RequestContext & {
    room_id: string;
    file_id?: string | undefined;
    message_id?: string | undefined;
  },
): Promise<Download> {
  const { file_id, name, size, content_type } = await getFile(request);
  const download_url = await signed('GET', objectKey(request.room_id, file_id), DOWNLOAD_URL_SECONDS, request.now, {
    query: { 'response-content-disposition': contentDisposition(name), 'response-content-type': content_type },
  });
  return { download_url, expires_at: plus(request.now, DOWNLOAD_URL_SECONDS * 1_000), name, size, content_type };
}
