import type { DynamoDBRecord } from 'aws-lambda';
import { describe, expect, test, vi } from 'vitest';
import { announcedKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { runningOut } from '../fixtures/event.ts';
import { deliver } from '../support/delivery.ts';
import { type Data, data, invoke, refused } from '../support/invoke.ts';
import { queueEvent } from '../support/queue-event.ts';
import { startRealtimeServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { newSocket, reply, type Socket } from '../support/socket.ts';
import { changesIn, messagesIn, recorded } from '../support/stream.ts';
import { at, newRoom, type World } from '../support/world.ts';

/* Warnings before the end, and announcements: which schedules fire for a room, and what each one causes. */

const { management, services } = await startRealtimeServices();

const MINUTE = 60_000;
/** A full second: schedules fire exactly at the requested time. */
const NOW = Math.ceil(Date.now() / 1_000) * 1_000 + 1_000;
const time = (ms: number) => new Date(NOW + ms).toISOString();

const processed = async (records: readonly DynamoDBRecord[]): Promise<void> => {
  const { result } = await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context));
  expect(result.batchItemFailures).toEqual([]);
};
/** Runs `work` at the given time, and lets the functions process its changes. Returns the stream records. */
const worked = async (ms: number, work: () => Promise<unknown>): Promise<DynamoDBRecord[]> => {
  const records = await recorded(() => at(NOW + ms, work));
  await at(NOW + ms, async () => {
    await processed(records);
    if (messagesIn(records).Records.length > 0) expect((await deliver(records)).failures).toEqual([]);
  });
  return records;
};
/** Fires the pending schedule of a room. */
const fire = (room_id: string, ms: number) =>
  worked(ms, async () => {
    const schedule = services.schedules.get(`${room_id}-next`);
    if (!schedule) throw new Error('Nothing is scheduled.');
    await runEventFunction('announce', (context) => announce(JSON.parse(schedule.Target.Input), context));
  });
/** When the pending schedule of a room fires, in milliseconds after `NOW`. Undefined without a schedule. */
const scheduledAt = (room_id: string): number | undefined => {
  const at = /at\((.*)\)/.exec(services.schedules.get(`${room_id}-next`)?.ScheduleExpression ?? '')?.[1];
  return at === undefined ? undefined : Date.parse(`${at}Z`) - NOW;
};
/** Fires the schedules of a room one after the other, up to the given time. Returns when each one fired. */
async function runUntil(room_id: string, ms: number): Promise<number[]> {
  const fired: number[] = [];
  for (let next = scheduledAt(room_id); next !== undefined && next <= ms; next = scheduledAt(room_id)) {
    if (fired.length > 20) throw new Error('It never ends.');
    fired.push(next);
    await fire(room_id, next);
  }
  return fired;
}

async function room(body: object): Promise<World & { listener: Socket }> {
  let world: World | undefined;
  await worked(0, async () => {
    world = await newRoom({ body });
  });
  if (!world) throw new Error('There is no room.');
  const listener = newSocket(world.admin);
  if (!('start_time' in body)) await at(NOW, () => reply('join', listener, { room_id: world?.room_id }));
  return { ...world, listener };
}
const change = (world: World, ms: number, body: object) =>
  worked(ms, () => data('changeRoom', { as: world.admin, params: { room_id: world.room_id }, body }));
const eventsAt = ({ connection_id }: Socket, type: string) =>
  management
    .received(connection_id)
    .filter((event) => event.type === type)
    .map(({ data }) => data);
const messages = ({ room_id, admin }: World): Promise<Data<'listMessages'>> =>
  data('listMessages', { as: admin, params: { room_id }, query: { order: 'asc' } });
const announcement = (announcement_id: string, seconds: number, relative_from?: 'start' | 'end') => ({
  announcement_id,
  message: `This is ${announcement_id}.`,
  relative_time_in_seconds: seconds,
  ...(relative_from && { relative_from }),
});

