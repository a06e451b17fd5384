import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Progress, RoomsApiError, RoomsClient, type RoomsClientOptions } from '../../client/src/index.ts';
import { failure, type ScriptedServer, startScriptedServer, success } from './scripted-server.ts';
import { type Storage, startStorage } from './storage.ts';
import { startWireServer, unsignedToken } from './wire-server.ts';

const ROOM = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
const FILE = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
const MB = 1024 * 1024;

let server: ScriptedServer;
let storage: Storage;
beforeEach(async () => {
  [server, storage] = await Promise.all([startScriptedServer(), startStorage()]);
});
afterEach(async () => {
  await server.close();
  await storage.close();
});

const clientOf = (options: Partial<RoomsClientOptions> = {}) =>
  new RoomsClient({ url: server.url, token: () => 'token-1', retryInitialMs: 1, ...options });

const hash = async (data: Blob | Uint8Array<ArrayBuffer>): Promise<string> => {
  const bytes = data instanceof Blob ? await data.bytes() : data;
  return createHash('sha256').update(bytes).digest('hex');
};

const rising = (progress: readonly Progress[]): boolean =>
  progress.every(({ loaded }, i) => loaded > (progress[i - 1]?.loaded ?? -1));

/** Uploads `file` to the storage under the file ID of the service. */
async function store(file: Blob, url?: (upload_url: string) => string) {
  const upload = await storage.upload(FILE, file.size, file.type);
  return success({ ...upload, ...(url && { upload_url: url(upload.upload_url) }) });
}

test('a file is the same after upload and download, and both report progress', async () => {
  const bytes = new Uint8Array(randomBytes(5 * MB));
  const file = new File([bytes], 'plän (1).bin', { type: 'application/x-thing' });
  server.play(await store(file));
  const up: Progress[] = [];
  const uploaded = await clientOf().uploadFile(ROOM, file, { onProgress: (progress) => up.push(progress) });
  expect(uploaded).toEqual({ file_id: FILE, name: 'plän (1).bin', size: 5 * MB, content_type: 'application/x-thing' });
  expect(new URL(server.received[0]?.path ?? '', server.url).searchParams).toEqual(
    new URLSearchParams({ name: 'plän (1).bin', size: String(5 * MB), content_type: 'application/x-thing' }),
  );
  expect(up.length).toBeGreaterThan(3);
  expect(up[0]).toEqual({ loaded: 0, total: 5 * MB });
  expect(up.at(-1)).toEqual({ loaded: 5 * MB, total: 5 * MB });
  expect(rising(up)).toBe(true);

  server.play(success(await storage.download(FILE, uploaded)));
  const down: Progress[] = [];
  const { blob, ...facts } = await clientOf().downloadFile(
    ROOM,
    { file_id: FILE },
    { onProgress: (progress) => down.push(progress) },
  );
  expect(facts).toEqual({ name: uploaded.name, size: uploaded.size, content_type: uploaded.content_type });
  expect(blob.type).toBe('application/x-thing');
  expect(await hash(blob)).toBe(await hash(bytes));
  expect(down.at(-1)).toEqual({ loaded: 5 * MB, total: 5 * MB });
  expect(rising(down)).toBe(true);
});

test('uploads bytes without a name or type', async () => {
  const bytes = new TextEncoder().encode('hello');
  server.play(success(await storage.upload(FILE, 5, 'application/octet-stream')));
  const client = clientOf();
  expect(await client.uploadFile(ROOM, bytes)).toEqual({
    file_id: FILE,
    name: 'file',
    size: 5,
    content_type: 'application/octet-stream',
  });
  server.play(success(await storage.upload('other', 5, 'text/plain')));
  expect(await client.uploadFile(ROOM, bytes, { name: 'a.txt', contentType: 'text/plain' })).toMatchObject({
    name: 'a.txt',
    content_type: 'text/plain',
  });
});

