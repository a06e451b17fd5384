import { randomUUID } from 'node:crypto';
import { GetScheduleCommand, ResourceNotFoundException } from '@aws-sdk/client-scheduler';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  MAX_FAILURES,
  type Options,
  type Progress,
  reschedule,
  type ScheduleTarget,
} from '../../bin/operations/schedules.ts';
import { MOMENTS, syncSchedules } from '../../core/realtime/schedule.ts';
import { dynamodb, tableName } from '../../core/store/client.ts';
import type { RoomItem } from '../../core/store/items.ts';
import { roomKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { AwsError } from '../../local/aws/aws-request.ts';
import { data } from '../support/invoke.ts';
import { startLocalScheduler } from '../support/local-scheduler.ts';
import { newRoom, newUser } from '../support/world.ts';

/* `npm run reschedule`, with the real table and the local Scheduler. */

const HOUR = 3_600_000;
const inFuture = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();
const settings = {
  group: 'rooms-test-schedules',
  functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:rooms-test-announce',
  roleArn: 'arn:aws:iam::000000000000:role/rooms-test-schedules',
};
const dead = { ...settings, functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:rooms-test-Announce1234' };

/** The times of a room's end and of its first warning. */
const ending = (milliseconds: number) => {
  const end = inFuture(milliseconds);
  return { end, next: new Date(Date.parse(end) - 300_000).toISOString() };
};
/** The rooms that need schedules, with the times of these. */
const rooms: Record<'booked' | 'open' | 'running', { room_id: string; times: Record<string, string> }> = {
  booked: { room_id: '', times: { start: inFuture(HOUR), ...ending(2 * HOUR) } },
  open: { room_id: '', times: { start: inFuture(HOUR) } },
  running: { room_id: '', times: ending(24 * HOUR) },
};
const names = Object.values(rooms).flatMap(({ times }) => Object.keys(times));

let target: ScheduleTarget;
const writes: string[] = [];
/** Called with each request to the Scheduler. An error that it throws becomes the response. */
let onRequest: ((request: { method: string; name: string }) => void | Promise<void>) | undefined;
let peak = 0;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  for (const room of Object.values(rooms)) {
    const { start, end } = room.times;
    const body = { ...(start && { start_time: start }), ...(end && { end_time: end }) };
    room.room_id = (await newRoom({ body })).room_id;
  }
  const over = await newRoom({ body: { end_time: inFuture(HOUR) } });
  await data('endRoom', { as: over.admin, params: { room_id: over.room_id } });
  await newRoom();

  let under = 0;
  const scheduler = await startLocalScheduler(settings.group, async ({ method, name, response }) => {
    peak = Math.max(peak, ++under);
    response.once('close', () => under--);
    if (method !== 'GET') writes.push(`${method} ${name}`);
    await onRequest?.({ method, name });
  });
  target = { dynamodb, scheduler: scheduler.client, table: tableName(), settings };
  closing.push(scheduler.close);
});
beforeEach(() => {
  onRequest = undefined;
  writes.length = 0;
  peak = 0;
});
afterAll(() => Promise.all(closing.map((close) => close())));

const failures: string[] = [];
const run = (options: Partial<Options> = {}): Promise<Progress> => {
  failures.length = 0;
  return reschedule(target, {
    apply: false,
    readUnits: 1_000_000,
    concurrency: 10,
    signal: new AbortController().signal,
    onProgress: () => {},
    onFailure: (room_id) => failures.push(room_id),
    ...options,
  });
};
const find = async (room_id: string, moment: string) =>
  target.scheduler
    .send(new GetScheduleCommand({ GroupName: settings.group, Name: `${room_id}-${moment}` }))
    .catch((error: unknown) => {
      if (error instanceof ResourceNotFoundException) return undefined;
      throw error;
    });
async function expectAllRight() {
  for (const { room_id, times } of Object.values(rooms))
    for (const moment of MOMENTS) {
      const found = await find(room_id, moment);
      const time = times[moment];
      if (time === undefined) expect(found, moment).toBeUndefined();
      else
        expect(found).toMatchObject({
          ScheduleExpression: `at(${new Date(Math.ceil(Date.parse(time) / 1_000) * 1_000).toISOString().slice(0, 19)})`,
          Target: {
            Arn: settings.functionArn,
            RoleArn: settings.roleArn,
            Input: JSON.stringify({ room_id, moment, time }),
          },
        });
    }
}

test('without --apply, lists what is missing and writes nothing', async () => {
  expect(await run()).toMatchObject({ rooms: 3, current: 0, missing: names.length, outdated: 0, finished: true });
  expect(writes).toEqual([]);
});

test('with --apply, creates a schedule for each future start and end; a second run changes nothing', async () => {
  expect(await run({ apply: true })).toMatchObject({ rooms: 3, missing: names.length, failed: 0, finished: true });
  await expectAllRight();
  writes.length = 0;
  expect(await run({ apply: true })).toMatchObject({ current: names.length, missing: 0, outdated: 0 });
  expect(writes).toEqual([]);
});

test('repairs schedules that invoke a deleted function', async () => {
  await run({ apply: true });
  const room = await get<RoomItem>(roomKey(rooms.booked.room_id));
  if (!room) throw new Error('It was created.');
  await syncSchedules(room, new Date().toISOString(), undefined, dead, target.scheduler);
  expect(await run()).toMatchObject({ outdated: 3, current: names.length - 3 });
  expect(await run({ apply: true })).toMatchObject({ outdated: 3 });
  await expectAllRight();
});