describe('warnings before the end', () => {
  test('are sent and published 300 and 60 seconds before the end; then the schedule is deleted', async () => {
    const world = await room({ end_time: time(10 * MINUTE) });
    const { room_id, listener } = world;
    expect(await runUntil(room_id, 11 * MINUTE)).toEqual([5 * MINUTE, 9 * MINUTE]);
    const warnings = [300, 60].map((seconds_left) => ({ ends_at: time(10 * MINUTE), seconds_left }));
    expect(eventsAt(listener, 'room_ending')).toEqual(warnings);
    expect(
      services
        .events()
        .filter(({ type }) => type === 'room_ending')
        .map(({ data }) => data),
    ).toEqual(warnings);
    expect(scheduledAt(room_id)).toBeUndefined();
    expect(await messages(world)).toEqual([]);
  });

  test('follow the settings of the room, without those before its start', async () => {
    const { room_id, listener } = await room({ end_time: time(4 * MINUTE), end_warnings_seconds: [1, 240, 100] });
    expect(await runUntil(room_id, 5 * MINUTE)).toEqual([5_000, 140_000, 239_000]);
    expect(eventsAt(listener, 'room_ending').map(({ seconds_left }) => seconds_left)).toEqual([240, 100, 1]);
    const short = await room({ end_time: time(4 * MINUTE) });
    expect(await runUntil(short.room_id, 5 * MINUTE)).toEqual([3 * MINUTE]);
    const none = await room({ end_time: time(10 * MINUTE), end_warnings_seconds: [] });
    expect(scheduledAt(none.room_id)).toBeUndefined();
  });

  test('follow the end when it moves, and are sent once per end even if it moves 16 times', async () => {
    const world = await room({ end_time: time(10 * MINUTE) });
    const { room_id, listener } = world;
    await fire(room_id, 5 * MINUTE);
    for (let n = 0; n < 16; n++)
      await change(world, 5 * MINUTE + n * 1_000, { end_time: time((n % 2 === 0 ? 30 : 10) * MINUTE) });
    expect(scheduledAt(room_id)).toBe(9 * MINUTE);
    await runUntil(room_id, 9 * MINUTE);
    await change(world, 9.5 * MINUTE, { end_time: time(30 * MINUTE) });
    expect(await runUntil(room_id, 40 * MINUTE)).toEqual([25 * MINUTE, 29 * MINUTE]);
    expect(eventsAt(listener, 'room_ending').map(({ ends_at, seconds_left }) => [ends_at, seconds_left])).toEqual([
      [time(10 * MINUTE), 300],
      [time(10 * MINUTE), 60],
      [time(30 * MINUTE), 300],
      [time(30 * MINUTE), 60],
    ]);
  });

  test('are dropped if the end moves before the record is processed, or if they are too late', async () => {
    const world = await room({ end_time: time(10 * MINUTE) });
    const { room_id, admin, listener } = world;
    const fired = await recorded(() =>
      at(NOW + 5 * MINUTE, () =>
        runEventFunction('announce', (context) =>
          announce({ room_id, moment: 'next', time: time(5 * MINUTE) }, context),
        ),
      ),
    );
    await at(NOW + 6 * MINUTE + 1, () => processed(fired));
    expect(eventsAt(listener, 'room_ending')).toEqual([]);
    await at(NOW + 5 * MINUTE, () =>
      data('changeRoom', { as: admin, params: { room_id }, body: { end_time: time(20 * MINUTE) } }),
    );
    await at(NOW + 5 * MINUTE + 1, () => processed(fired));
    expect(eventsAt(listener, 'room_ending')).toEqual([]);
  });

  test('are sent once even if the schedule fires twice and its record is redriven', async () => {
    const world = await room({ end_time: time(10 * MINUTE) });
    const { room_id, listener } = world;
    const input = { room_id, moment: 'next', time: time(5 * MINUTE) } as const;
    const call = () => runEventFunction('announce', (context) => announce(input, context));
    const records = await worked(5 * MINUTE, () => Promise.all([call(), call(), call()]));
    await worked(5 * MINUTE + 1_000, call);
    await change(world, 5 * MINUTE + 2_000, { name: 'B' });
    await at(NOW + 20 * MINUTE, () => processed(records));
    expect(eventsAt(listener, 'room_ending')).toHaveLength(1);
  });

  test('are not sent after the room has ended', async () => {
    const world = await room({ end_time: time(10 * MINUTE) });
    const { room_id, admin, listener } = world;
    await worked(MINUTE, () => data('endRoom', { as: admin, params: { room_id } }));
    expect(scheduledAt(room_id)).toBeUndefined();
    await at(NOW + 5 * MINUTE, () =>
      runEventFunction('announce', (context) => announce({ room_id, moment: 'next', time: time(5 * MINUTE) }, context)),
    );
    expect(eventsAt(listener, 'room_ending')).toEqual([]);
  });
});