test('restarts a transfer that breaks off', async () => {
  const file = new Blob([randomBytes(8 * MB)], { type: 'application/x-thing' });
  let starts = 0;
  let breaks = 0;
  const onProgress = ({ loaded }: Progress) => {
    if (loaded === 0) starts++;
    if (loaded > MB && breaks < 2 && breaks < starts) {
      breaks++;
      storage.way.cut();
    }
  };
  server.play(await store(file));
  await clientOf().uploadFile(ROOM, file, { onProgress });
  expect(breaks).toBe(2);
  expect(starts).toBe(3);

  breaks = starts = 0;
  server.play(success(await storage.download(FILE, { name: 'x', size: file.size, content_type: file.type })));
  const { blob } = await clientOf().downloadFile(ROOM, { file_id: FILE }, { onProgress });
  expect(breaks).toBe(2);
  expect(await hash(blob)).toBe(await hash(file));
});

test('succeeds if the response to an upload is lost: the retry finds the file stored', async () => {
  const file = new Blob([randomBytes(1_000)], { type: 'application/x-thing' });
  server.play(await store(file));
  const statuses: number[] = [];
  const client = clientOf({
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (String(input).startsWith(server.url)) return response;
      statuses.push(response.status);
      if (statuses.length === 1) throw new TypeError('fetch failed');
      return response;
    },
  });
  const uploaded = await client.uploadFile(ROOM, file);
  expect(statuses).toEqual([200, 412]);
  server.play(success(await storage.download(FILE, uploaded)));
  const { blob } = await client.downloadFile(ROOM, { file_id: FILE });
  expect(await hash(blob)).toBe(await hash(file));
});

test('rejects an upload to a URL that has stored a file before, also after a retry with another URL', async () => {
  const file = new Blob([randomBytes(8 * MB)], { type: 'application/x-thing' });
  const taken = await storage.upload(FILE, file.size, file.type);
  expect((await fetch(taken.upload_url, { method: 'PUT', headers: taken.headers, body: file })).status).toBe(200);
  const refused = { code: 'upload_refused', status: 412, message: expect.stringContaining('PreconditionFailed') };
  server.play(success(taken));
  await expect(clientOf().uploadFile(ROOM, file)).rejects.toMatchObject(refused);

  const statuses: number[] = [];
  const expired = await storage.upload('other', file.size, file.type);
  server.play(success({ ...expired, upload_url: `${expired.upload_url}x` }), success(taken));
  const client = clientOf({
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (String(input).startsWith(server.url)) return response;
      statuses.push(response.status);
      if (statuses.length === 1) throw new TypeError('fetch failed');
      return response;
    },
  });
  await expect(client.uploadFile(ROOM, file)).rejects.toMatchObject(refused);
  expect(statuses).toEqual([403, 403, 412]);
});

test('retries an upload that S3 rejects because another one is in progress', async () => {
  const file = new Blob(['hello'], { type: 'text/plain' });
  server.play(await store(file));
  let conflicts = 0;
  const client = clientOf({
    fetch: async (input, init) => {
      if (String(input).startsWith(server.url) || conflicts++ > 0) return fetch(input, init);
      return new Response('<Error><Code>ConditionalRequestConflict</Code></Error>', { status: 409 });
    },
  });
  expect(await client.uploadFile(ROOM, file)).toMatchObject({ file_id: FILE });
  expect(conflicts).toBe(2);
});

test('uploads and downloads an empty file', async () => {
  const file = new File([], 'empty.txt', { type: 'text/plain' });
  server.play(await store(file));
  const uploaded = await clientOf().uploadFile(ROOM, file);
  expect(uploaded).toMatchObject({ name: 'empty.txt', size: 0 });
  server.play(success(await storage.download(FILE, uploaded)));
  expect((await clientOf().downloadFile(ROOM, { file_id: FILE })).blob.size).toBe(0);
});

