import { type ClientRequest, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const CHUNK_BYTES = 64 * 1024;

/**
 * Implements the part of XMLHttpRequest that the client uses, over real HTTP. Fires `progress` events during the upload, and `load` or
 * `error` at the end. Fires nothing after `abort()`.
 * @see https://xhr.spec.whatwg.org
 */
export class HttpXhr {
  /** Delay after each chunk, in milliseconds. */
  static chunkMs = 0;
  status = 0;
  responseText = '';
  readonly upload: { onprogress: ((event: { readonly loaded: number }) => void) | null } = { onprogress: null };
  onload: (() => void) | null = null;
  onerror: (() => void) | null = null;
  #method = '';
  #url = '';
  readonly #headers: Record<string, string> = {};
  #request: ClientRequest | undefined;
  #over = false;

  open(method: string, url: string): void {
    this.#method = method;
    this.#url = url;
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers[name] = value;
  }

  send(body: Blob): void {
    const headers = { ...this.#headers, 'content-length': String(body.size) };
    const sending = request(this.#url, { method: this.#method, headers, agent: false });
    this.#request = sending;
    sending.on('error', () => this.#end(() => this.onerror?.()));
    sending.on('response', (response) => {
      text(response).then(
        (all) =>
          this.#end(() => {
            this.status = response.statusCode ?? 0;
            this.responseText = all;
            this.onload?.();
          }),
        () => this.#end(() => this.onerror?.()),
      );
    });
    void this.#sendBody(sending, body);
  }

  abort(): void {
    this.#over = true;
    this.#request?.destroy();
  }

  #end(tell: () => void): void {
    if (this.#over) return;
    this.#over = true;
    tell();
  }

  async #sendBody(sending: ClientRequest, body: Blob): Promise<void> {
    for (let loaded = 0; loaded < body.size && !this.#over; ) {
      const chunk = await body.slice(loaded, loaded + CHUNK_BYTES).bytes();
      // Resolves when the operating system has accepted the chunk.
      const failed = await new Promise<unknown>((resolve) => sending.write(chunk, resolve));
      if (HttpXhr.chunkMs > 0) await sleep(HttpXhr.chunkMs);
      if (failed || this.#over) return;
      loaded += chunk.length;
      this.upload.onprogress?.({ loaded });
    }
    sending.end();
  }
}
