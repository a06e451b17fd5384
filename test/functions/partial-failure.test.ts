import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { batchSize } from '../../core/realtime/batches.ts';
import { deliver, send } from '../support/delivery.ts';
import { type FanOut, startFanOut } from '../support/fan-out.ts';
import { exception, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { haveJoined } from '../support/fill.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { type Management, startManagement } from '../support/management.ts';
import { leavePlaces, type Occupied } from '../support/places.ts';
import { messagesIn } from '../support/stream.ts';
import { newRoom } from '../support/world.ts';

/*
 * Faults of one room while another is delivered, and two faults at once.
 */

let faults: FaultyDynamoDb;
let management: Management;
let fanOut: FanOut;
let places: Occupied;
beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // Before the client's first request, which is when it reads this.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
  [management, fanOut] = await Promise.all([startManagement(), startFanOut()]);
  process.env.CALLBACK_URL = management.url;
  // Batches of 500 connections, but few of them at a time.
  places = await leavePlaces(20);
});
const known = watchSockets(() => management);
afterEach(() => {
  known.check();
  faults.reset();
  management.reset();
  fanOut.reset();
});
afterAll(() => Promise.all([faults.close(), management.close(), fanOut.close(), places.free()]));

/** So many messages that a batch has few connections. */
const ALL = Array.from({ length: 20 }, (_, n) => `message ${n}`);
const SIZE = batchSize(ALL.length);
/** Long enough for the other room to fail, in milliseconds. */
const UNDER_WAY_MS = 300;

async function roomOf(count: number) {
  const world = await newRoom();
  const ids = Array.from({ length: count }, (_, n) => `${world.room_id}-${String(n).padStart(5, '0')}=`);
  await haveJoined(world.room_id, ids, world.member);
  return { ...world, ids };
}
const textsAt = (id: string) => management.received(id).map(({ data }) => data.text);

test('a room whose connections cannot be read, while batches of another are under way, is retried alone', async () => {
  const [small, large] = [await roomOf(1), await roomOf(2 * SIZE)];
  const [gone = '', ...alive] = large.ids;
  const [ear = ''] = small.ids;
  const ofSmall = await send(small.room_id, small.admin, 'a', 'b');
  const ofLarge = await send(large.room_id, large.admin, ...ALL);
  const { work } = fanOut;
  fanOut.work = async (batch) => {
    await sleep(UNDER_WAY_MS);
    return work(batch);
  };
  // Two more faults: a connection is gone, and cannot be removed.
  management.respondWith(gone, 410);
  faults.always('DeleteItem', exception('AccessDeniedException'));
  faults.always('Query', exception('AccessDeniedException'), small.room_id);

  const { failures, lines } = await deliver([...ofSmall, ...ofLarge]);
  expect(failures).toEqual([messagesIn(ofSmall).Records[0]?.dynamodb?.SequenceNumber]);
  const about = lines.map(({ entry }) => JSON.stringify(entry)).filter((line) => !line.includes('remove'));
  expect(about.findIndex((line) => line.includes('AccessDenied') && line.includes(small.room_id))).toBe(0);
  expect(about.at(-1)).toContain(`"batches":1`);
  for (const id of alive) expect(textsAt(id)).toEqual(ALL);
  expect(textsAt(ear)).toEqual([]);

  // Lambda sends all records from the first one that failed on.
  faults.reset();
  expect((await deliver([...ofSmall, ...ofLarge])).failures).toEqual([]);
  expect(textsAt(ear)).toEqual(['a', 'b']);
  for (const id of alive) expect(textsAt(id)).toEqual(ALL);
});