test('continues a transfer that breaks off after its URL has expired with a new URL', async () => {
  const file = new Blob([randomBytes(8 * MB)], { type: 'application/x-thing' });
  const OTHER = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b03';
  let broken = false;
  const onProgress = ({ loaded }: Progress) => {
    if (loaded < MB || broken) return;
    broken = true;
    // Blocks the process, so that the transfer cannot finish before the URL expires.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_500);
    storage.way.cut();
  };
  const upload = (file_id: string, seconds?: number) => storage.upload(file_id, file.size, file.type, seconds);
  server.play(success(await upload(FILE, 3)), success(await upload(OTHER)));
  expect(await clientOf().uploadFile(ROOM, file, { onProgress })).toMatchObject({ file_id: OTHER });

  broken = false;
  const download = (seconds?: number) =>
    storage.download(OTHER, { name: 'x', size: file.size, content_type: file.type }, seconds);
  server.play(success(await download(3)), success(await download()));
  const { blob } = await clientOf().downloadFile(ROOM, { file_id: OTHER }, { onProgress });
  expect(await hash(blob)).toBe(await hash(file));
  expect(server.received).toHaveLength(4);
});

test('reports one clear error if S3 rejects a transfer, and does not retry', async () => {
  const file = new Blob(['hello'], { type: 'text/plain' });
  const tries: string[] = [];
  const client = clientOf({
    fetch: (input, init) => {
      tries.push(new URL(String(input)).origin);
      return fetch(input, init);
    },
  });
  server.play(await store(file, (url) => url.replace(/X-Amz-Signature=\w{4}/, 'X-Amz-Signature=0000')));
  const uploading = client.uploadFile(ROOM, file);
  await expect(uploading).rejects.toBeInstanceOf(RoomsApiError);
  await expect(uploading).rejects.toMatchObject({
    code: 'upload_refused',
    status: 403,
    retryable: false,
    message: expect.stringMatching(/refused the upload with status 403 \(SignatureDoesNotMatch: /),
  });
  expect(tries).toHaveLength(2);

  server.play(success(await storage.download(FILE, { name: 'x', size: 5, content_type: 'text/plain' })));
  await expect(client.downloadFile(ROOM, { file_id: FILE })).rejects.toMatchObject({
    code: 'download_refused',
    status: 404,
    message: expect.stringContaining('NoSuchKey'),
  });
});

test('reports an error of the service before any transfer starts', async () => {
  server.play(failure('invalid_request', {}, { message: 'must be at most 104857600 bytes', path: 'size' }));
  await expect(clientOf().uploadFile(ROOM, new Blob(['hello']))).rejects.toMatchObject({
    code: 'invalid_request',
    message: 'size must be at most 104857600 bytes',
  });
});

test('aborts a transfer that is in progress', async () => {
  const file = new Blob([randomBytes(8 * MB)], { type: 'application/x-thing' });
  server.play(await store(file));
  const aborting = new AbortController();
  const reason = new Error('changed my mind');
  const onProgress = ({ loaded }: Progress) => {
    if (loaded > 0) aborting.abort(reason);
  };
  await expect(clientOf().uploadFile(ROOM, file, { onProgress, signal: aborting.signal })).rejects.toBe(reason);
});

test('reports a time-out for a transfer that stalls', async () => {
  const file = new Blob(['hello'], { type: 'text/plain' });
  server.play(await store(file));
  const stalled = new Promise<Response>(() => {});
  const client = clientOf({
    stallMs: 50,
    retries: 1,
    fetch: (input, init) => (String(input).startsWith(server.url) ? fetch(input, init) : stalled),
  });
  await expect(client.uploadFile(ROOM, file)).rejects.toMatchObject({ code: 'timeout' });
});

test('sends a message with a file', async () => {
  const wire = await startWireServer();
  const file = new File(['hello'], 'hello.txt', { type: 'text/plain' });
  const upload = await storage.upload(FILE, file.size, file.type);
  const client = new RoomsClient({
    ...wire,
    token: () => unsignedToken('alice'),
    fetch: (input, init) =>
      String(input).includes('/upload?') ? Promise.resolve(Response.json({ data: upload })) : fetch(input, init),
  });
  const { room_id } = await client.createRoom({ name: 'Files' });
  const room = await client.join(room_id);
  const progress: Progress[] = [];
  const sent = await room.send({ text: 'see here', attachment: file }, { onProgress: (one) => progress.push(one) });
  expect(sent).toMatchObject({ text: 'see here', attachment: { file_id: FILE } });
  expect(progress.at(-1)).toEqual({ loaded: 5, total: 5 });
  (await client.connect()).close();
  await wire.close();
});
