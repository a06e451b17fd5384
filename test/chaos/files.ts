import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { call, HTTP_LIMIT_MS } from './api.ts';
import type { Operation } from './history.ts';
import type { Tokens } from './tokens.ts';

/*
 * Uploads and downloads without the SDK, one request after another, so that it is known what each answer was.
 */

/** S3 answers a request for a small file within milliseconds; a late answer is late by seconds. */
const TRANSFER_MS = 10_000;
const ATTEMPTS = 5;
const PAUSE_MS = 500;
/** One attempt of a transfer, and the pause after it. */
const ATTEMPT_MS = HTTP_LIMIT_MS + TRANSFER_MS + ATTEMPTS * PAUSE_MS;
export const FILE_LIMIT_MS = ATTEMPTS * ATTEMPT_MS;

/** What is in a file of the test: it follows from a name. */
export function contentOf(name: string, size: number): Uint8Array<ArrayBuffer> {
  const block = createHash('sha512').update(name).digest();
  return Uint8Array.from({ length: size }, (_, index) => (block[index % block.length] ?? 0) ^ (index >> 6));
}

/** Tells bytes apart. */
export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** A presigned PUT, as the service answers with it. */
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

/** Puts bytes once. Returns the status, or undefined where there was no answer. */
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

/** Uses a presigned PUT that has been used before, for other bytes. */
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

/** Uploads a file. As the SDK does, it takes a 412 on a retry for "an earlier attempt arrived". */
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

/** Downloads a file, and tells which bytes it has. */
export async function download({ url, tokens, roomId }: Asked, file_id: string): Promise<Result> {
  let code = 'no_get';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const asked = await call(url, tokens, 'createDownload', { params: { room_id: roomId }, query: { file_id } });
    // A token that has expired on its way is replaced.
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