describe('announcements', () => {
  test('are stored as system messages when they are due, and delivered like all messages', async () => {
    const world = await room({
      end_time: time(10 * MINUTE),
      end_warnings_seconds: [],
      announcements: [announcement('handover', -120), announcement('hello', 30, 'start'), announcement('bye', 0)],
    });
    const { room_id, listener } = world;
    expect(await runUntil(room_id, 11 * MINUTE)).toEqual([30_000, 8 * MINUTE, 10 * MINUTE]);
    const stored = await messages(world);
    expect(stored).toMatchObject(
      ['hello', 'handover', 'bye'].map((id) => ({
        kind: 'system',
        sender_id: 'system',
        sender_name: null,
        client_message_id: id,
        text: `This is ${id}.`,
        attachments: [],
      })),
    );
    expect(stored.map(({ sent_at }) => sent_at)).toEqual([30_000, 8 * MINUTE, 10 * MINUTE].map(time));
    expect(eventsAt(listener, 'message')).toEqual(stored);
    expect(scheduledAt(room_id)).toBeUndefined();
  });

  test('move with the start and the end, and are not sent before an end is set', async () => {
    const world = await room({ announcements: [announcement('later', -60)] });
    const { room_id } = world;
    expect(scheduledAt(room_id)).toBeUndefined();
    await change(world, 0, { end_time: time(10 * MINUTE), end_warnings_seconds: [] });
    expect(scheduledAt(room_id)).toBe(9 * MINUTE);
    await change(world, 0, { end_time: time(20 * MINUTE) });
    expect(scheduledAt(room_id)).toBe(19 * MINUTE);
    await change(world, 0, { end_time: null });
    expect(scheduledAt(room_id)).toBeUndefined();
  });

  test('are sent at once if a new end moves them into the past', async () => {
    const world = await room({
      end_time: time(60 * MINUTE),
      end_warnings_seconds: [],
      announcements: [announcement('a', -600), announcement('b', -1_200), announcement('c', -30)],
    });
    await change(world, 20 * MINUTE, { end_time: time(25 * MINUTE) });
    const fired = await runUntil(world.room_id, 21 * MINUTE);
    // A schedule is created at least 5 seconds ahead.
    expect(fired).toEqual([20 * MINUTE + 5_000]);
    expect((await messages(world)).map(({ client_message_id }) => client_message_id)).toEqual(['b', 'a']);
    expect(await runUntil(world.room_id, 30 * MINUTE)).toEqual([24.5 * MINUTE]);
  });

  test('are dropped when an admin ends the room, except one at the end itself', async () => {
    const world = await room({
      end_time: time(60 * MINUTE),
      announcements: [announcement('a', -600), announcement('b', 0), announcement('c', 1_800, 'start')],
    });
    const { room_id, admin } = world;
    await worked(MINUTE, () => data('endRoom', { as: admin, params: { room_id } }));
    await runUntil(room_id, 120 * MINUTE);
    expect((await messages(world)).map(({ client_message_id }) => client_message_id)).toEqual(['b']);
    expect(scheduledAt(room_id)).toBeUndefined();
  });

  test('are sent once even if the end moves 16 times around them', async () => {
    const world = await room({
      end_time: time(60 * MINUTE),
      end_warnings_seconds: [],
      announcements: [announcement('a', -600), announcement('b', -60)],
    });
    for (let n = 0; n < 16; n++) {
      const now = 20 * MINUTE + n * 10_000;
      await change(world, now, { end_time: time((n % 2 === 0 ? 25 : 60) * MINUTE) });
      await runUntil(world.room_id, now + 6_000);
    }
    await runUntil(world.room_id, 61 * MINUTE);
    expect((await messages(world)).map(({ client_message_id }) => client_message_id)).toEqual(['a', 'b']);
  });

  test('are sent once if the function is killed after storing them; the next schedule is still created', async () => {
    const world = await room({
      end_time: time(10 * MINUTE),
      end_warnings_seconds: [],
      announcements: [announcement('a', 60, 'start'), announcement('b', 120, 'start')],
    });
    const { room_id } = world;
    const input = { room_id, moment: 'next', time: time(MINUTE) } as const;
    const killed = vi.spyOn(console, 'info').mockImplementation(() => {
      throw new Error('killed');
    });
    const records = await recorded(() =>
      at(NOW + MINUTE, async () => {
        await expect(announce(input, runningOut(60_000))).rejects.toThrow('killed');
      }),
    );
    killed.mockRestore();
    expect(await get(announcedKey(room_id, 'a'))).toBeDefined();
    // Lambda retries the invocation.
    await worked(2 * MINUTE - 30_000, () => runEventFunction('announce', (context) => announce(input, context)));
    await at(NOW + 2 * MINUTE - 20_000, () => processed(records));
    expect(await runUntil(room_id, 11 * MINUTE)).toEqual([2 * MINUTE]);
    expect((await messages(world)).map(({ client_message_id }) => client_message_id)).toEqual(['a', 'b']);
  });

  test('are sent once if three invocations run at the same time', async () => {
    const world = await room({ announcements: [announcement('a', 60, 'start'), announcement('b', 60, 'start')] });
    const input = { room_id: world.room_id, moment: 'next', time: time(MINUTE) } as const;
    await worked(MINUTE, () =>
      Promise.all([1, 2, 3].map(() => runEventFunction('announce', (context) => announce(input, context)))),
    );
    expect(await messages(world)).toHaveLength(2);
  });

  test('are retried without other work while the Scheduler fails', async () => {
    services.broken.scheduler = true;
    const world = await room({ announcements: [announcement('a', 60, 'start')] });
    services.broken.scheduler = false;
    expect(scheduledAt(world.room_id)).toBeUndefined();
    const retry = services.messages.find(({ MessageBody }) => MessageBody.includes(world.room_id));
    expect(JSON.parse(retry?.MessageBody ?? '{}')).toMatchObject({ kind: 'schedules', moments: ['next'] });
    await at(NOW, () =>
      runEventFunction('presence', (context) => presence(queueEvent(retry?.MessageBody ?? ''), context)),
    );
    expect(await runUntil(world.room_id, 2 * MINUTE)).toEqual([MINUTE]);
    expect(await messages(world)).toHaveLength(1);
  });

  test('fail if they fire more than 5 seconds early, so that Lambda retries later', async () => {
    const { room_id } = await room({ announcements: [announcement('a', 60, 'start')] });
    const early = at(NOW, () =>
      runEventFunction('announce', (context) => announce({ room_id, moment: 'next', time: time(MINUTE) }, context)),
    );
    await expect(early).rejects.toThrow(`What is due in room ${room_id}`);
  });
});

