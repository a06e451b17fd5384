import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { parse } from 'content-disposition';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOWNLOAD_URL_SECONDS, UPLOAD_URL_SECONDS } from '../../core/contract/limits.ts';
import { bucketHost } from '../../core/files/transfer.ts';
import { getOwnFile } from '../../core/store/files.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { data, refusal, refused } from '../support/invoke.ts';
import { at, newRoom, snapshot, type World } from '../support/world.ts';

let world: World;
beforeAll(async () => {
  world = await newRoom();
});

const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, n) => n % 256));

interface Asked {
  readonly name?: string;
  readonly size?: number;
  readonly content_type?: string;
}
const request = ({ size = bytes.length, content_type = 'image/png', ...name }: Asked = {}) => ({
  as: world.member,
  params: { room_id: world.room_id },
  query: { size, content_type, ...name },
});
const askUpload = (asked?: Asked) => data('createUpload', request(asked));
const askDownload = (query: Record<string, string>, as = world.admin) =>
  data('createDownload', { as, params: { room_id: world.room_id }, query });

const put = (url: string, body: Uint8Array, headers: Record<string, string>) =>
  fetch(url, { method: 'PUT', body: Buffer.from(body), headers });

async function upload(asked: Asked = {}, body: Uint8Array = bytes): Promise<string> {
  const { file_id, upload_url, headers } = await askUpload({ ...asked, size: body.length });
  const answer = await put(upload_url, body, headers);
  expect([answer.status, await answer.text()]).toEqual([200, '']);
  return file_id;
}

