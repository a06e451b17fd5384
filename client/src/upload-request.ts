import { RoomsApiError } from './errors.ts';
import { fetching } from './http.ts';
import type { Settings } from './options.ts';
import { deadline, timeoutError } from './timing.ts';

const stallDeadline = (stallMs: number, signal: AbortSignal | undefined) =>
  deadline(stallMs, () => timeoutError('An upload without progress', stallMs, 'stallMs'), signal);

export interface Put {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Blob;
  /** Called with the number of bytes that have been sent. */
  readonly onSent: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** The response of the storage. Its body is XML, and contains the reason for a failure. */
export interface PutAnswer {
  readonly status: number;
  readonly text: string;
}

/** The used parts of a browser's XMLHttpRequest, which reports upload progress, unlike fetch. */
interface Xhr {
  readonly status: number;
  readonly responseText: string;
  readonly upload: { onprogress: ((event: { readonly loaded: number }) => void) | null };
  onload: (() => void) | null;
  onerror: (() => void) | null;
  open(method: string, url: string): void;
  setRequestHeader(name: string, value: string): void;
  send(body: Blob): void;
  abort(): void;
}

function putByXhr(XMLHttpRequest: new () => Xhr, put: Put, stallMs: number): Promise<PutAnswer> {
  const time = stallDeadline(stallMs, put.signal);
  const answer = new Promise<PutAnswer>((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const onAbort = () => {
      xhr.abort();
      reject(time.signal.reason);
    };
    if (time.signal.aborted) return onAbort();
    time.signal.addEventListener('abort', onAbort, { once: true });
    xhr.open('PUT', put.url);
    for (const [name, value] of Object.entries(put.headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded }) => {
      time.extend();
      put.onSent(loaded);
    };
    xhr.onload = () => resolve({ status: xhr.status, text: xhr.responseText });
    xhr.onerror = () => reject(new RoomsApiError('network_error', 'The network failed during the upload.'));
    xhr.send(put.body);
  });
  return answer.finally(time.done);
}

const CHUNK_BYTES = 64 * 1024;

/**
 * Yields a file in chunks, because a blob's own stream may yield it as a single one. `onTaken` receives the number of
 * consumed bytes.
 */
function counted(file: Blob, onTaken: (bytes: number) => void): ReadableStream<Uint8Array> {
  let taken = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      // The previous chunk has been consumed.
      onTaken(taken);
      if (taken >= file.size) return controller.close();
      const chunk = new Uint8Array(await file.slice(taken, taken + CHUNK_BYTES).arrayBuffer());
      taken += chunk.byteLength;
      controller.enqueue(chunk);
    },
  });
}

/** Node accepts a stream with its length, which the storage requires in advance. Browsers do not. */
const isNode = (): boolean => 'process' in globalThis && !('window' in globalThis);

function putByFetch({ url, headers, body, onSent, signal }: Put, settings: Settings): Promise<PutAnswer> {
  const time = stallDeadline(settings.stallMs, signal);
  // An empty stream would be sent without a length.
  const streams = isNode() && body.size > 0;
  const init: RequestInit & { duplex?: 'half' } = {
    method: 'PUT',
    headers: { ...headers, ...(streams && { 'content-length': String(body.size) }) },
    body: streams
      ? counted(body, (bytes) => {
          time.extend();
          onSent(bytes);
        })
      : body,
    ...(streams && { duplex: 'half' }),
  };
  return fetching(settings.fetch, url, init, time, async (response) => ({
    status: response.status,
    text: await response.text(),
  }));
}

/** Uploads a file to a presigned URL with PUT. Rejects with `network_error`, `timeout`, or the signal's reason. */
export function put(request: Put, settings: Settings): Promise<PutAnswer> {
  const { XMLHttpRequest } = globalThis as { readonly XMLHttpRequest?: new () => Xhr };
  return XMLHttpRequest ? putByXhr(XMLHttpRequest, request, settings.stallMs) : putByFetch(request, settings);
}
