import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { call, HTTP_LIMIT_MS } from './api.ts';
import type { Operation } from './history.ts';
import type { Tokens } from './tokens.ts';

/* Uploads and downloads without the SDK, one request at a time, so that the result of each request is known. */

/** S3 responds to requests for small files within milliseconds. Faults delay responses by seconds. */
const TRANSFER_MS = 10_000;
const ATTEMPTS = 5;
const PAUSE_MS = 500;
/** The duration of one attempt of a transfer, including the pause after it. */
const ATTEMPT_MS = HTTP_LIMIT_MS + TRANSFER_MS + ATTEMPTS * PAUSE_MS;
export const FILE_LIMIT_MS = ATTEMPTS * ATTEMPT_MS;

/** The content of a test file, derived from its name. */
export function contentOf(name: string, size: number): Uint8Array<ArrayBuffer> {
  const block = createHash('sha512').update(name).digest();
  return Uint8Array.from({ length: size }, (_, index) => (block[index % block.length] ?? 0) ^ (index >> 6));
}

/** A short hash to compare contents. */
export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** A presigned PUT request, as the service returns it. */
export interface SignedPut {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type Result = Pick<Operation, 'outcome' | 'code' | 'digest'>;

const uploadSchema = v.object({
  file_id: v.string(),
  upload_url: v.string(),
  headers: v.record(v.string(), v.string()),
});
const downloadSchema = v.object({ download_url: v.string() });

/** Uploads bytes once. Returns the status, or undefined without a response. */
async function putOnce({ url, headers }: SignedPut, body: Uint8Array<ArrayBuffer>): Promise<number | undefined> {
  try {
    const response = await fetch(url, { method: 'PUT', headers, body, signal: AbortSignal.timeout(TRANSFER_MS) });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return undefined;
  }
}

const isTransient = (status: number | undefined): boolean =>
  status === undefined || status === 409 || status === 429 || status >= 500;

/** Uses an already used presigned PUT for other bytes. */
export async function overwrite(signed: SignedPut, bytes: Uint8Array<ArrayBuffer>): Promise<Result> {
  const status = await putOnce(signed, bytes);
  if (isTransient(status)) return { outcome: 'unknown', code: String(status ?? 'network_error') };
  return status === 200 ? { outcome: 'ok' } : { outcome: 'fail', code: String(status) };
}

interface Asked {
  readonly url: string;
  readonly tokens: Tokens;
  readonly roomId: string;
}

/** Uploads a file. Like the SDK, treats a 412 on a retry as the success of an earlier attempt. */
export async function upload(
  { url, tokens, roomId }: Asked,
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Result & { readonly file?: string; readonly signed?: SignedPut }> {
  const query = { name, size: String(bytes.length), content_type: 'application/octet-stream' };
  const asked = await call(url, tokens, 'createUpload', { params: { room_id: roomId }, query });
  if (asked.outcome !== 'ok') return { outcome: asked.outcome, ...(asked.code !== undefined && { code: asked.code }) };
  const { file_id: file, upload_url, headers } = v.parse(uploadSchema, asked.data);
  const signed = { url: upload_url, headers };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const status = await putOnce(signed, bytes);
    if (status === 200 || (status === 412 && attempt > 1)) return { outcome: 'ok', file, signed };
    if (!isTransient(status)) return { outcome: 'fail', code: String(status), file };
    await sleep(attempt * PAUSE_MS);
  }
  return { outcome: 'unknown', code: 'no_put', file };
}

/** Downloads a file, and returns the hash of its content. */
export async function download({ url, tokens, roomId }: Asked, file_id: string): Promise<Result> {
  let code = 'no_get';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const asked = await call(url, tokens, 'createDownload', { params: { room_id: roomId }, query: { file_id } });
    // A 401 is retried, because the token may have expired in transit.
    if (asked.outcome === 'fail' && asked.code !== '401')
      return { outcome: 'fail', ...(asked.code !== undefined && { code: asked.code }) };
    if (asked.outcome === 'ok')
      try {
        const { download_url } = v.parse(downloadSchema, asked.data);
        const response = await fetch(download_url, { signal: AbortSignal.timeout(TRANSFER_MS) });
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (response.ok) return { outcome: 'ok', digest: digestOf(bytes) };
        if (response.status === 404) return { outcome: 'fail', code: 'no_object' };
        code = String(response.status);
      } catch {
        code = 'network_error';
      }
    await sleep(attempt * PAUSE_MS);
  }
  return { outcome: 'unknown', code };
}
