import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Progress, RoomsClient, type RoomsClientOptions } from '../../client/src/index.ts';
import { startSilentServer } from '../support/silent-server.ts';
import { type ScriptedServer, startScriptedServer, success } from './scripted-server.ts';
import { type Storage, startStorage } from './storage.ts';
import { until } from './until.ts';
import { HttpXhr } from './xhr.ts';

/*
 * Failing uploads over XMLHttpRequest, as in browsers. test/client/browser.test.ts runs uploads in Chromium.
 */

const ROOM = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
const FILE = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
/** Larger than the network buffers, so that an upload can stall. */
const SIZE = 16 * 1024 * 1024;
const TYPE = 'application/x-thing';

let server: ScriptedServer;
let storage: Storage;
beforeEach(async () => {
  vi.stubGlobal('XMLHttpRequest', HttpXhr);
  [server, storage] = await Promise.all([startScriptedServer(), startStorage()]);
});
afterEach(async () => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  HttpXhr.chunkMs = 0;
  await server.close();
  await storage.close();
});

const clientOf = (options: Partial<RoomsClientOptions> = {}) =>
  new RoomsClient({ url: server.url, token: () => 'token-1', retryInitialMs: 1, ...options });
const file = new Blob([randomBytes(SIZE)], { type: TYPE });
const play = async (): Promise<void> => server.play(success(await storage.upload(FILE, SIZE, TYPE)));

/** Returns the content of the file in the storage. */
async function stored(): Promise<Buffer | undefined> {
  const { download_url } = await storage.download(FILE, { name: 'x', size: SIZE, content_type: TYPE });
  const response = await fetch(download_url);
  const bytes = Buffer.from(await response.arrayBuffer());
  return response.ok ? bytes : undefined;
}
const isStored = async (): Promise<boolean> => (await stored())?.equals(await file.bytes()) ?? false;

test('reports progress, and stores the file unchanged', async () => {
  await play();
  const progress: Progress[] = [];
  await clientOf().uploadFile(ROOM, file, { onProgress: (one) => progress.push(one) });
  expect(progress.length).toBeGreaterThan(10);
  expect(progress[0]).toEqual({ loaded: 0, total: SIZE });
  expect(progress.at(-1)).toEqual({ loaded: SIZE, total: SIZE });
  expect(await isStored()).toBe(true);
});

test('an aborted upload rejects with the reason, ends its connection, and stores nothing', async () => {
  await play();
  const aborting = new AbortController();
  const reason = new Error('changed my mind');
  const seen: number[] = [];
  const onProgress = ({ loaded }: Progress): void => {
    seen.push(loaded);
    if (loaded > SIZE / 4) aborting.abort(reason);
  };
  await expect(clientOf().uploadFile(ROOM, file, { onProgress, signal: aborting.signal })).rejects.toBe(reason);
  const last = seen.length;
  await until('the connection ends', () => storage.way.open() === 0);
  await sleep(50);
  expect(seen).toHaveLength(last);
  expect(seen.at(-1)).toBeLessThan(SIZE);
  expect(await stored()).toBeUndefined();
});

test('does not start an upload whose signal is already aborted', async () => {
  await play();
  const send = vi.spyOn(HttpXhr.prototype, 'send');
  const aborting = new AbortController();
  const reason = new Error('changed my mind');
  // The first progress event, with 0 bytes, fires before the request.
  const onProgress = (): void => aborting.abort(reason);
  await expect(clientOf().uploadFile(ROOM, file, { onProgress, signal: aborting.signal })).rejects.toBe(reason);
  expect(send).not.toHaveBeenCalled();
});

test('ends an upload with a time-out after `stallMs` without progress', async () => {
  await play();
  const abort = vi.spyOn(HttpXhr.prototype, 'abort');
  let stalledAt = 0;
  let frozen = false;
  const onProgress = ({ loaded }: Progress): void => {
    stalledAt = performance.now();
    if (loaded === 0 || frozen) return;
    frozen = true;
    storage.way.freeze();
  };
  const uploading = clientOf({ stallMs: 400, retries: 0 }).uploadFile(ROOM, file, { onProgress });
  await expect(uploading).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('stallMs') });
  const waited = performance.now() - stalledAt;
  expect(waited).toBeGreaterThan(350);
  expect(waited).toBeLessThan(5_000);
  expect(abort).toHaveBeenCalledOnce();
  expect(await stored()).toBeUndefined();
});

test('restarts an upload that stalled', async () => {
  await play();
  const progress: number[] = [];
  let frozen = false;
  const onProgress = ({ loaded }: Progress): void => {
    progress.push(loaded);
    if (loaded > 0 && !frozen) {
      frozen = true;
      storage.way.freeze();
    }
  };
  await clientOf({ stallMs: 400 }).uploadFile(ROOM, file, { onProgress });
  expect(progress.filter((loaded) => loaded === 0)).toHaveLength(2);
  expect(await isStored()).toBe(true);
});

test('does not time out while the upload makes progress, however long it takes', async () => {
  HttpXhr.chunkMs = 100;
  const slow = file.slice(0, 8 * 64 * 1024, TYPE);
  server.play(success(await storage.upload(FILE, slow.size, TYPE)));
  const started = performance.now();
  await clientOf({ stallMs: 500, retries: 0 }).uploadFile(ROOM, slow);
  expect(performance.now() - started).toBeGreaterThan(600);
});

test('retries an upload whose connection breaks', async () => {
  await play();
  let cut = false;
  const onProgress = ({ loaded }: Progress): void => {
    if (loaded < SIZE / 4 || cut) return;
    cut = true;
    storage.way.cut();
  };
  await clientOf().uploadFile(ROOM, file, { onProgress });
  expect(cut).toBe(true);
  expect(await isStored()).toBe(true);
});

test('times out if an upload gets no response', async () => {
  const silent = await startSilentServer();
  try {
    const upload = await storage.upload(FILE, 5, 'text/plain');
    server.play(success({ ...upload, upload_url: silent.url }));
    const small = new Blob(['hello'], { type: 'text/plain' });
    await expect(clientOf({ stallMs: 100, retries: 1 }).uploadFile(ROOM, small)).rejects.toMatchObject({
      code: 'timeout',
    });
    expect(silent.requests).toEqual(['PUT /', 'PUT /']);
  } finally {
    await silent.close();
  }
});

test("leaves no timer and no listener on the caller's signal after an upload", async () => {
  const aborting = new AbortController();
  const added = vi.spyOn(aborting.signal, 'addEventListener');
  const removed = vi.spyOn(aborting.signal, 'removeEventListener');
  await play();
  await clientOf({ stallMs: 1_000 }).uploadFile(ROOM, file, { signal: aborting.signal });
  expect(added.mock.calls.length).toBeGreaterThan(0);
  expect(removed.mock.calls.length).toBeGreaterThanOrEqual(added.mock.calls.length);
  const abort = vi.spyOn(HttpXhr.prototype, 'abort');
  await sleep(1_100);
  aborting.abort();
  expect(abort).not.toHaveBeenCalled();
});
