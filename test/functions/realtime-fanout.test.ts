import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { batchSize } from '../../core/realtime/batches.ts';
import { noCounts } from '../../core/realtime/deliver.ts';
import { connectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { deliver, send } from '../support/delivery.ts';
import { type FanOut, startFanOut } from '../support/fan-out.ts';
import { data } from '../support/invoke.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { runLanes } from '../support/lanes.ts';
import { type Management, startManagement } from '../support/management.ts';
import { leaveSlots, type Occupied } from '../support/places.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { type Services, startServices } from '../support/services.ts';
import { newRoom } from '../support/world.ts';

let management: Management;
let services: Services;
let fanOut: FanOut;
let places: Occupied;
beforeAll(async () => {
  [management, services, fanOut] = await Promise.all([startManagement(), startServices(), startFanOut()]);
  process.env.CALLBACK_URL = management.url;
  // Batches have up to 500 connections, but only a few posts run at the same time.
  places = await leaveSlots(20);
});
const known = watchSockets(() => management);
afterEach(() => known.check());
beforeEach(() => {
  management.reset();
  services.reset();
  fanOut.reset();
});
afterAll(() => Promise.all([management.close(), services.close(), fanOut.close(), places.free()]));

/** With this many messages, a batch has few connections. */
const ALL = Array.from({ length: 20 }, (_, n) => `message ${n}`);
/** The number of connections in a batch, if each receives all of these messages. */
const SIZE = batchSize(ALL.length);

/** A room with `count` connections, whose IDs are in the order in which they are read. */
async function roomOf(count: number) {
  const world = await newRoom();
  const ids = Array.from({ length: count }, (_, n) => `connection-${String(n).padStart(5, '0')}=`);
  await haveJoined(world.room_id, ids, world.member);
  return { ...world, ids };
}
const textsAt = (id: string) => management.received(id).map(({ data }) => data.text);
const isJoined = async (room_id: string, id: string) => (await get(connectionKey(room_id, id))) !== undefined;
/**
 * The log entries about a room, without times and IDs. Its events go through its lane, because they need many posts.
 */
const logOf = (lines: Awaited<ReturnType<typeof deliver>>['lines']) => {
  const [reader, ...others] = lines.map(({ level, entry }) => {
    const { room_id: _room, duration_ms: _ms, error: _error, ...rest } = Object(entry);
    return { level, ...rest };
  });
  expect(reader).toEqual({ level: 'info', action: 'deliver', messages: ALL.length, in_lane: true });
  return others;
};
const delivered = (receivers: number, more: object = {}) => ({
  level: 'info',
  action: 'lane',
  feed: 'messages',
  events: ALL.length,
  ...noCounts(),
  sent: ALL.length * receivers,
  receivers,
  batches: 0,
  ...more,
});

describe('a small room', () => {
  test('is delivered without another invocation', async () => {
    const { room_id, admin, ids } = await roomOf(2 * SIZE - 1);
    const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
    expect(failures).toEqual([]);
    expect(logOf(lines)).toEqual([delivered(ids.length)]);
    for (const id of ids) expect(textsAt(id)).toEqual(ALL);
    expect(fanOut.batches()).toEqual([]);
  });

  test('has less than two batches, each of 500 posts and at least 25 connections', () => {
    expect([1, 2, 3, 20, 21, 100].map(batchSize)).toEqual([500, 250, 166, 25, 25, 25]);
  });
});

describe('a large room', () => {
  test('is delivered in batches: each connection receives everything once and in order, and the counts add up', async () => {
    const { room_id, admin, ids } = await roomOf(3 * SIZE + 5);
    // Another invocation's batch has a connection that is gone and an unresponsive one. The rest, which is smaller than
    // a batch, has one that is gone.
    const [gone, unresponsive, goneHere] = [ids[SIZE] ?? '', ids[SIZE + 1] ?? '', ids.at(-1) ?? ''];
    management.respondWith(gone, 410);
    management.respondWith(unresponsive, 500);
    management.respondWith(goneHere, 410);
    const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
    expect(failures).toEqual([]);

    expect(logOf(lines)).toEqual([delivered(ids.length - 3, { gone: 2, failed: 1, batches: 2 })]);
    for (const id of ids) expect(textsAt(id)).toEqual([gone, unresponsive, goneHere].includes(id) ? [] : ALL);
    expect(management.closed).toEqual([unresponsive]);
    for (const id of [gone, unresponsive, goneHere]) expect(await isJoined(room_id, id)).toBe(false);
    // This invocation delivers the first batch and the rest. Only full batches get invocations of their own.
    const batches = fanOut.batches().map(({ recipients }) => recipients.map(({ connection_id }) => connection_id));
    expect(batches.map(({ length }) => length)).toEqual([SIZE, SIZE]);
    expect(batches.flat().sort()).toEqual(ids.slice(SIZE, 3 * SIZE));
  });

  test('finishes all fan-out invocations before the next message is sent', async () => {
    const { room_id, admin, ids } = await roomOf(2 * SIZE);
    const last = ids.at(-1) ?? '';
    // Only the last post to this connection is held, so that it does not time out before the other connections have
    // their messages.
    management.respondWith(last, 200, ...ALL.slice(2).map(() => 200 as const), 'hold', 200);
    let over = false;
    const delivery = deliver(await send(room_id, admin, ...ALL)).finally(() => {
      over = true;
    });
    await expect.poll(() => management.held(), { timeout: 60_000 }).toBe(1);
    await expect.poll(() => management.delivered.length, { timeout: 60_000 }).toBe(ids.length * ALL.length - 1);
    expect(over).toBe(false);
    management.release();
    expect(await delivery).toMatchObject({ failures: [] });
    await deliver(await send(room_id, admin, 'next'));
    for (const id of ids) expect(textsAt(id)).toEqual([...ALL, 'next']);
    expect(fanOut.batches()).toHaveLength(1);
  });

  test('is closed in batches when it ends', async () => {
    const { room_id, admin, ids } = await roomOf(2 * batchSize(1));
    const { end_time } = await data('endRoom', { as: admin, params: { room_id } });
    // If a fan-out invocation is lost, this invocation closes the connections of its batch.
    fanOut.work = async (batch) => {
      if (batch.task.kind === 'close') throw new Error('lost');
      return { ...noCounts(), sent: batch.recipients.length, receivers: batch.recipients.length };
    };
    await runEventFunction('announce', (context) =>
      announce({ room_id, moment: 'end', time: end_time ?? '' }, context),
    );
    await runLanes();
    expect(fanOut.batches().map(({ task }) => task.kind)).toEqual(['send', 'close']);
    expect([...new Set(management.closed)].sort()).toEqual(ids);
  });
});

describe('a batch that an invocation', () => {
  const invocation = { level: 'error', action: 'invoke_fan_out', connections: SIZE };

  test('started but did not finish is disconnected, and nothing is sent twice', async () => {
    const { room_id, admin, ids } = await roomOf(3 * SIZE);
    const [here, lost, done] = [ids.slice(0, SIZE), ids.slice(SIZE, 2 * SIZE), ids.slice(2 * SIZE)];
    const { work } = fanOut;
    fanOut.work = async (batch) => {
      if (batch.recipients[0]?.connection_id !== lost[0]) return work(batch);
      await work({ ...batch, recipients: batch.recipients.slice(0, 10) });
      throw new Error('out of memory');
    };
    const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
    // The batch of stream records succeeds. Otherwise, Lambda would send all messages again.
    expect(failures).toEqual([]);
    expect(logOf(lines)).toEqual([
      { ...invocation, outcome: 'lost' },
      delivered(2 * SIZE, { failed: SIZE, batches: 1 }),
    ]);
    for (const id of [...here, ...done]) expect(textsAt(id)).toEqual(ALL);
    for (const [n, id] of lost.entries()) expect(textsAt(id)).toEqual(n < 10 ? ALL : []);
    expect(management.closed.sort()).toEqual(lost);
    expect(await isJoined(room_id, lost[0] ?? '')).toBe(false);
    expect(await isJoined(room_id, done[0] ?? '')).toBe(true);
    expect(fanOut.batches()).toHaveLength(2);
  });

  test.each([429, 500, 'reset'] as const)('does not start at first (%s) is retried', async (response) => {
    const { room_id, admin, ids } = await roomOf(2 * SIZE);
    fanOut.respondWith(response, response, 'run');
    const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
    expect(failures).toEqual([]);
    expect(logOf(lines)).toEqual([delivered(ids.length, { batches: 1 })]);
    for (const id of ids) expect(textsAt(id)).toEqual(ALL);
    expect(management.closed).toEqual([]);
    expect(fanOut.batches()).toHaveLength(3);
  });

  test.each([
    [429, 3],
    [403, 1],
  ] as const)('never starts (%s) is delivered by this invocation', async (response, attempts) => {
    const { room_id, admin, ids } = await roomOf(2 * SIZE);
    fanOut.respondWith(response);
    const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
    expect(failures).toEqual([]);
    expect(logOf(lines)).toEqual([{ ...invocation, outcome: 'refused' }, delivered(ids.length)]);
    for (const id of ids) expect(textsAt(id)).toEqual(ALL);
    expect(management.closed).toEqual([]);
    expect(fanOut.batches()).toHaveLength(attempts);
  });

  test.each([
    [500, 3],
    ['reset', 3],
    ['hold', 1],
  ] as const)('may have started (%s) is disconnected', async (response, attempts) => {
    const { room_id, admin, ids } = await roomOf(2 * SIZE);
    fanOut.respondWith(response);
    if (response === 'hold') {
      const { timeout } = AbortSignal;
      const soon = vi
        .spyOn(AbortSignal, 'timeout')
        .mockImplementation((ms) => timeout.call(AbortSignal, ms === 35_000 ? 500 : ms));
      try {
        await disconnected();
        expect(soon).toHaveBeenCalledWith(35_000);
      } finally {
        soon.mockRestore();
      }
    } else await disconnected();
    expect(fanOut.batches()).toHaveLength(attempts);

    async function disconnected() {
      const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
      expect(failures).toEqual([]);
      expect(logOf(lines)).toEqual([{ ...invocation, outcome: 'lost' }, delivered(SIZE, { failed: SIZE })]);
      expect(management.delivered).toHaveLength(SIZE * ALL.length);
      expect(management.closed.sort()).toEqual(ids.slice(SIZE));
    }
  });
});
