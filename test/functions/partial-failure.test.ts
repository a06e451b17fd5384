import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { batchSize } from '../../core/realtime/batches.ts';
import { readMessages, send } from '../support/delivery.ts';
import { type FanOut, startFanOut } from '../support/fan-out.ts';
import { exception, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { haveJoined } from '../support/fill.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { forgetLanes, inLanes, runLaneOnce } from '../support/lanes.ts';
import { type Management, startManagement } from '../support/management.ts';
import { leavePlaces, type Occupied } from '../support/places.ts';
import { type Services, startServices } from '../support/services.ts';
import { newRoom } from '../support/world.ts';

/*
 * Faults of one room while another is delivered, and two faults at once.
 */

let faults: FaultyDynamoDb;
let management: Management;
let services: Services;
let fanOut: FanOut;
let places: Occupied;
beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // Before the client's first request, which is when it reads this.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
  [management, services, fanOut] = await Promise.all([startManagement(), startServices(), startFanOut()]);
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
  forgetLanes();
});
afterAll(() => Promise.all([faults.close(), management.close(), services.close(), fanOut.close(), places.free()]));

/** So many messages that a batch has few connections. */
const ALL = Array.from({ length: 20 }, (_, n) => `message ${n}`);
const SIZE = batchSize(ALL.length);
/** Long enough for the other room to fail, in milliseconds. */
const UNDER_WAY_MS = 300;

/** A room that is large for so many messages: its events go through a lane. */
async function largeRoom() {
  const world = await newRoom();
  const ids = Array.from({ length: 2 * SIZE }, (_, n) => `${world.room_id}-${String(n).padStart(5, '0')}=`);
  await haveJoined(world.room_id, ids, world.member);
  return { ...world, ids };
}
const textsAt = (id: string) => management.received(id).map(({ data }) => data.text);

test('a room whose connections cannot be read, while batches of another are under way, is tried again alone', async () => {
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
  // Two more faults: a connection is gone, and cannot be removed.
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