test('a schedule that fires when nothing is due is replaced by the right one', async () => {
  const world = await room({ end_time: time(10 * MINUTE) });
  const input = { room_id: world.room_id, moment: 'next', time: time(-MINUTE) } as const;
  services.schedules.clear();
  await worked(0, () => runEventFunction('announce', (context) => announce(input, context)));
  expect(scheduledAt(world.room_id)).toBe(5 * MINUTE);
  expect(eventsAt(world.listener, 'room_ending')).toEqual([]);
});

test('a fired schedule takes three requests, whatever the size of the room', async () => {
  const members = Array.from({ length: 49 }, (_, n) => `m${n}`);
  for (const of of [[], members]) {
    const announcements = [announcement('a', 0, 'start')];
    const { room_id } = await newRoom({ members: of, body: { announcements } });
    const input = { room_id, moment: 'next', time: new Date().toISOString() } as const;
    const { trace } = await runEventFunction('announce', (context) => announce(input, context));
    expect(trace.requests).toEqual(['GetItem', 'BatchGetItem', 'TransactWriteItems']);
  }
});

describe('an update', () => {
  const plan = { end_warnings_seconds: [120], announcements: [announcement('a', -60), announcement('b', 30, 'start')] };
  const stored = {
    end_warnings_seconds: [120],
    announcements: [
      { ...announcement('a', -60), relative_from: 'end' },
      { ...announcement('b', 30), relative_from: 'start' },
    ],
  };

  test('replaces warnings and announcements, sends an event, and costs one more round trip', async () => {
    const world = await room({ end_time: time(10 * MINUTE) });
    const { room_id, admin, listener } = world;
    const reply = await at(NOW, () => invoke('changeRoom', { as: admin, params: { room_id }, body: plan }));
    expect(reply).toMatchObject({ ok: true, data: stored });
    expect(reply.trace.requests).toEqual(['BatchGetItem', 'UpdateItem']);
    await change(world, 1_000, { announcements: [] });
    expect(await data('getRoom', { as: admin, params: { room_id } })).toMatchObject({
      end_warnings_seconds: [120],
      announcements: [],
    });
    expect(eventsAt(listener, 'room_updated')).toHaveLength(1);
  });

  test('accepts past announcements if the room already has them, or has sent them', async () => {
    const world = await room({ end_time: time(10 * MINUTE), ...plan });
    const { room_id, admin } = world;
    const update = (body: object) =>
      at(NOW + 2 * MINUTE, () => invoke('changeRoom', { as: admin, params: { room_id }, body }));
    // The announcements have not been sent yet, but they are unchanged.
    expect(await update({ announcements: stored.announcements })).toMatchObject({ ok: true });
    await runUntil(room_id, MINUTE);
    expect(await messages(world)).toHaveLength(1);
    const [a, b] = stored.announcements;
    expect(await update({ announcements: [a, { ...b, message: 'Sent already.' }] })).toMatchObject({ ok: true });
    expect(await update({ announcements: [a, { ...b, announcement_id: 'new' }] })).toMatchObject({ ok: false });
    await runUntil(room_id, 11 * MINUTE);
    expect((await messages(world)).map(({ text }) => text)).toEqual(['This is b.', 'This is a.']);
  });

  test.each<[string, object, string]>([
    [
      'due in the past',
      { announcements: [announcement('x', 30, 'start')] },
      'announcements.0.relative_time_in_seconds',
    ],
    ['before the start', { announcements: [announcement('x', -3_601)] }, 'announcements.0.relative_time_in_seconds'],
    [
      'after the end',
      { announcements: [announcement('y', -1), announcement('x', 3_601, 'start')] },
      'announcements.1.relative_time_in_seconds',
    ],
    ['a warning longer than the room', { end_warnings_seconds: [60, 3_601] }, 'end_warnings_seconds.1'],
    [
      'a warning longer than the room with its new end',
      { end_time: time(30 * MINUTE), end_warnings_seconds: [1_801] },
      'end_warnings_seconds.0',
    ],
  ])('with a time that is %s is rejected with its path', async (_, body, path) => {
    const world = await room({ end_time: time(60 * MINUTE) });
    const { room_id, admin, member } = world;
    const request = { params: { room_id }, body };
    const reply = await at(NOW + MINUTE, () => refused('changeRoom', { ...request, as: admin }));
    expect(reply).toMatchObject({ status: 400, errors: [{ code: 'invalid_request', path }] });
    // The errors for a caller without the admin right do not mention the times.
    expect(await at(NOW + MINUTE, () => refused('changeRoom', { ...request, as: member }))).toMatchObject({
      code: 'not_an_admin',
    });
  });
});

