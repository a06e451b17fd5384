import type { Attachment, Download } from './contract.ts';
import { RoomsApiError, type RoomsErrorCode } from './errors.ts';
import { type Call, type CallOptions, fetching, persist } from './http.ts';
import type { Settings } from './options.ts';
import { deadline, timeoutError } from './timing.ts';
import { put } from './upload-request.ts';

/** Progress of a transfer, in bytes. `loaded` is 0 again when the transfer restarts. */
export interface Progress {
  readonly loaded: number;
  readonly total: number;
}

export interface TransferOptions extends CallOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface UploadOptions extends TransferOptions {
  /** Default: the name of a `File`, otherwise `file`. */
  readonly name?: string | undefined;
  /** Default: the type of the `File` or `Blob`, otherwise `application/octet-stream`. */
  readonly contentType?: string | undefined;
}

/** Identifies a file by its own ID, or by the ID of its message. */
export type FileSelector = { readonly file_id: string } | { readonly message_id: string };

export interface DownloadedFile {
  readonly blob: Blob;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly content_type: string;
}

const text = (xml: string, tag: string): string | undefined => xml.match(`<${tag}>([^<]*)</${tag}>`)?.[1];

/** Returns the storage's error with the reason from its XML. Throttling and server errors can be retried. */
function refusal(code: RoomsErrorCode, what: string, status: number, xml: string): RoomsApiError {
  const said = [text(xml, 'Code'), text(xml, 'Message')].filter(Boolean).join(': ');
  // S3 responds 409 while another conditional PUT of the object, such as an earlier attempt, is in progress.
  const busy = status === 409 || status === 429 || status >= 500;
  return new RoomsApiError(
    busy ? 'try_again' : code,
    `The storage refused the ${what} with status ${status}${said && ` (${said})`}.`,
    { status },
  );
}

export const isFile = (value: unknown): value is Blob | Uint8Array<ArrayBuffer> =>
  value instanceof Blob || value instanceof Uint8Array;

const isNamed = (file: Blob): file is File => 'name' in file && typeof file.name === 'string';

/**
 * Runs work with a signed URL, and retries it like `persist`. If a URL is rejected after an earlier attempt reached the
 * storage, it has expired, so the retry gets a new one.
 */
async function withSignedUrl<Signed, Result>(
  settings: Settings,
  signal: AbortSignal | undefined,
  sign: () => Promise<Signed>,
  work: (signed: Signed) => Promise<Result>,
): Promise<Result> {
  let signed = await sign();
  let tries = 0;
  return persist(settings, signal, async () => {
    tries++;
    try {
      return await work(signed);
    } catch (error) {
      if (tries === 1 || !(error instanceof RoomsApiError && error.status === 403)) throw error;
      signed = await sign();
      return work(signed);
    }
  });
}

/** Uploads a file, and returns the attachment to send with a message. */
export async function upload(
  call: Call,
  settings: Settings,
  room_id: string,
  file: Blob | Uint8Array<ArrayBuffer>,
  { name, contentType, onProgress, signal }: UploadOptions,
): Promise<Attachment> {
  if (!isFile(file)) throw new TypeError('file must be a File, a Blob or a Uint8Array');
  const body = file instanceof Uint8Array ? new Blob([file]) : file;
  const asked = {
    name: name ?? (isNamed(body) && body.name ? body.name : 'file'),
    size: body.size,
    content_type: contentType || body.type || 'application/octet-stream',
  };
  const sign = async () => (await call('createUpload', { params: { room_id }, query: asked }, { signal })).data;
  let told = -1;
  const report = (loaded: number) => {
    if (loaded === told) return;
    told = loaded;
    onProgress?.({ loaded, total: body.size });
  };
  let tries = 0;
  let triedUrl: string | undefined;
  const file_id = await withSignedUrl(settings, signal, sign, async ({ file_id, upload_url: url, headers }) => {
    const own = ++tries;
    const isRetry = url === triedUrl;
    triedUrl = url;
    report(0);
    // After a failed attempt, stops reading the file.
    const onSent = (loaded: number) => own === tries && report(loaded);
    const { status, text } = await put({ url, headers, body, onSent, signal }, settings);
    // The URL stores a file only once. On a retry, a 412 means that an earlier attempt succeeded and only its response
    // was lost.
    if (status === 412 && isRetry) return file_id;
    if (status < 200 || status > 299) throw refusal('upload_refused', 'upload', status, text);
    return file_id;
  });
  report(body.size);
  return { file_id, ...asked };
}

async function read(
  response: Response,
  { size, content_type }: Download,
  onBytes: (bytes: number) => void,
): Promise<Blob> {
  if (!response.ok) throw refusal('download_refused', 'download', response.status, await response.text());
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let loaded = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    chunks.push(part.value);
    loaded += part.value.byteLength;
    onBytes(loaded);
  }
  if (loaded !== size)
    throw new RoomsApiError('network_error', `The download broke off after ${loaded} of ${size} bytes.`);
  return new Blob(chunks, { type: content_type });
}

export const selectorQuery = (selector: FileSelector) =>
  'file_id' in selector ? { file_id: selector.file_id } : { message_id: selector.message_id };

/** Downloads a whole file. */
export async function download(
  call: Call,
  settings: Settings,
  room_id: string,
  selector: FileSelector,
  { onProgress, signal }: TransferOptions,
): Promise<DownloadedFile> {
  const input = { params: { room_id }, query: selectorQuery(selector) };
  const sign = async () => (await call('createDownload', input, { signal })).data;
  return withSignedUrl(settings, signal, sign, async (data) => {
    const { name, size, content_type } = data;
    onProgress?.({ loaded: 0, total: size });
    const { stallMs } = settings;
    const time = deadline(stallMs, () => timeoutError('A download without progress', stallMs, 'stallMs'), signal);
    const blob = await fetching(settings.fetch, data.download_url, {}, time, (response) =>
      read(response, data, (loaded) => {
        time.extend();
        onProgress?.({ loaded, total: size });
      }),
    );
    return { blob, name, size, content_type };
  });
}
