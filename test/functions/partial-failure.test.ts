import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { batchSize } from '../../core/realtime/batches.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { readMessages, send } from '../support/delivery.ts';
import { type FanOut, startFanOut } from '../support/fan-out.ts';
import { exception, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { inLanes, resetLanes, runLaneOnce } from '../support/lanes.ts';
import { type Management, startManagement } from '../support/management.ts';
import { leaveSlots, type Occupied } from '../support/places.ts';
import { type Services, startServices } from '../support/services.ts';
import { newRoom } from '../support/world.ts';

/* Failures in one room while another room is delivered, and combinations of two failures. */

let faults: FaultyDynamoDb;
let management: Management;
let services: Services;
let fanOut: FanOut;
let places: Occupied;
beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // The client reads this variable at its first request.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
  [management, services, fanOut] = await Promise.all([startManagement(), startServices(), startFanOut()]);
  process.env.CALLBACK_URL = management.url;
  // Batches have up to 500 connections, but only a few posts run at the same time.
  places = await leaveSlots(20);
});
const known = watchSockets(() => management);
afterEach(() => {
  known.check();
  faults.reset();
  management.reset();
  fanOut.reset();
  resetLanes();
});
afterAll(() => Promise.all([faults.close(), management.close(), services.close(), fanOut.close(), places.free()]));

/** With this many messages, a batch has few connections. */
const ALL = Array.from({ length: 20 }, (_, n) => `message ${n}`);
const SIZE = batchSize(ALL.length);
/** How long a request stays pending, in milliseconds: long enough for the other room to fail. */
const UNDER_WAY_MS = 300;

/** A room that is large enough for its events to go through a lane. */
async function largeRoom() {
  const world = await newRoom();
  const ids = Array.from({ length: 2 * SIZE }, (_, n) => `${world.room_id}-${String(n).padStart(5, '0')}=`);
  await haveJoined(world.room_id, ids, world.member);
  return { ...world, ids };
}
const textsAt = (id: string) => management.received(id).map(({ data }) => data.text);

test('a room whose connections cannot be read is retried without another room that is being delivered', async () => {
  const [broken, other] = [await largeRoom(), await largeRoom()];
  const [gone = '', ...alive] = other.ids;
  for (const { room_id, admin } of [broken, other])
    expect((await readMessages(await send(room_id, admin, ...ALL))).failures).toEqual([]);
  const [first] = inLanes();
  expect(inLanes()).toHaveLength(2);
  const { work } = fanOut;
  fanOut.work = async (batch) => {
    await sleep(UNDER_WAY_MS);
    return work(batch);
  };
  // Two more failures: a connection is gone, and its item cannot be deleted.
  management.respondWith(gone, 410);
  faults.always('DeleteItem', exception('AccessDeniedException'), gone);
  faults.always('Query', exception('AccessDeniedException'), broken.room_id);

  const { failed, lines } = await runLaneOnce();
  expect(failed).toEqual([first?.id]);
  const ofLanes = lines.map(({ entry }) => Object(entry)).filter(({ action }) => action === 'lane');
  expect(ofLanes).toMatchObject([{ lane: expect.stringContaining(broken.room_id) }, { room_id: other.room_id }]);
  for (const id of alive) expect(textsAt(id)).toEqual(ALL);
  for (const id of broken.ids) expect(textsAt(id)).toEqual([]);

  faults.reset();
  expect((await runLaneOnce()).failed).toEqual([]);
  for (const id of [...broken.ids, ...alive]) expect(textsAt(id)).toEqual(ALL);
});