test('a room whose end changes during the run gets a schedule for its new end', async () => {
  const { room_id, admin } = await newRoom({ body: { end_time: inFuture(HOUR) } });
  const end_time = inFuture(3 * HOUR);
  let moved = false;
  onRequest = async ({ method, name }) => {
    if (moved || method !== 'POST' || name !== `${room_id}-end`) return;
    moved = true;
    await data('changeRoom', { as: admin, params: { room_id }, body: { end_time } });
  };
  await run({ apply: true });
  expect(moved).toBe(true);
  expect((await find(room_id, 'end'))?.Target?.Input).toBe(JSON.stringify({ room_id, moment: 'end', time: end_time }));
  await data('endRoom', { as: admin, params: { room_id } });
});

describe('a run that does not finish', () => {
  /** Writes enough large messages to fill several pages of the table. */
  beforeAll(async () => {
    const as = newUser();
    const { room_id } = await data('createRoom', { as, body: { name: 'large' } });
    const { writeItems } = await import('../fixtures/write-items.ts');
    const text = 'x'.repeat(300_000);
    await writeItems(Array.from({ length: 12 }, () => ({ PK: `CHAT#${room_id}`, SK: randomUUID(), text })));
  });

  test('continues from its cursor after an interruption', async () => {
    const controller = new AbortController();
    const first = await run({ signal: controller.signal, onProgress: () => controller.abort() });
    expect(first).toMatchObject({ finished: false, cursor: expect.any(String) });
    const second = await run({ from: first.cursor });
    expect(second.finished).toBe(true);
    const whole = await run();
    expect(first.rooms + second.rooms).toBe(whole.rooms);
    expect(first.items + second.items).toBe(whole.items);
    expect(whole.rooms).toBe(3);
  });

  test('reads no faster than its limit', async () => {
    const progress: number[] = [];
    const began = performance.now();
    // A page takes 128 read units.
    const { items } = await run({ readUnits: 500, onProgress: () => progress.push(performance.now() - began) });
    expect(items).toBeGreaterThan(12);
    // Four items fill a page. The position of other items in the table is random.
    expect(progress.length).toBeGreaterThanOrEqual(3);
    // After every page but the last, the scan waits 256 ms.
    expect(progress.at(-1)).toBeGreaterThan((progress.length - 2) * 200);
  });
});

test('reports a room whose schedules cannot be written, and repairs the others', async () => {
  const { room_id } = rooms.open;
  onRequest = ({ name }) => {
    if (name.startsWith(room_id)) throw new AwsError(500, 'InternalServerException', 'injected');
  };
  const progress = await run({ apply: true });
  expect(progress).toMatchObject({ rooms: 3, failed: 1, current: names.length - 1 });
  expect(failures).toEqual([room_id]);

  // The cursor points to the page with the room, wherever in the table that is.
  const asked: string[] = [];
  onRequest = ({ name }) => void asked.push(name);
  expect(await run({ apply: true, ...(progress.cursor && { from: progress.cursor }) })).toMatchObject({ failed: 0 });
  expect(asked.some((name) => name.startsWith(room_id))).toBe(true);
});

test('processes a limited number of rooms at once, and ends after too many failures in a row', async () => {
  for (let n = 0; n < MAX_FAILURES + 5; n++) await newRoom({ body: { end_time: inFuture(HOUR) } });
  await run({ concurrency: 2 });
  // Two rooms, each with at most three schedules: start, end and warning.
  expect(peak).toBeLessThanOrEqual(6);
  onRequest = () => {
    throw new AwsError(403, 'AccessDeniedException', 'injected');
  };
  expect(await run({ apply: true, concurrency: 1 })).toMatchObject({ failed: MAX_FAILURES, finished: false });
});

test('creates the schedule of an announcement in a room without an end', async () => {
  const announcements = [
    { announcement_id: 'a', message: 'x', relative_from: 'start', relative_time_in_seconds: 3_600 },
    { announcement_id: 'b', message: 'x', relative_from: 'start', relative_time_in_seconds: 7_200 },
  ];
  const { room_id, admin } = await newRoom({ body: { announcements } });
  await run({ apply: true });
  const { start_time } = await data('getRoom', { as: admin, params: { room_id } });
  const time = new Date(Date.parse(start_time) + HOUR).toISOString();
  expect((await find(room_id, 'next'))?.Target?.Input).toBe(JSON.stringify({ room_id, moment: 'next', time }));
  await data('endRoom', { as: admin, params: { room_id } });
});

test('rejects an invalid cursor', async () => {
  await expect(run({ from: 'nonsense' })).rejects.toThrow('"nonsense" is not a cursor of an earlier run.');
});

test('with missed minutes, announces starts and ends of that period at once', async () => {
  const { room_id, admin } = await newRoom({ body: { end_time: inFuture(HOUR) } });
  const ended = (await data('endRoom', { as: admin, params: { room_id } })).end_time;
  await run({ apply: true });
  expect(await find(room_id, 'end')).toBeUndefined();
  expect(await run({ missedMinutes: 5 })).toMatchObject({ failed: 0 });
  expect(await find(room_id, 'end')).toBeUndefined();
  await run({ apply: true, missedMinutes: 5 });
  const found = await find(room_id, 'end');
  expect(found?.Target?.Input).toBe(JSON.stringify({ room_id, moment: 'end', time: ended }));
  const due = Date.parse(`${found?.ScheduleExpression?.slice(3, -1)}Z`);
  expect(due).toBeGreaterThan(Date.now());
  expect(due).toBeLessThan(Date.now() + 10_000);
});
