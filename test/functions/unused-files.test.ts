import { once } from 'node:events';
import { createServer } from 'node:http';
import type { DynamoDBRecord } from 'aws-lambda';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fileKey } from '../../core/store/keys.ts';
import { remove } from '../../core/store/write.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { data } from '../support/invoke.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { type Services, startServices } from '../support/services.ts';
import { startSilentServer } from '../support/silent-server.ts';
import { recorded } from '../support/stream.ts';
import { newRoom } from '../support/world.ts';

let services: Services;
beforeAll(async () => {
  services = await startServices();
});
afterAll(() => services.close());

/** Uploads a file. The result includes a URL that shows whether the object is in the bucket. */
async function uploaded() {
  const { room_id, member } = await newRoom();
  const asked = { as: member, params: { room_id } };
  const query = { size: 1, content_type: 'text/plain' };
  const { file_id, upload_url, headers } = await data('createUpload', { ...asked, query });
  expect((await fetch(upload_url, { method: 'PUT', body: 'x', headers })).status).toBe(200);
  const { download_url } = await data('createDownload', { ...asked, query: { file_id } });
  return { room_id, file_id, status: async () => (await fetch(download_url)).status };
}
const byTimeToLive = (record: DynamoDBRecord): DynamoDBRecord => ({
  ...record,
  userIdentity: { type: 'Service', principalId: 'dynamodb.amazonaws.com' },
});
const handle = async (Records: DynamoDBRecord[]): Promise<number> =>
  (await runEventFunction('room-changes', (context) => roomChanges({ Records }, context))).result.batchItemFailures
    .length;

test('an expired file is deleted from the bucket, and reading the record again does nothing', async () => {
  const { room_id, file_id, status } = await uploaded();
  const records = (await recorded(() => remove(fileKey(room_id, file_id)))).map(byTimeToLive);
  expect(await status()).toBe(200);
  expect(await handle(records)).toBe(0);
  expect(await status()).toBe(404);
  expect(await handle(records.map((record) => ({ ...record, eventID: 'again' })))).toBe(0);
});

test('a file whose item exists is kept, even if a record reports its expiry', async () => {
  const { room_id, file_id, status } = await uploaded();
  const other = await uploaded();
  const [record] = await recorded(() => remove(fileKey(other.room_id, other.file_id)));
  const { PK, SK } = fileKey(room_id, file_id);
  const wrong = { ...record, dynamodb: { ...record?.dynamodb, Keys: { PK: { S: PK }, SK: { S: SK } } } };
  expect(await handle([byTimeToLive(wrong)])).toBe(0);
  expect(await status()).toBe(200);
});

test('a file that the service removed itself is not deleted', async () => {
  const { room_id, file_id, status } = await uploaded();
  expect(await handle(await recorded(() => remove(fileKey(room_id, file_id))))).toBe(0);
  expect(await status()).toBe(200);
});

/** Runs `work` with another endpoint for S3. */
async function withS3At<T>(url: string, work: () => Promise<T>): Promise<T> {
  const { AWS_ENDPOINT_URL_S3 } = process.env;
  process.env.AWS_ENDPOINT_URL_S3 = url;
  try {
    return await work();
  } finally {
    process.env.AWS_ENDPOINT_URL_S3 = AWS_ENDPOINT_URL_S3;
  }
}

test('if S3 cannot be reached, the record is retried', async () => {
  const { room_id, file_id, status } = await uploaded();
  const records = (await recorded(() => remove(fileKey(room_id, file_id)))).map(byTimeToLive);
  expect(await withS3At('http://127.0.0.1:1', () => handle(records))).toBe(1);
  expect(await handle(records)).toBe(0);
  expect(await status()).toBe(404);
});

test.each([
  [204, 0],
  [404, 0],
  [200, 1],
  [403, 1],
  [500, 1],
  [503, 1],
])('a response %i of S3 makes %i records retry', async (answer, failures) => {
  const { room_id, file_id } = await uploaded();
  const records = (await recorded(() => remove(fileKey(room_id, file_id)))).map(byTimeToLive);
  const s3 = createServer((_, response) => void response.writeHead(answer).end()).listen(0, '127.0.0.1');
  await once(s3, 'listening');
  try {
    const { port } = v.parse(v.object({ port: v.number() }), s3.address());
    expect(await withS3At(`http://127.0.0.1:${port}`, () => handle(records))).toBe(failures);
  } finally {
    s3.close();
    s3.closeAllConnections();
  }
});

test('if S3 does not respond, the record is retried after 5 s', async () => {
  const { room_id, file_id } = await uploaded();
  const records = (await recorded(() => remove(fileKey(room_id, file_id)))).map(byTimeToLive);
  const silent = await startSilentServer();
  try {
    const started = performance.now();
    expect(await withS3At(silent.url, () => handle(records))).toBe(1);
    const elapsed = performance.now() - started;
    expect(silent.requests).toHaveLength(1);
    expect(elapsed).toBeGreaterThan(4_900);
    expect(elapsed).toBeLessThan(8_000);
  } finally {
    await silent.close();
  }
});