describe('a new room', () => {
  const body = (extra: object) => ({ name: 'x', end_time: time(60 * MINUTE), ...extra });
  test.each<[string, object, RegExp]>([
    [
      '21 announcements',
      { announcements: Array.from({ length: 21 }, (_, n) => announcement(`a${n}`, -n)) },
      /^announcements$/,
    ],
    [
      'two announcements with one ID',
      { announcements: [announcement('a', -1), announcement('a', -2)] },
      /^announcements\.1/,
    ],
    ['an announcement after the start of the end', { announcements: [announcement('a', 1)] }, /^announcements\.0\.rel/],
    ['an announcement before the start', { announcements: [announcement('a', -1, 'start')] }, /^announcements\.0\.rel/],
    ['an announcement after the end', { announcements: [announcement('a', 3_601, 'start')] }, /^announcements\.0\.rel/],
    ['an announcement long before the end', { announcements: [announcement('a', -3_700)] }, /^announcements\.0\.rel/],
    [
      'announcements of more than 16 KB',
      { announcements: [1, 2, 3].map((n) => ({ ...announcement(`a${n}`, -1), message: 'x'.repeat(6_000) })) },
      /^announcements$/,
    ],
    ['a warning of 0 seconds', { end_warnings_seconds: [0] }, /^end_warnings_seconds\.0/],
    ['a warning of more than a day', { end_warnings_seconds: [86_401] }, /^end_warnings_seconds\.0/],
    ['a warning longer than the room', { end_warnings_seconds: [60, 3_601] }, /^end_warnings_seconds\.1/],
    ['six warnings', { end_warnings_seconds: [1, 2, 3, 4, 5, 6] }, /^end_warnings_seconds$/],
    ['the same warning twice', { end_warnings_seconds: [60, 60] }, /^end_warnings_seconds\.1/],
  ])('with %s is rejected with its path', async (_, extra, path) => {
    const reply = await at(NOW, () => refused('createRoom', { as: 'alice', body: body(extra) }));
    expect(reply).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(reply.errors.map((error) => error.path ?? '')).toContainEqual(expect.stringMatching(path));
  });

  test('can have 20 announcements, at its start and end, and warnings as long as itself', async () => {
    const announcements = Array.from({ length: 20 }, (_, n) => announcement(`a${n}`, -n * 10));
    const extra = { announcements, end_warnings_seconds: [3_600, 1], start_time: time(0) };
    const created = await at(NOW, () => data('createRoom', { as: 'alice', body: body(extra) }));
    expect(created.announcements).toHaveLength(20);
    expect(created.end_warnings_seconds).toEqual([3_600, 1]);
  });
});