describe('an upload', () => {
  test('is a PUT with the given headers, valid for 15 minutes', async () => {
    const now = Date.now();
    const asked = await at(now, () => askUpload());
    expect(asked).toEqual({
      file_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      upload_url: expect.stringContaining(`/rooms/${world.room_id}/${asked.file_id}?`),
      method: 'PUT',
      headers: { 'content-type': 'image/png', 'if-none-match': '*' },
      expires_at: new Date(now + UPLOAD_URL_SECONDS * 1_000).toISOString(),
    });
    expect(UPLOAD_URL_SECONDS).toBe(900);
    const signed = new URL(asked.upload_url).searchParams;
    expect(signed.get('X-Amz-Expires')).toBe('900');
    expect(signed.get('X-Amz-SignedHeaders')).toBe('content-length;content-type;host;if-none-match');
  });

  test('stores the file', async () => {
    const file_id = await upload();
    const { download_url } = await askDownload({ file_id });
    expect(Buffer.from(await (await fetch(download_url)).arrayBuffer())).toEqual(bytes);
  });

  test.each([
    ['one byte less', bytes.subarray(1), 'image/png'],
    ['one byte more', Buffer.concat([bytes, Buffer.from('x')]), 'image/png'],
    ['no bytes', Buffer.alloc(0), 'image/png'],
    ['another type', bytes, 'text/html'],
    ['a type with a parameter', bytes, 'image/png; charset=utf-8'],
  ])('of %s is rejected by S3', async (_, body, type) => {
    const { file_id, upload_url, headers } = await askUpload();
    const answer = await put(upload_url, body, { ...headers, 'content-type': type });
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('SignatureDoesNotMatch')]);
    const { download_url } = await askDownload({ file_id });
    expect((await fetch(download_url)).status).toBe(404);
  });

  const parameter =
    (name: string, value: string) =>
    (url: URL): void =>
      url.searchParams.set(name, value);
  const path =
    (pattern: RegExp, replace: (found: string) => string) =>
    (url: URL): void => {
      url.pathname = url.pathname.replace(pattern, replace);
    };
  test.each([
    ['another file', path(/.$/, (digit) => (digit === '0' ? '1' : '0'))],
    ['another room', path(/rooms\/./, () => 'rooms/f')],
    ['a longer validity', parameter('X-Amz-Expires', '90000')],
    ['a later date', parameter('X-Amz-Date', '20990101T000000Z')],
    ['another signature', parameter('X-Amz-Signature', '0'.repeat(64))],
    ['one without a signed length', parameter('X-Amz-SignedHeaders', 'content-type;host;if-none-match')],
    ['one without a signed condition', parameter('X-Amz-SignedHeaders', 'content-length;content-type;host')],
  ])('whose URL was changed to %s is rejected by S3', async (_, change) => {
    const { upload_url, headers } = await askUpload();
    const url = new URL(upload_url);
    change(url);
    expect(url.href).not.toBe(upload_url);
    expect((await put(url.href, bytes, headers)).status).toBe(403);
  });

  test('stores the file once: S3 rejects a second upload, and the first stays', async () => {
    const { file_id, upload_url, headers } = await askUpload();
    expect((await put(upload_url, bytes, headers)).status).toBe(200);
    const other = Buffer.alloc(bytes.length, 'x');
    const again = await put(upload_url, other, headers);
    expect([again.status, await again.text()]).toEqual([412, expect.stringContaining('PreconditionFailed')]);
    const { download_url } = await askDownload({ file_id });
    expect(Buffer.from(await (await fetch(download_url)).arrayBuffer())).toEqual(bytes);
  });

  test.each([
    ['an upload without the condition', {}],
    ['an upload with another condition', { 'if-none-match': '"0"' }],
  ])('%s is rejected by S3', async (_, condition) => {
    const { upload_url, headers } = await askUpload();
    const { 'if-none-match': left, ...others } = headers;
    expect(left).toBe('*');
    const answer = await put(upload_url, bytes, { ...others, ...condition });
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('SignatureDoesNotMatch')]);
  });

  test('that races with others to the same URL is stored by exactly one of them', async () => {
    const { file_id, upload_url, headers } = await askUpload();
    const bodies = Array.from({ length: 8 }, (_, n) => Buffer.alloc(bytes.length, String(n)));
    const statuses = await Promise.all(bodies.map(async (body) => (await put(upload_url, body, headers)).status));
    expect(statuses.toSorted()).toEqual([200, ...Array(7).fill(412)]);
    const { download_url } = await askDownload({ file_id });
    const stored = Buffer.from(await (await fetch(download_url)).arrayBuffer());
    expect(stored).toEqual(bodies[statuses.indexOf(200)]);
  });

  test('that breaks off stores nothing, and can be retried', async () => {
    const { file_id, upload_url, headers } = await askUpload();
    const { hostname, port, pathname, search } = new URL(upload_url);
    const broken = httpRequest({
      hostname,
      port,
      path: pathname + search,
      method: 'PUT',
      headers: { ...headers, 'content-length': bytes.length },
    });
    const failed = once(broken, 'error');
    broken.write(bytes.subarray(0, 500));
    await sleep(50);
    broken.destroy(new Error('broken off'));
    await failed;
    const { download_url } = await askDownload({ file_id });
    expect((await fetch(download_url)).status).toBe(404);
    expect((await put(upload_url, bytes, headers)).status).toBe(200);
    expect(Buffer.from(await (await fetch(download_url)).arrayBuffer())).toEqual(bytes);
  });

  test('may be empty', async () => {
    const file_id = await upload({ name: 'empty.txt' }, Buffer.alloc(0));
    const { download_url, size } = await askDownload({ file_id });
    const file = await fetch(download_url);
    expect([size, file.status, (await file.arrayBuffer()).byteLength]).toEqual([0, 200, 0]);
    const full = await askUpload({ size: 0 });
    expect((await put(full.upload_url, Buffer.from('x'), full.headers)).status).toBe(403);
  });

  test('is accepted by S3 a minute before its expiry, and rejected after it', async () => {
    const ago = (seconds: number) => at(Date.now() - seconds * 1_000, () => askUpload());
    const late = await ago(UPLOAD_URL_SECONDS + 1);
    const answer = await put(late.upload_url, bytes, late.headers);
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringMatching(/expired/i)]);
    const early = await ago(UPLOAD_URL_SECONDS - 60);
    expect((await put(early.upload_url, bytes, early.headers)).status).toBe(200);
  });

  test('cannot be read or deleted with its URL', async () => {
    const { upload_url, headers } = await askUpload();
    await put(upload_url, bytes, headers);
    for (const method of ['GET', 'DELETE']) expect((await fetch(upload_url, { method, headers })).status).toBe(403);
  });

  test.each([
    ['size', { size: 1_000_001 }],
    ['size', { size: -1 }],
    ['size', { size: 1.5 }],
    ['size', { size: 1e21 }],
    ['size', { size: Number.NaN }],
    ['content_type', { content_type: 'png' }],
    ['content_type', { content_type: 'text/html\r\nx-evil: 1' }],
    ['content_type', { content_type: 'text/plain;\r\n charset=utf-8' }],
    ['content_type', { content_type: 'text/plain;\tcharset=utf-8' }],
    ['content_type', { content_type: 'text/plain; charset=ütf-8' }],
    ['content_type', { content_type: 'text/plain; x=\u007f' }],
    ['content_type', { content_type: 'text/plain, text/html' }],
    ['content_type', { content_type: 'image/png; x=,text/html' }],
    ['content_type', { content_type: 'image/png; a=",b/c"' }],
    ['content_type', { content_type: `text/plain; x="${'y'.repeat(250)}"` }],
    ['content_type', { content_type: `a/${'b'.repeat(300)}` }],
    ['name', { name: '' }],
    ['name', { name: 'a\r\nSet-Cookie: x=1' }],
    ['name', { name: 'nul\0byte' }],
    ['name', { name: '\u200b\u200d' }],
    ['name', { name: 'x'.repeat(256) }],
  ])('with a bad %s is rejected: %j', async (path, asked) => {
    const before = await snapshot();
    expect(await refused('createUpload', request(asked))).toMatchObject({
      code: 'invalid_request',
      errors: [{ path }],
    });
    expect(await snapshot()).toEqual(before);
  });

  test.each(['size', 'content_type'])('without %s is rejected', async (left) => {
    const { query, ...rest } = request();
    const others = Object.entries(query).filter(([name]) => name !== left);
    expect(await refused('createUpload', { ...rest, query: Object.fromEntries(others) })).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: left, message: 'is required' }],
    });
  });

  test('of the maximum size is accepted', async () => {
    expect(await askUpload({ size: 1_000_000 })).toMatchObject({ method: 'PUT' });
  });

  test('is accepted before the room starts', async () => {
    const booked = await newRoom({ body: { start_time: new Date(Date.now() + 3_600_000).toISOString() } });
    const asked = { ...request(), as: booked.member, params: { room_id: booked.room_id } };
    expect(await data('createUpload', asked)).toMatchObject({ method: 'PUT' });
  });
});

