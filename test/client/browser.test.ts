import { randomUUID } from 'node:crypto';
import type { Browser } from 'playwright-core';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as Client from '../../client/src/index.ts';
import { contentType } from '../../core/contract/fields.ts';
import { findChromium, sayNoChromium, startChromium } from '../browser/chromium.ts';
import { browserBundle } from './bundle.ts';
import { type Storage, startStorage } from './storage.ts';
import { startWireServer, unsignedToken, type WireServer } from './wire-server.ts';

const FILE = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
const SIZE = 6 * 1024 * 1024;
const SMALL = 2 * 1024 * 1024;

const chromium = await findChromium();
if (!chromium) sayNoChromium('The client is not tested in a browser.');

let server: WireServer;
let storage: Storage;
let browser: Browser;

// Skipped if Chromium is not installed.
const inBrowser = test.skipIf(!chromium);

beforeAll(async () => {
  if (!chromium) return;
  [server, storage, browser] = await Promise.all([startWireServer(), startStorage(), startChromium(chromium)]);
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await storage?.close();
});

declare const Rooms: typeof Client;
declare const freezeAfter: (bytes: number) => Promise<void>;
declare const cut: () => Promise<void>;
declare const untilRequestFailed: () => Promise<void>;
/** The part of the DOM's types that the recording test uses. */
declare const document: {
  createElement(name: 'canvas'): {
    getContext(name: '2d'): { fillRect(...rectangle: [number, number, number, number]): void };
    captureStream(): object;
  };
};
declare const MediaRecorder: new (
  stream: object,
  options: { mimeType: string },
) => {
  readonly mimeType: string;
  ondataavailable: (event: { readonly data: Blob }) => void;
  onstop: (event: object) => void;
  start(): void;
  stop(): void;
};

inBrowser('in a browser: chat over its WebSocket, and files with progress', async () => {
  const page = await browser.newPage();
  const json = (data: object) => ({ contentType: 'application/json', body: JSON.stringify({ data }) });
  const upload = await storage.upload(FILE, SIZE, 'application/x-thing');
  const download = await storage.download(FILE, { name: 'big.bin', size: SIZE, content_type: 'application/x-thing' });
  await page.route(/\/upload\?/, (route) => route.fulfill(json(upload)));
  await page.route(/\/download\?/, (route) => route.fulfill(json(download)));
  const puts: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'PUT') puts.push(request.resourceType());
  });
  await page.goto(`${server.url}/page`);
  await page.addScriptTag({ content: Buffer.from(await browserBundle('Rooms')).toString() });
  const result = await page.evaluate(
    async ({ url, wsUrl, token, size }) => {
      const rooms = new Rooms.RoomsClient({ url, wsUrl, token: () => token });
      const { room_id } = await rooms.createRoom({ name: 'Browser' });
      const room = await rooms.join(room_id);
      const heard: (string | null)[] = [];
      room.on('message', ({ text }) => heard.push(text));
      const bytes = new Uint8Array(size).map((_, i) => i);
      const up: Client.Progress[] = [];
      const down: Client.Progress[] = [];
      const file = new File([bytes], 'big.bin', { type: 'application/x-thing' });
      const sent = await room.send({ text: 'see here', attachment: file }, { onProgress: (one) => up.push(one) });
      const onProgress = (one: Client.Progress) => down.push(one);
      const { blob } = await rooms.downloadFile(room_id, { message_id: sent.message_id }, { onProgress });
      const back = new Uint8Array(await blob.arrayBuffer());
      const same = back.length === size && back.every((byte, i) => byte === bytes[i]);
      const connection = await rooms.connect();
      const { userId } = connection;
      connection.close();
      return { heard, same, userId, up, down, state: connection.state };
    },
    { url: server.url, wsUrl: server.wsUrl, token: unsignedToken('alice'), size: SIZE },
  );
  expect(result).toMatchObject({ heard: ['see here'], same: true, userId: 'alice', state: 'closed' });
  // The client uploads with XMLHttpRequest, because fetch does not report upload progress.
  expect(puts).toEqual(['xhr']);
  for (const progress of [result.up, result.down]) {
    expect(progress[0]).toEqual({ loaded: 0, total: SIZE });
    expect(progress.at(-1)).toEqual({ loaded: SIZE, total: SIZE });
    const loaded = progress.map((one) => one.loaded);
    expect(loaded).toEqual(loaded.toSorted((a, b) => a - b));
  }
});

