import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CONNECTIONS_AT_ONCE } from '../../core/realtime/deliver.ts';
import { gateway } from '../../core/realtime/gateway.ts';
import { sliceSize } from '../../core/realtime/slices.ts';
import { connectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { behind } from '../support/behind.ts';
import { deliver, send } from '../support/delivery.ts';
import { type FanOut, startFanOut } from '../support/fan-out.ts';
import { haveJoined } from '../support/fill.ts';
import { data } from '../support/invoke.ts';
import { type Management, startManagement } from '../support/management.ts';
import { patient } from '../support/patient.ts';
import { type Services, startServices } from '../support/services.ts';
import { newRoom } from '../support/world.ts';

let management: Management;
let services: Services;
let fanOut: FanOut;
beforeAll(async () => {
  [management, services, fanOut] = await Promise.all([
    startManagement({ answerAfter: 20 }),
    startServices(),
    startFanOut(),
  ]);
  process.env.CALLBACK_URL = management.url;
  patient(gateway());
});
beforeEach(() => {
  management.reset();
  services.reset();
  fanOut.reset();
});
afterAll(() => Promise.all([management.close(), services.close(), fanOut.close()]));

const ALL = ['one', 'two', 'three'];
/** How many connections are in a slice where each is sent one message, or all three. */
const [ONE, THREE] = [sliceSize(1), sliceSize(3)];

/** A room with as many connections, in the order in which they are read. */
async function roomOf(count: number) {
  const world = await newRoom();
  const ids = Array.from({ length: count }, (_, n) => `connection-${String(n).padStart(5, '0')}=`);
  await haveJoined(world.room_id, ids, world.member);
  return { ...world, ids };
}
const textsAt = (id: string) => management.received(id).map(({ data }) => data.text);
const isJoined = async (room_id: string, id: string) => (await get(connectionKey(room_id, id))) !== undefined;
/** What deliver-messages logs of a room, without times and ids. */
const logOf = (lines: Awaited<ReturnType<typeof deliver>>['lines']) =>
  lines.map(({ level, entry }) => {
    const { room_id: _room, duration_ms: _ms, error: _error, ...rest } = Object(entry);
    return { level, ...rest };
  });

describe('a room that is not large', () => {
  test('takes no other invocation; there are many posts at a time, and never more than the bound', async () => {
    const { room_id, admin, ids } = await roomOf(2 * THREE - 1);
    const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
    expect(failures).toEqual([]);
    const [sent, receivers] = [3 * ids.length, ids.length];
    expect(logOf(lines)).toEqual([
      { level: 'info', action: 'deliver', messages: 3, sent, gone: 0, failed: 0, receivers, slices: 0 },
    ]);
    for (const id of ids) expect(textsAt(id)).toEqual(ALL);
    expect(fanOut.slices()).toEqual([]);
    expect(management.peak()).toBeLessThanOrEqual(CONNECTIONS_AT_ONCE);
    expect(management.peak()).toBeGreaterThan(CONNECTIONS_AT_ONCE / 2);
  });

  test('is one of less than two slices, each of 500 posts, but of no fewer than 25 connections', () => {
    expect([1, 2, 3, 20, 21, 100].map(sliceSize)).toEqual([500, 250, 166, 25, 25, 25]);
  });
});

describe('a large room', () => {
  test('is told in slices: each connection gets everything once and in order, and the counts add up', async () => {
    const { room_id, admin, ids } = await roomOf(1_250);
    // One that is gone and one that does not listen, in a slice of another invocation, and in what does not fill one.
    const [gone, deaf, goneHere] = [ids[2 * THREE] ?? '', ids[2 * THREE + 1] ?? '', ids.at(-1) ?? ''];
    management.fate(gone, 410);
    management.fate(deaf, 500);
    management.fate(goneHere, 410);
    const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
    expect(failures).toEqual([]);

    const receivers = ids.length - 3;
    const handedOn = Math.floor(ids.length / THREE) - 1;
    expect(handedOn).toBeGreaterThan(3);
    expect(logOf(lines)).toEqual([
      {
        level: 'info',
        action: 'deliver',
        messages: 3,
        sent: 3 * receivers,
        gone: 2,
        failed: 1,
        receivers,
        slices: handedOn,
      },
    ]);
    for (const id of ids) expect(textsAt(id)).toEqual([gone, deaf, goneHere].includes(id) ? [] : ALL);
    expect(management.closed).toEqual([deaf]);
    for (const id of [gone, deaf, goneHere]) expect(await isJoined(room_id, id)).toBe(false);
    // The first slice is done here, as is what does not fill one.
    const slices = fanOut.slices().map(({ recipients }) => recipients.map(({ connection_id }) => connection_id));
    expect(slices.map(({ length }) => length)).toEqual(Array.from({ length: handedOn }, () => THREE));
    expect(slices.flat().sort()).toEqual(ids.slice(THREE, (handedOn + 1) * THREE));
  });

  test('has had everything before the next batch begins: slices are waited for', async () => {
    const { room_id, admin, ids } = await roomOf(2 * ONE);
    const last = ids.at(-1) ?? '';
    management.fate(last, 'hold', 200);
    let over = false;
    const delivery = deliver(await send(room_id, admin, 'one')).finally(() => {
      over = true;
    });
    while (management.held() === 0 || management.delivered.length < ids.length - 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(over).toBe(false);
    management.release();
    expect(await delivery).toMatchObject({ failures: [] });
    await deliver(await send(room_id, admin, 'two'));
    for (const id of ids) expect(textsAt(id)).toEqual(['one', 'two']);
    expect(fanOut.slices()).toHaveLength(2);
  });

  test('is closed in slices, too, when it ends', async () => {
    const { room_id, admin, ids } = await roomOf(2 * ONE);
    const { end_time } = await data('endRoom', { as: admin, params: { room_id } });
    // Of those that are lost when they are to be closed, nobody has to know what they have had.
    fanOut.work = async (slice) => {
      if (slice.task.kind === 'close') throw new Error('lost');
      return { sent: slice.recipients.length, gone: 0, failed: 0, receivers: slice.recipients.length };
    };
    await behind('announce', () => announce({ room_id, moment: 'end', time: end_time ?? '' }));
    expect(fanOut.slices().map(({ task }) => task.kind)).toEqual(['tell', 'close']);
    expect(management.closed.sort()).toEqual(ids);
  });
});

describe('a slice that an invocation', () => {
  const handOn = { level: 'error', action: 'hand_on', connections: ONE };

  test('began and did not end is given up: its clients come back and catch up, and nobody is sent anything twice', async () => {
    const { room_id, admin, ids } = await roomOf(3 * ONE);
    const [here, lost, done] = [ids.slice(0, ONE), ids.slice(ONE, 2 * ONE), ids.slice(2 * ONE)];
    const { work } = fanOut;
    fanOut.work = async (slice) => {
      if (slice.recipients[0]?.connection_id !== lost[0]) return work(slice);
      await work({ ...slice, recipients: slice.recipients.slice(0, 10) });
      throw new Error('out of memory');
    };
    const { failures, lines } = await deliver(await send(room_id, admin, 'one'));
    // No failure of the batch: Lambda would have everybody told again.
    expect(failures).toEqual([]);
    const sent = 2 * ONE;
    expect(logOf(lines)).toEqual([
      { ...handOn, outcome: 'lost' },
      { level: 'info', action: 'deliver', messages: 1, sent, gone: 0, failed: ONE, receivers: sent, slices: 1 },
    ]);
    for (const id of [...here, ...done]) expect(textsAt(id)).toEqual(['one']);
    for (const [n, id] of lost.entries()) expect(textsAt(id)).toEqual(n < 10 ? ['one'] : []);
    expect(management.closed.sort()).toEqual(lost);
    expect(await isJoined(room_id, lost[0] ?? '')).toBe(false);
    expect(await isJoined(room_id, done[0] ?? '')).toBe(true);
    expect(fanOut.slices()).toHaveLength(2);
  });

  test.each([429, 500, 'reset'] as const)('is not begun by at first (%s) is handed on again', async (fate) => {
    const { room_id, admin, ids } = await roomOf(2 * ONE);
    fanOut.fate(fate, fate, 'run');
    const { failures, lines } = await deliver(await send(room_id, admin, 'one'));
    expect(failures).toEqual([]);
    expect(logOf(lines)).toMatchObject([{ level: 'info', sent: ids.length, slices: 1 }]);
    for (const id of ids) expect(textsAt(id)).toEqual(['one']);
    expect(management.closed).toEqual([]);
    expect(fanOut.slices()).toHaveLength(3);
  });

  test.each([
    [429, 3],
    [403, 1],
  ] as const)('would never begin (%s) is done here', async (fate, tries) => {
    const { room_id, admin, ids } = await roomOf(2 * ONE);
    fanOut.fate(fate);
    const { failures, lines } = await deliver(await send(room_id, admin, 'one'));
    expect(failures).toEqual([]);
    expect(logOf(lines)).toMatchObject([
      { ...handOn, outcome: 'refused' },
      { level: 'info', sent: ids.length, failed: 0, slices: 0 },
    ]);
    for (const id of ids) expect(textsAt(id)).toEqual(['one']);
    expect(management.closed).toEqual([]);
    expect(fanOut.slices()).toHaveLength(tries);
    // With the rest of what is done here, within one bound.
    expect(management.peak()).toBeLessThanOrEqual(CONNECTIONS_AT_ONCE);
  });

  test.each([
    [500, 3],
    ['reset', 3],
    ['hold', 1],
  ] as const)('may have begun, for all that is heard of it (%s), is given up', async (fate, tries) => {
    const { room_id, admin, ids } = await roomOf(2 * ONE);
    fanOut.fate(fate);
    if (fate === 'hold') {
      const { timeout } = AbortSignal;
      const soon = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => timeout.call(AbortSignal, 500));
      try {
        await delivered();
        expect(soon).toHaveBeenCalledWith(35_000);
      } finally {
        soon.mockRestore();
      }
    } else await delivered();
    expect(fanOut.slices()).toHaveLength(tries);

    async function delivered() {
      const { failures, lines } = await deliver(await send(room_id, admin, 'one'));
      expect(failures).toEqual([]);
      expect(logOf(lines)).toMatchObject([
        { ...handOn, outcome: 'lost' },
        { level: 'info', sent: ONE, failed: ONE, slices: 0 },
      ]);
      expect(management.delivered).toHaveLength(ONE);
      expect(management.closed.sort()).toEqual(ids.slice(ONE));
    }
  });
});