describe('a media type as browsers send it', () => {
  const s3 = new S3Client({ forcePathStyle: true });
  afterAll(() => s3.destroy());

  test.each([
    ['text/plain; charset=utf-8'],
    ['text/plain;charset=UTF-8'],
    ['video/webm;codecs=vp9,opus'],
    ['video/webm;codecs="vp8, opus"'],
    ['audio/webm; codecs=opus'],
    ['video/mp4;codecs="avc1.42E01E,mp4a.40.2"'],
    ['video/x-matroska;codecs=avc1,opus'],
    ['multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW'],
    ['application/ld+json; profile="https://example.com/a b"'],
    ['text/plain;'],
    ['text/plain  ;  charset=utf-8 ', 'text/plain ; charset=utf-8'],
    ['application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ])('is signed, stored and returned: %s', async (content_type, sent = content_type) => {
    const asked = await askUpload({ content_type });
    expect(asked.headers).toEqual({ 'content-type': sent, 'if-none-match': '*' });
    const answer = await put(asked.upload_url, bytes, asked.headers);
    expect([answer.status, await answer.text()]).toEqual([200, '']);
    const Key = `rooms/${world.room_id}/${asked.file_id}`;
    expect(await s3.send(new HeadObjectCommand({ Bucket: process.env.BUCKET_NAME, Key }))).toMatchObject({
      ContentType: sent,
    });
    const download = await askDownload({ file_id: asked.file_id });
    expect(download.content_type).toBe(sent);
    const file = await fetch(download.download_url);
    expect([file.status, file.headers.get('content-type')]).toEqual([200, sent]);
    const other = await put(asked.upload_url, bytes, { ...asked.headers, 'content-type': `${sent};x=y` });
    expect([other.status, await other.text()]).toEqual([403, expect.stringContaining('SignatureDoesNotMatch')]);
  });
});

describe('a download', () => {
  test.each([
    'plan.pdf',
    'Übersicht 2026.xlsx',
    '😀 plan.png',
    'خطة.txt',
    'quote"; filename="evil.exe',
    "it's 100% (final).txt",
    '../../etc/passwd',
    '..\\..\\windows\\system32',
    '%2e%2e%2fetc%2fpasswd',
    '<script>alert(1)</script>.html',
    'a;b=c, d',
    ' leading and trailing ',
    `${'x'.repeat(251)}.txt`,
  ])('returns the bytes, the type, and the name %j encoded', async (name) => {
    const file_id = await upload({ name, content_type: 'text/plain; charset=utf-8' });
    const now = Date.now();
    const download = await at(now, () => askDownload({ file_id }));
    expect(download).toEqual({
      download_url: expect.stringContaining(`/rooms/${world.room_id}/${file_id}?`),
      expires_at: new Date(now + DOWNLOAD_URL_SECONDS * 1_000).toISOString(),
      name,
      size: bytes.length,
      content_type: 'text/plain; charset=utf-8',
    });
    const answer = await fetch(download.download_url);
    expect(answer.status).toBe(200);
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(bytes);
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const header = answer.headers.get('content-disposition') ?? '';
    expect(header).toMatch(/^attachment; [\x20-\x7e]+$/);
    // Clients use only the last segment of a path as the file name (RFC 6266, section 4.3).
    expect(parse(header).parameters.filename).toBe(name);
  });

  test('of a file without a name is called "file"', async () => {
    const file_id = await upload();
    expect(await askDownload({ file_id })).toMatchObject({ name: 'file' });
  });

  test('is found by the message with the attachment', async () => {
    const file_id = await upload({ name: 'attached.png' });
    const { room_id, member } = world;
    const now = new Date().toISOString();
    const message = await appendMessage({
      room_id,
      sender_id: member,
      client_message_id: 'with-file',
      files: [await getOwnFile(room_id, file_id, { caller: member, now })],
      now,
    });
    const { download_url, name } = await askDownload({ message_id: message.message_id.toLowerCase() });
    expect(name).toBe('attached.png');
    expect(Buffer.from(await (await fetch(download_url)).arrayBuffer())).toEqual(bytes);
  });

  test('of a file of another room is not found, by file and by message', async () => {
    const other = await newRoom();
    const params = { room_id: other.room_id };
    const file_id = await upload();
    const now = new Date().toISOString();
    const files = [await getOwnFile(world.room_id, file_id, { caller: world.member, now })];
    const base = { sender_id: world.member, client_message_id: 'other', now };
    const { message_id } = await appendMessage({ ...base, room_id: world.room_id, files });
    for (const query of [{ file_id }, { message_id }])
      expect(await refusal('createDownload', { as: other.admin, params, query })).toBe('file_not_found');
  });

  test('of an unknown file is not found', async () => {
    const { room_id, member } = world;
    const plain = await appendMessage({
      room_id,
      sender_id: member,
      client_message_id: 'plain',
      text: 'no file',
      now: new Date().toISOString(),
    });
    for (const query of [
      { file_id: '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02' },
      { message_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' },
      { message_id: plain.message_id },
    ])
      expect(await refusal('createDownload', { as: member, params: { room_id }, query })).toBe('file_not_found');
  });

  test.each([
    ['neither ID', {}, undefined],
    [
      'both IDs',
      { file_id: '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02', message_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' },
      undefined,
    ],
    ['an invalid file ID', { file_id: '../x' }, 'file_id'],
    ['an invalid message ID', { message_id: 'MESSAGE#1' }, 'message_id'],
  ])('with %s is rejected', async (_, query, path) => {
    const { errors, code } = await refused('createDownload', {
      as: world.member,
      params: { room_id: world.room_id },
      query,
    });
    expect([code, errors[0]?.path]).toEqual(['invalid_request', path]);
  });

  test('is rejected by S3 if the URL was changed or has expired', async () => {
    const file_id = await upload({ name: 'a.txt' });
    const { download_url } = await askDownload({ file_id });
    const renamed = new URL(download_url);
    renamed.searchParams.set('response-content-disposition', 'inline');
    expect((await fetch(renamed)).status).toBe(403);
    const late = await at(Date.now() - (DOWNLOAD_URL_SECONDS + 1) * 1_000, () => askDownload({ file_id }));
    expect((await fetch(late.download_url)).status).toBe(403);
    expect((await fetch(download_url, { method: 'DELETE' })).status).toBe(403);
  });
});

describe('on AWS', () => {
  test.each(['us-east-1', 'eu-central-1', 'ap-southeast-2', 'cn-north-1'])(
    'in %s, a URL has the address that the SDK uses for the bucket',
    async (region) => {
      const credentials = { accessKeyId: 'x', secretAccessKey: 'y' };
      const s3 = new S3Client({ region, credentials, ignoreConfiguredEndpointUrls: true });
      const command = new GetObjectCommand({ Bucket: 'rooms-files-1x2y', Key: 'rooms/a/b' });
      const { host, pathname } = new URL(await getSignedUrl(s3, command));
      expect({ host, pathname }).toEqual({ host: bucketHost('rooms-files-1x2y', region), pathname: '/rooms/a/b' });
    },
  );

  test('the URL has the host of the bucket and the path of the file', async () => {
    const { AWS_ENDPOINT_URL_S3, BUCKET_NAME } = process.env;
    delete process.env.AWS_ENDPOINT_URL_S3;
    try {
      const { upload_url, file_id } = await askUpload();
      const { origin, pathname } = new URL(upload_url);
      expect(origin).toBe(`https://${BUCKET_NAME}.s3.${process.env.AWS_REGION}.amazonaws.com`);
      expect(pathname).toBe(`/rooms/${world.room_id}/${file_id}`);
    } finally {
      process.env.AWS_ENDPOINT_URL_S3 = AWS_ENDPOINT_URL_S3;
    }
  });
});