inBrowser('in a browser: a recording is uploaded with the media type that its recorder reports', async () => {
  const page = await browser.newPage();
  const json = (data: object) => ({ contentType: 'application/json', body: JSON.stringify({ data }) });
  await page.route(/\/upload\?/, async (route) => {
    const { searchParams } = new URL(route.request().url());
    // Rejects an invalid media type, as the service does.
    const type = v.parse(contentType, searchParams.get('content_type'));
    await route.fulfill(json(await storage.upload(randomUUID(), Number(searchParams.get('size')), type)));
  });
  await page.goto(`${server.url}/page`);
  await page.addScriptTag({ content: Buffer.from(await browserBundle('Rooms')).toString() });
  const { uploaded, types } = await page.evaluate(
    async ({ url, token }) => {
      const rooms = new Rooms.RoomsClient({ url, token: () => token });
      const { room_id } = await rooms.createRoom({ name: 'Recording' });
      const canvas = document.createElement('canvas');
      const picture = canvas.getContext('2d');
      const repaint = setInterval(() => picture.fillRect(0, 0, 10 * Math.random(), 10), 20);
      const uploaded: string[] = [];
      const types: string[] = [];
      for (const mimeType of [
        'video/webm;codecs=vp9,opus',
        'video/webm;codecs="vp8, opus"',
        'video/webm; codecs=vp8',
      ]) {
        const recorder = new MediaRecorder(canvas.captureStream(), { mimeType });
        const parts: Blob[] = [];
        recorder.ondataavailable = ({ data }) => parts.push(data);
        const over = new Promise((resolve) => {
          recorder.onstop = resolve;
        });
        recorder.start();
        await new Promise((resolve) => setTimeout(resolve, 200));
        recorder.stop();
        await over;
        // The requested type, the recorder's type and the type of its data can differ in format.
        for (const type of new Set([mimeType, recorder.mimeType, ...parts.map((part) => part.type)])) {
          types.push(new Blob(parts, { type }).type);
          uploaded.push((await rooms.uploadFile(room_id, new Blob(parts, { type }))).content_type);
        }
      }
      clearInterval(repaint);
      return { uploaded, types };
    },
    { url: server.url, token: unsignedToken('alice') },
  );
  expect(uploaded).toEqual(types);
  expect(types).toContain('video/webm;codecs=vp9,opus');
});

inBrowser('in a browser: an aborted upload ends, and a stalled upload is retried', async () => {
  const page = await browser.newPage();
  const json = (data: object) => ({ contentType: 'application/json', body: JSON.stringify({ data }) });
  await page.route(/\/upload\?/, async (route) =>
    route.fulfill(json(await storage.upload(randomUUID(), SMALL, 'application/x-thing'))),
  );
  const failures: (string | undefined)[] = [];
  page.on('requestfailed', (request) => {
    if (request.method() === 'PUT') failures.push(request.failure()?.errorText);
  });
  await page.exposeFunction('freezeAfter', (bytes: number) => storage.way.freezeAfter(bytes));
  await page.exposeFunction('cut', () => storage.way.cut());
  // The page learns of an aborted request before the browser has ended it.
  await page.exposeFunction('untilRequestFailed', async () => {
    await expect.poll(() => failures.length, { timeout: 20_000 }).toBeGreaterThan(0);
  });
  await page.goto(`${server.url}/page`);
  await page.addScriptTag({ content: Buffer.from(await browserBundle('Rooms')).toString() });
  const result = await page.evaluate(
    async ({ url, token, size }) => {
      const rooms = new Rooms.RoomsClient({ url, token: () => token, stallMs: 1_500, retries: 6, retryInitialMs: 1 });
      const { room_id } = await rooms.createRoom({ name: 'Uploads' });
      const file = new File([new Uint8Array(size)], 'big.bin', { type: 'application/x-thing' });
      // Stops the upload halfway, so that it cannot finish before the test aborts it.
      await freezeAfter(size / 2);
      const aborting = new AbortController();
      const aborted = await rooms
        .uploadFile(room_id, file, {
          onProgress: ({ loaded }) => loaded > 0 && aborting.abort(new Error('changed my mind')),
          signal: aborting.signal,
        })
        .catch((error: unknown) => String(error));
      await untilRequestFailed();
      await cut();
      // Halfway through the first attempt, all connections freeze, including idle ones.
      await freezeAfter(size / 2);
      let attempts = 0;
      const { size: uploaded } = await rooms.uploadFile(room_id, file, {
        onProgress({ loaded }) {
          // Otherwise, the browser would reuse a frozen idle connection.
          if (loaded === 0 && ++attempts > 1) void cut();
        },
      });
      return { aborted, attempts, uploaded };
    },
    { url: server.url, token: unsignedToken('alice'), size: SMALL },
  );
  expect(result).toMatchObject({ aborted: 'Error: changed my mind', uploaded: SMALL });
  expect(result.attempts).toBeGreaterThan(1);
  // Playwright reports a failed request later than the page does.
  await expect.poll(() => failures.slice(0, 2), { timeout: 20_000 }).toEqual(['net::ERR_ABORTED', 'net::ERR_ABORTED']);
});
