import type { DynamoDBRecord } from 'aws-lambda';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type EventName, events } from '../../core/contract/realtime.ts';
import { tableName } from '../../core/store/client.ts';
import type { ConnectionItem, ParticipantItem } from '../../core/store/items.ts';
import { connectionKey, participantKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { remove } from '../../core/store/write.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { type Data, data } from '../support/invoke.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { type Management, startManagement } from '../support/management.ts';
import { queueEvent } from '../support/queue-event.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { type Services, startServices } from '../support/services.ts';
import { disconnect, invokeAction, joined, newSocket, reply, type Socket } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { joinedV2 } from '../support/v2-client.ts';
import { at, newRoom, newUser, type World } from '../support/world.ts';

const HOUR = 3_600_000;
const inFuture = (ms: number) => new Date(Date.now() + ms).toISOString();

let management: Management;
let services: Services;
beforeAll(async () => {
  [management, services] = await Promise.all([startManagement(), startServices()]);
  process.env.CALLBACK_URL = management.url;
});
const known = watchSockets(() => management);
afterEach(() => known.check());
beforeEach(() => {
  management.reset();
  services.reset();
});
afterAll(() => Promise.all([management.close(), services.close()]));

/** Invokes the function with stream records. Returns the sequence numbers of the records that failed. */
async function handle(records: readonly DynamoDBRecord[]): Promise<string[]> {
  const { result } = await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context));
  return result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
}
/** Runs `work`, and invokes the function with the records of all its changes. */
async function worked(work: () => Promise<unknown>): Promise<void> {
  const records = await recorded(work);
  expect(changesIn(records).Records.length).toBeGreaterThan(0);
  expect(await handle(records)).toEqual([]);
}

/** Invokes the presence function with a message of its queue. Returns the number of failures. */
const retry = async (body: string): Promise<number> => {
  const { result } = await runEventFunction('presence', (context) => presence(queueEvent(body), context));
  return result.batchItemFailures.length;
};

/** The events that a connection received, each checked against the contract. */
const eventsAt = ({ connection_id }: Socket) =>
  management.received(connection_id).map(({ type, room_id, data, sent_at, ...more }) => {
    expect([more, new Date(sent_at).toISOString()]).toEqual([{}, sent_at]);
    expect(v.parse(events[type as EventName].data, data)).toEqual(data);
    return { type, room_id, data };
  });
/** The events that were published to the bus, each checked against the contract. */
const busEvents = () =>
  services.events().map(({ type, room_id, data, sent_at, ...more }) => {
    expect([more, new Date(sent_at).toISOString()]).toEqual([{}, sent_at]);
    expect(v.parse(events[type as EventName].data, data)).toEqual(data);
    return { type, room_id, data };
  });
const isJoined = async (room_id: string, { connection_id }: Socket) =>
  (await get(connectionKey(room_id, connection_id))) !== undefined;

/** A room whose admin has joined it. */
async function listening(options?: Parameters<typeof newRoom>[0]): Promise<World & { listener: Socket }> {
  const world = await newRoom(options);
  return { ...world, listener: await joined(world.room_id, world.admin) };
}
const asAdmin = ({ room_id, admin }: World, body?: object) => ({ as: admin, params: { room_id }, body });

describe('the creation of a room', () => {
  test('is published with all participants, 10 events per call; no socket is open yet', async () => {
    const ids = Array.from({ length: 24 }, (_, n) => newUser(`p${n}`));
    const admin = newUser('admin');
    let room: Data<'createRoom'> | undefined;
    await worked(async () => {
      room = await data('createRoom', { as: admin, body: { name: 'R', participant_ids: ids } });
    });
    const published = busEvents();
    expect(published.filter(({ type }) => type === 'room_created')).toEqual([
      { type: 'room_created', room_id: room?.room_id, data: room },
    ]);
    const added = published.filter(({ type }) => type === 'participant_added');
    expect(added.map(({ data }) => (data as { participant_id: string }).participant_id).sort()).toEqual(
      [admin, ...ids].sort(),
    );
    expect(published).toHaveLength(26);
    expect(services.puts.map((entries) => entries.length)).toEqual([10, 10, 6]);
    for (const entry of services.puts.flat())
      expect(entry).toMatchObject({ EventBusName: 'rooms-test', Source: 'rooms' });
    expect(management.attempts).toEqual([]);
    expect(services.schedulerCalls).toEqual([]);
  });

  test('for later creates a schedule for the start and the end, which fires on time, not before', async () => {
    const start_time = new Date(Math.floor((Date.now() + HOUR) / 1_000) * 1_000 + 1).toISOString();
    const end_time = new Date(Date.parse(start_time) + HOUR - 1).toISOString();
    let world: World | undefined;
    await worked(async () => {
      world = await newRoom({ body: { start_time, end_time } });
    });
    const room_id = world?.room_id ?? '';
    expect([...services.schedules.keys()].sort()).toEqual([`${room_id}-end`, `${room_id}-next`, `${room_id}-start`]);
    const start = services.schedules.get(`${room_id}-start`);
    expect(start).toMatchObject({
      GroupName: 'rooms-test',
      // Scheduler fires on full seconds, so the start is rounded up to the next second.
      ScheduleExpression: `at(${new Date(Date.parse(start_time) + 999).toISOString().slice(0, 19)})`,
      Target: {
        Arn: process.env.ANNOUNCE_FUNCTION_ARN,
        RoleArn: process.env.SCHEDULE_ROLE_ARN,
        RetryPolicy: { MaximumRetryAttempts: 5, MaximumEventAgeInSeconds: 3_600 },
      },
    });
    expect(JSON.parse(start?.Target.Input ?? '')).toEqual({ room_id, moment: 'start', time: start_time });
    const end = services.schedules.get(`${room_id}-end`);
    expect(end?.ScheduleExpression).toBe(`at(${end_time.slice(0, 19)})`);
    expect(JSON.parse(end?.Target.Input ?? '')).toEqual({ room_id, moment: 'end', time: end_time });
  });

  test('for the next moment creates a schedule a little later, so that it does not fire too late', async () => {
    const now = Math.floor(Date.now() / 1_000) * 1_000 + 200;
    const later = (ms: number) => new Date(now + ms).toISOString();
    await at(now, async () => {
      await worked(() => newRoom({ body: { start_time: later(1), end_time: later(4_800) } }));
      await worked(() => newRoom({ body: { start_time: later(5_000), end_time: later(60_000) } }));
    });
    const made = [...services.schedules.values()].map(({ ScheduleExpression, Target }) => {
      const { time } = JSON.parse(Target.Input);
      return [Date.parse(time) - now, ScheduleExpression];
    });
    const expression = (ms: number) => `at(${later(ms).slice(0, 19)})`;
    expect(made.sort()).toEqual(
      [
        [1, expression(6_000)],
        [4_800, expression(6_000)],
        [5_000, expression(6_000)],
        [60_000, expression(60_800)],
      ].sort(),
    );
  });
});

describe('participants', () => {
  test('that are added are announced to all connections, and published', async () => {
    const world = await listening();
    const { room_id, listener } = world;
    const [carol, dave] = [newUser('carol'), newUser('dave')];
    await worked(() => data('addParticipants', asAdmin(world, { participant_ids: [carol, dave] })));
    const expected = [carol, dave].map((participant_id) => ({
      type: 'participant_added',
      room_id,
      data: { participant_id, username: null, archive_room: false, role: 'member' },
    }));
    expect(eventsAt(listener)).toEqual(expect.arrayContaining(expected));
    expect(eventsAt(listener)).toHaveLength(2);
    expect(busEvents()).toEqual(eventsAt(listener));
  });

  test('that are added again are not announced', async () => {
    const world = await newRoom();
    const records = await recorded(() => data('addParticipants', asAdmin(world, { participant_ids: [world.member] })));
    expect(await handle(records)).toEqual([]);
    expect(services.puts).toEqual([]);
  });

  test('that are removed are announced; the removed receive only that, and their connections in this room are closed', async () => {
    const world = await listening();
    const { room_id, member, listener } = world;
    const [tab, other] = [await joined(room_id, member), await joined(room_id, member)];
    const elsewhere = await newRoom({ members: [member] });
    const untouched = await joined(elsewhere.room_id, member);
    await worked(() => data('removeParticipants', asAdmin(world, { participant_ids: [member] })));
    const expected = [
      { type: 'peer_left', room_id, data: { participant_id: member, username: null } },
      { type: 'participant_removed', room_id, data: { participant_id: member, reason: 'removed' } },
    ];
    expect(eventsAt(listener)).toEqual(expected);
    for (const socket of [tab, other]) expect(eventsAt(socket)).toEqual(expected.slice(1));
    expect(management.closed.sort()).toEqual([tab.connection_id, other.connection_id].sort());
    expect([await isJoined(room_id, tab), await isJoined(room_id, other)]).toEqual([false, false]);
    expect([await isJoined(room_id, listener), await isJoined(elsewhere.room_id, untouched)]).toEqual([true, true]);
    // Presence events are not published to the bus.
    expect(busEvents()).toEqual(expected.slice(1));
    // The queue repeats the disconnect after 5 seconds, for connections that are still open then.
    expect(services.messages.map(({ MessageBody }) => JSON.parse(MessageBody))).toEqual([
      { kind: 'disconnect', room_id },
    ]);
  });

  test('that are removed are sent nothing after the response, before the stream is read', async () => {
    const world = await listening();
    const { room_id, member, listener } = world;
    const tabs = [await joined(room_id, member), await joined(room_id, member)];
    const change = await recorded(() => data('changeRoom', asAdmin(world, { name: 'B' })));
    const removal = await recorded(() => data('removeParticipants', asAdmin(world, { participant_ids: [member] })));
    // The stream reader is late: it processes a change from before the removal only now.
    expect(await handle(change)).toEqual([]);
    expect(eventsAt(listener).map(({ type }) => type)).toEqual(['room_updated']);
    for (const tab of tabs) expect(eventsAt(tab)).toEqual([]);
    // The sockets of the removed user are closed.
    expect(await handle(removal)).toEqual([]);
    expect(new Set(management.closed)).toEqual(new Set(tabs.map(({ connection_id }) => connection_id)));
    for (const tab of tabs) expect(await isJoined(room_id, tab)).toBe(false);
  });

  test('that are removed and added again receive events on connections that join afterwards', async () => {
    const world = await listening();
    const { room_id, member } = world;
    const before = await joined(room_id, member);
    await data('removeParticipants', asAdmin(world, { participant_ids: [member] }));
    await data('addParticipants', asAdmin(world, { participant_ids: [member] }));
    const again = await joined(room_id, member);
    const change = await recorded(() => data('changeRoom', asAdmin(world, { name: 'B' })));
    expect(await handle(change)).toEqual([]);
    expect(eventsAt(again).map(({ type }) => type)).toEqual(['room_updated']);
    expect(eventsAt(before)).toEqual([]);
    expect(management.closed).toEqual([before.connection_id]);
  });

  test('that are removed while they join end up outside the room, and receive nothing', async () => {
    for (let n = 0; n < 12; n++) {
      management.reset();
      const world = await listening();
      const { room_id, member } = world;
      const socket = newSocket(member);
      await worked(() =>
        Promise.all([
          data('removeParticipants', asAdmin(world, { participant_ids: [member] })),
          invokeAction('join', socket, { room_id }),
        ]),
      );
      expect(await isJoined(room_id, socket)).toBe(false);
      expect(await get(participantKey(room_id, member))).toBeUndefined();
    }
  });

  test('that gain or lose the admin right are announced to all', async () => {
    const world = await listening();
    const { room_id, admin, member, listener } = world;
    const params = { room_id, participant_id: member };
    await worked(() => data('grantAdmin', { as: admin, params }));
    await worked(() => data('revokeAdmin', { as: admin, params }));
    const expected = [true, false].map((is_admin) => ({
      type: 'participant_updated',
      room_id,
      data: { participant_id: member, is_admin },
    }));
    expect(eventsAt(listener)).toEqual(expected);
    expect(busEvents()).toEqual(expected);
  });

  test('that change their profile are announced with the changes', async () => {
    const { room_id, member, listener } = await listening();
    const request = { as: member, params: { room_id } };
    await worked(() => data('updateProfile', { ...request, body: { username: 'Bob' } }));
    await worked(() => data('updateProfile', { ...request, body: { archive_room: true } }));
    await worked(() => data('updateProfile', { ...request, body: { username: null, archive_room: false } }));
    const expected = [{ username: 'Bob' }, { archive_room: true }, { username: null, archive_room: false }].map(
      (changed) => ({ type: 'participant_updated', room_id, data: { participant_id: member, ...changed } }),
    );
    expect(eventsAt(listener)).toEqual(expected);
    expect(busEvents()).toEqual(expected);
  });
});

describe('a change of a room', () => {
  test('is announced and published; if the times stay, no schedule changes', async () => {
    const world = await listening();
    let room: object = {};
    await worked(async () => {
      room = await data('changeRoom', asAdmin(world, { name: 'B', description: 'x' }));
    });
    const expected = [{ type: 'room_updated', room_id: world.room_id, data: room }];
    expect(eventsAt(world.listener)).toEqual(expected);
    expect(busEvents()).toEqual(expected);
    expect(services.schedulerCalls).toEqual([]);
  });

  test('of its times replaces its schedules, one each', async () => {
    const [a, b, c] = [inFuture(HOUR), inFuture(2 * HOUR), inFuture(3 * HOUR)];
    const inputs = () =>
      Object.fromEntries(
        [...services.schedules]
          .map(([name, { Target }]) => [name.slice(37), JSON.parse(Target.Input).time])
          .filter(([moment]) => moment !== 'next'),
      );
    let world: World | undefined;
    await worked(async () => {
      world = await newRoom({ body: { start_time: a } });
    });
    if (!world) throw new Error('no room');
    const change = (body: object) => worked(() => data('changeRoom', asAdmin(world as World, body)));
    expect(inputs()).toEqual({ start: a });
    await change({ end_time: c });
    expect(inputs()).toEqual({ start: a, end: c });
    await change({ start_time: b });
    expect(inputs()).toEqual({ start: b, end: c });
    await change({ end_time: null });
    expect(inputs()).toEqual({ start: b });
    await change({ start_time: inFuture(0) });
    expect(inputs()).toEqual({});
    expect(busEvents().map(({ type }) => type)).toContain('room_started');
  });

  test('of its times before an earlier change was processed: only the last change applies', async () => {
    const world = await newRoom();
    const times = Array.from({ length: 6 }, (_, n) => inFuture(HOUR + n * 60_000));
    await worked(async () => {
      for (const end_time of times) await data('changeRoom', asAdmin(world, { end_time }));
    });
    const end = services.schedules.get(`${world.room_id}-end`);
    expect(JSON.parse(end?.Target.Input ?? '{}').time).toBe(times.at(-1));
    // The schedule of the start did not change. It is not written again, because it may be about to fire.
    expect(services.schedulerCalls.toSorted()).toEqual([`CREATE ${world.room_id}-end`, `CREATE ${world.room_id}-next`]);
  });

  test('without an effect is not announced', async () => {
    const world = await listening();
    const { name } = await data('getRoom', { as: world.admin, params: { room_id: world.room_id } });
    await worked(() => data('changeRoom', asAdmin(world, { name })));
    expect([management.attempts, services.puts, services.schedulerCalls]).toEqual([[], [], []]);
  });
});

describe('the end of a room', () => {
  test('now: all receive the reason, then all are closed', async () => {
    const world = await listening({ body: { end_time: inFuture(HOUR) } });
    const { room_id, member, listener } = world;
    services.schedules.set(`${room_id}-end`, {} as never);
    const other = await joined(room_id, member);
    const order: string[] = [];
    let room: object = {};
    const records = await recorded(async () => {
      room = await data('endRoom', asAdmin(world, { reason: 'We are done.' }));
    });
    management.onRequest = () => order.push(management.closed.length === 0 ? 'announced' : 'closed');
    expect(await handle(records)).toEqual([]);
    const expected = [{ type: 'room_ended', room_id, data: room }];
    expect(room).toMatchObject({ status: 'ended', end_reason: 'We are done.' });
    for (const socket of [listener, other]) expect(eventsAt(socket)).toEqual(expected);
    expect(busEvents()).toEqual(expected);
    expect(management.closed.sort()).toEqual([listener.connection_id, other.connection_id].sort());
    expect(order.slice(0, 2)).toEqual(['announced', 'announced']);
    expect([...services.schedules.keys()]).toEqual([]);
  });

  test('later: all are informed, and no connection is closed', async () => {
    const world = await listening();
    let room: Data<'endRoom'> | undefined;
    await worked(async () => {
      room = await data('endRoom', asAdmin(world, { time_left_in_seconds: 600, reason: 'Lunch' }));
    });
    expect(eventsAt(world.listener)).toEqual([{ type: 'room_updated', room_id: world.room_id, data: room }]);
    expect(room?.status).toBe('started');
    expect(management.closed).toEqual([]);
    const end = services.schedules.get(`${world.room_id}-end`);
    expect(JSON.parse(end?.Target.Input ?? '{}').time).toBe(room?.end_time);
  });

  test('at a time that has passed when its record is read: all are informed and closed, as by a schedule', async () => {
    const world = await listening();
    const records = await recorded(() => data('endRoom', asAdmin(world, { time_left_in_seconds: 1 })));
    const end_time = (await data('getRoom', { as: world.admin, params: { room_id: world.room_id } })).end_time ?? '';
    while (new Date().toISOString() < end_time) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await handle(records)).toEqual([]);
    expect(eventsAt(world.listener).map(({ type }) => type)).toEqual(['room_ended']);
    expect(management.closed).toEqual([world.listener.connection_id]);
    expect([...services.schedules.keys()]).toEqual([]);
  });
});

describe('presence', () => {
  const peer = (type: string, { room_id, member }: World) => ({
    type,
    room_id,
    data: { participant_id: member, username: null },
  });

  test('announces the first connection of a participant, also to the participant; not further ones', async () => {
    const world = await listening();
    let tab = newSocket(world.member);
    await worked(async () => {
      tab = await joined(world.room_id, world.member);
    });
    await worked(() => joined(world.room_id, world.member));
    expect(eventsAt(world.listener)).toEqual([peer('peer_joined', world)]);
    expect(eventsAt(tab)).toEqual([peer('peer_joined', world)]);
    // Presence events go only to connections in the room, and are not published to the bus.
    expect(services.puts).toEqual([]);
  });

  test('announces at once that a participant left with the last connection', async () => {
    const world = await listening();
    const [tab, other] = [await joined(world.room_id, world.member), await joined(world.room_id, world.member)];
    await worked(() => reply('leave', tab, { room_id: world.room_id }));
    expect(eventsAt(world.listener)).toEqual([]);
    await worked(() => reply('leave', other, { room_id: world.room_id }));
    expect(eventsAt(world.listener)).toEqual([peer('peer_left', world)]);
    expect(services.messages).toEqual([]);
  });

  /** Delivers all queued messages to the presence function. */
  const graceIsOver = async () => {
    const bodies = services.messages.splice(0).map(({ MessageBody }) => MessageBody);
    const event = { Records: bodies.map((body, n) => ({ messageId: `m${n}`, body })) };
    const { result } = await runEventFunction('presence', (context) => presence(event as never, context));
    expect(result.batchItemFailures).toEqual([]);
  };

  test('announces 10 seconds later that the last connection was lost, unless the participant has returned', async () => {
    const world = await listening();
    const [tab, other] = [await joined(world.room_id, world.member), await joined(world.room_id, world.member)];
    await worked(() => disconnect(tab));
    expect(services.messages).toEqual([]);
    await worked(() => disconnect(other));
    expect(services.messages).toEqual([
      { QueueUrl: process.env.PRESENCE_QUEUE_URL, MessageBody: expect.any(String), DelaySeconds: 10 },
    ]);
    expect(eventsAt(world.listener)).toEqual([]);
    await worked(graceIsOver);
    expect(eventsAt(world.listener)).toEqual([peer('peer_left', world)]);
  });

  test('announces nothing if the participant reconnects within the grace period', async () => {
    const world = await listening();
    const tab = await joined(world.room_id, world.member);
    await worked(() => disconnect(tab));
    await worked(() => joined(world.room_id, world.member));
    await graceIsOver();
    const item = await get<ParticipantItem>(participantKey(world.room_id, world.member));
    expect(item?.present).toBe(true);
    expect(eventsAt(world.listener)).toEqual([]);
  });

  test("ends when a connection's item expires without a disconnect from API Gateway", async () => {
    const world = await listening();
    const { room_id, member } = world;
    const tab = await joined(room_id, member);
    const item = await get<ConnectionItem>(connectionKey(room_id, tab.connection_id));
    known.left(tab.connection_id);
    const deletion = await recorded(() => remove(connectionKey(room_id, tab.connection_id)));
    const [record] = deletion;
    expect(record?.dynamodb?.OldImage).toMatchObject({ connection_id: { S: item?.connection_id } });
    const expired = deletion.map((each) => ({
      ...each,
      userIdentity: { type: 'Service', principalId: 'dynamodb.amazonaws.com' },
    }));
    const run = (Records: DynamoDBRecord[]) =>
      runEventFunction('room-changes', (context) => roomChanges({ Records }, context));
    // When our own code deletes the item, that code also updates the participant, so the record has no effect.
    await run(deletion);
    expect((await get<ParticipantItem>(participantKey(room_id, member)))?.connections?.size).toBe(1);
    await worked(() => run(expired));
    expect((await get<ParticipantItem>(participantKey(room_id, member)))?.connections).toBeUndefined();
    await worked(graceIsOver);
    expect(eventsAt(world.listener)).toEqual([peer('peer_left', world)]);
  });
});

describe('if something fails,', () => {
  test.each<[string, keyof Services['broken'], true | 'entry']>([
    ['the bus', 'events', true],
    ['the bus for one event', 'events', 'entry'],
    ['the scheduler', 'scheduler', true],
  ])(
    '%s: connections still get the event and are closed, and only the failed part is retried',
    async (_, service, how) => {
      const world = await listening();
      const records = await recorded(() => data('endRoom', asAdmin(world)));
      Object.assign(services.broken, { [service]: how });
      expect(await handle(records)).toEqual([]);
      expect(eventsAt(world.listener).map(({ type }) => type)).toEqual(['room_ended']);
      expect(management.closed).toEqual([world.listener.connection_id]);

      const [deferred = '', ...more] = services.messages.map(({ MessageBody }) => MessageBody);
      expect(more).toEqual([]);
      expect(await retry(deferred)).toBe(1);
      Object.assign(services.broken, { [service]: false });
      services.puts.length = 0;
      services.schedulerCalls.length = 0;
      expect(await retry(deferred)).toBe(0);
      if (service === 'scheduler') expect(services.schedulerCalls).toEqual([`DELETE ${world.room_id}-end`]);
      else expect(busEvents().map(({ type }) => type)).toEqual(['room_ended']);
      expect(eventsAt(world.listener)).toHaveLength(1);
    },
  );

  test('bus and scheduler: both failures are logged, and each is retried', async () => {
    const world = await listening();
    const end_time = inFuture(HOUR);
    const records = await recorded(() => data('changeRoom', asAdmin(world, { end_time })));
    Object.assign(services.broken, { events: true, scheduler: true });
    const { result, lines } = await runEventFunction('room-changes', (context) =>
      roomChanges(changesIn(records), context),
    );
    expect(result.batchItemFailures).toEqual([]);
    const errors = lines.filter(({ level }) => level === 'error').map(({ entry }) => entry);
    expect(errors).toHaveLength(2);
    expect(errors).toContainEqual({
      action: 'further_failure',
      room_id: world.room_id,
      error: expect.objectContaining({ message: expect.any(String) }),
    });
    expect(errors).toContainEqual({
      action: 'publish',
      room_id: world.room_id,
      error: expect.objectContaining({ message: expect.any(String) }),
    });
    Object.assign(services.broken, { events: false, scheduler: false });
    services.puts.length = 0;
    for (const { MessageBody } of services.messages) expect(await retry(MessageBody)).toBe(0);
    expect(services.schedules.has(`${world.room_id}-end`)).toBe(true);
    expect(busEvents().map(({ type }) => type)).toEqual(['room_updated']);
  });

  test('a schedule that is retried later follows the current times of the room', async () => {
    const world = await listening();
    const [first, later] = [inFuture(HOUR), inFuture(2 * HOUR)];
    const records = await recorded(() => data('changeRoom', asAdmin(world, { end_time: first })));
    services.broken.scheduler = true;
    expect(await handle(records)).toEqual([]);
    services.broken.scheduler = false;
    await data('changeRoom', asAdmin(world, { end_time: later }));
    expect(await retry(services.messages[0]?.MessageBody ?? '')).toBe(0);
    expect(JSON.parse(services.schedules.get(`${world.room_id}-end`)?.Target.Input ?? '')).toMatchObject({
      time: later,
    });
  });

  test('bus, scheduler and queue: the batch is retried, and no connection is sent anything twice', async () => {
    const world = await listening();
    const { socket } = await joinedV2(world.room_id, world.member);
    const records = await recorded(() => data('changeRoom', asAdmin(world, { name: 'B' })));
    Object.assign(services.broken, { events: true, sqs: true });
    for (let attempt = 0; attempt < 3; attempt++) expect(await handle(records)).toHaveLength(1);
    Object.assign(services.broken, { events: false, sqs: false });
    services.puts.length = 0;
    expect(await handle(records)).toEqual([]);
    expect(busEvents().map(({ type }) => type)).toEqual(['room_updated']);
    for (const { connection_id } of [world.listener, socket])
      expect(management.received(connection_id)).toHaveLength(1);
    // The next batch gets the next number.
    await worked(() => data('changeRoom', asAdmin(world, { name: 'C' })));
    expect(management.received(socket.connection_id)).toMatchObject([{ seq: 1 }, { seq: 2 }]);
  });

  test('the presence queue: the batch is retried', async () => {
    const world = await listening();
    const tab = await joined(world.room_id, world.member);
    const records = await recorded(() => disconnect(tab));
    services.broken.sqs = true;
    expect(await handle(records)).toHaveLength(1);
    services.broken.sqs = false;
    expect(await handle(records)).toEqual([]);
    expect(services.messages).toHaveLength(1);
  });

  test('a dead connection: all others are informed', async () => {
    const world = await listening();
    const dead = await joined(world.room_id, world.member);
    management.respondWith(dead.connection_id, 410);
    await worked(() => data('changeRoom', asAdmin(world, { name: 'B' })));
    expect(eventsAt(world.listener)).toHaveLength(1);
    expect(await isJoined(world.room_id, dead)).toBe(false);
  });

  test('one record: it is reported, and other rooms are processed once', async () => {
    const [failing, working] = [await listening(), await listening()];
    const rename = (world: World, name: string) => () => data('changeRoom', asAdmin(world, { name }));
    const [bad] = changesIn(await recorded(rename(failing, 'bad'))).Records;
    const good = changesIn(await recorded(rename(working, 'good'))).Records;
    if (!bad) throw new Error('there is one');
    const poisoned = {
      ...bad,
      dynamodb: { ...bad.dynamodb, NewImage: { ...bad.dynamodb?.NewImage, name: { X: 'poison' } as never } },
    };
    for (let retry = 0; retry < 3; retry++)
      expect(await handle([poisoned, ...good])).toEqual([bad.dynamodb?.SequenceNumber]);
    expect(eventsAt(working.listener)).toHaveLength(1);
    expect(eventsAt(failing.listener)).toEqual([]);
  });
});

describe('records that are redriven or late,', () => {
  const end = (room_id: string): string | undefined => {
    const schedule = services.schedules.get(`${room_id}-end`);
    return schedule && JSON.parse(schedule.Target.Input).time;
  };

  test('of an end that was moved keep the schedule at the later end', async () => {
    const world = await listening();
    const { room_id } = world;
    // Test tokens are valid for one hour.
    const [E1, E2] = [inFuture(HOUR / 4), inFuture(HOUR / 2)];
    const first = await recorded(() => data('changeRoom', asAdmin(world, { end_time: E1 })));
    expect(await handle(first)).toEqual([]);
    expect(end(room_id)).toBe(E1);
    await worked(() => data('changeRoom', asAdmin(world, { end_time: E2 })));
    expect(end(room_id)).toBe(E2);

    // A new function instance does not know what was processed before.
    const redriven = first.map((record) => ({ ...record, eventID: `redriven-${record.eventID}` }));
    expect(await handle(redriven)).toEqual([]);
    expect(end(room_id)).toBe(E2);
    expect(eventsAt(world.listener).at(-1)).toMatchObject({ type: 'room_updated', data: { end_time: E2 } });

    // At E1, the room stays open. At E2, the end is announced and the sockets are closed.
    const fire = (time: string) =>
      at(time, () => runEventFunction('announce', (context) => announce({ room_id, moment: 'end', time }, context)));
    await at(E1, () => handle(redriven));
    expect(management.closed).toEqual([]);
    await fire(E1);
    expect(management.closed).toEqual([]);
    const later = await at(E1, () => joined(room_id, world.member));
    await fire(E2);
    expect(eventsAt(later)).toMatchObject([{ type: 'room_ended', data: { end_time: E2, status: 'ended' } }]);
    expect(management.closed.sort()).toEqual([world.listener.connection_id, later.connection_id].sort());
  });

  test('of an end that has passed announce it: the room is closed without a schedule', async () => {
    const world = await listening();
    const E1 = inFuture(HOUR / 2);
    const late = await recorded(() => data('changeRoom', asAdmin(world, { end_time: E1 })));
    expect(await at(Date.parse(E1) + 1_000, () => handle(late))).toEqual([]);
    expect(eventsAt(world.listener)).toMatchObject([{ type: 'room_ended', data: { end_time: E1 } }]);
    expect(management.closed).toEqual([world.listener.connection_id]);
  });

  test('of a removal send and close nothing if the user has been added again', async () => {
    const world = await listening();
    const { room_id, member, listener } = world;
    const before = await joined(room_id, member);
    const removal = await recorded(() => data('removeParticipants', asAdmin(world, { participant_ids: [member] })));
    expect(await handle(removal)).toEqual([]);
    await worked(() => data('addParticipants', asAdmin(world, { participant_ids: [member] })));
    let again = newSocket(member);
    await worked(async () => {
      again = await joined(room_id, member);
    });
    management.reset();
    services.reset();
    expect(await handle(removal.map((record) => ({ ...record, eventID: `redriven-${record.eventID}` })))).toEqual([]);
    expect([eventsAt(listener), eventsAt(again), eventsAt(before), busEvents()]).toEqual([[], [], [], []]);
    expect(management.closed).not.toContain(again.connection_id);
    expect([await isJoined(room_id, before), await isJoined(room_id, again)]).toEqual([false, true]);
  });

  test('of a removal close connections from before it if the user has been added again', async () => {
    const world = await listening();
    const { room_id, member, listener } = world;
    const before = await joined(room_id, member);
    await worked(async () => {
      await data('removeParticipants', asAdmin(world, { participant_ids: [member] }));
      await data('addParticipants', asAdmin(world, { participant_ids: [member] }));
    });
    expect(eventsAt(listener).map(({ type }) => type)).toEqual(['peer_left', 'participant_added']);
    expect(eventsAt(before)).toEqual([]);
    expect(management.closed).toEqual([before.connection_id]);
    expect(await isJoined(room_id, before)).toBe(false);
  });

  test('of presence announce nothing that is no longer true', async () => {
    const world = await listening();
    const { room_id, member, listener } = world;
    const tab = newSocket(member);
    const join = await recorded(() => reply('join', tab, { room_id }));
    const leave = await recorded(() => reply('leave', tab, { room_id }));
    expect(await handle(join)).toEqual([]);
    expect(eventsAt(listener)).toEqual([]);
    expect(await handle(leave)).toEqual([]);
    expect(eventsAt(listener).map(({ type }) => type)).toEqual(['peer_left']);
    await worked(() => reply('join', tab, { room_id }));
    expect(await handle(leave.map((record) => ({ ...record, eventID: `redriven-${record.eventID}` })))).toEqual([]);
    expect(eventsAt(listener).map(({ type }) => type)).toEqual(['peer_left', 'peer_joined']);
  });

  test('of times that change while their schedules are written leave the schedules at the last times', async () => {
    const world = await newRoom();
    const [E1, E2] = [inFuture(HOUR), inFuture(2 * HOUR)];
    const first = await recorded(() => data('changeRoom', asAdmin(world, { end_time: E1 })));
    // While this invocation writes the first schedule, the room changes, and another invocation processes that record.
    services.onRequest = async (service) => {
      if (service !== 'scheduler') return;
      services.onRequest = undefined;
      await data('changeRoom', asAdmin(world, { end_time: E2 }));
    };
    expect(await handle(first)).toEqual([]);
    expect(end(world.room_id)).toBe(E2);
  });

  test('are processed with one consistent read per room, for any number of records', async () => {
    const world = await newRoom();
    const records = changesIn(
      await recorded(async () => {
        await data('addParticipants', asAdmin(world, { participant_ids: Array.from({ length: 40 }, () => newUser()) }));
        await data('changeRoom', asAdmin(world, { name: 'B' }));
      }),
    );
    expect(records.Records).toHaveLength(41);
    const { trace } = await runEventFunction('room-changes', (context) => roomChanges(records, context));
    // One query for the connections of the room, and one for the subscriptions of each of the 40 users. One write
    // assigns the numbers of the events.
    expect(trace.requests.toSorted()).toEqual(['BatchGetItem', ...Array(41).fill('Query'), 'UpdateItem']);
    const reads = trace.inputs.filter((_, n) => trace.requests[n] !== 'UpdateItem');
    expect(reads).toMatchObject([
      { RequestItems: { [tableName()]: { ConsistentRead: true } } },
      ...Array(41).fill({ ConsistentRead: true }),
    ]);
  });
});

describe('a schedule that fires', () => {
  const fire = async (announcement: Parameters<typeof announce>[0]) => {
    const { lines } = await runEventFunction('announce', (context) => announce(announcement, context));
    return lines;
  };
  /** A room with the given times, in which the admin has joined. */
  async function timed(times: { end_time?: string }) {
    const world = await listening({ body: times });
    return { ...world, room: await data('getRoom', { as: world.admin, params: { room_id: world.room_id } }) };
  }

  test('for the start: announces it and publishes it', async () => {
    const { room_id, room, listener } = await timed({});
    await fire({ room_id, moment: 'start', time: room.start_time });
    expect(eventsAt(listener)).toMatchObject([{ type: 'room_started', room_id, data: { status: 'started' } }]);
    expect(busEvents()).toEqual(eventsAt(listener));
    expect(management.closed).toEqual([]);
  });

  test('for the end: announces it, publishes it, then closes all connections', async () => {
    const { room_id, room, listener, member } = await timed({ end_time: inFuture(1_500) });
    const other = await joined(room_id, member);
    const time = room.end_time ?? '';
    while (new Date().toISOString() < time) await new Promise((resolve) => setTimeout(resolve, 20));
    await fire({ room_id, moment: 'end', time });
    for (const socket of [listener, other])
      expect(eventsAt(socket)).toMatchObject([
        { type: 'room_ended', room_id, data: { status: 'ended', end_time: time } },
      ]);
    expect(busEvents()).toEqual(eventsAt(listener));
    expect(management.closed.sort()).toEqual([listener.connection_id, other.connection_id].sort());
  });

  test.each<[string, (world: Awaited<ReturnType<typeof timed>>) => Parameters<typeof announce>[0]]>([
    ['the end was postponed', ({ room_id }) => ({ room_id, moment: 'end', time: inFuture(-1_000) })],
    ['the start was changed', ({ room_id }) => ({ room_id, moment: 'start', time: inFuture(-HOUR) })],
  ])('but %s: announces nothing', async (_, announcement) => {
    const world = await timed({ end_time: inFuture(HOUR) });
    expect(await fire(announcement(world))).toHaveLength(1);
    expect([management.attempts, management.closed, services.puts]).toEqual([[], [], []]);
  });

  test.each<[string, 'start' | 'end', string]>([
    ['start', 'start', 'room_started'],
    ['end', 'end', 'room_ended'],
  ])('a little early, because the clock is behind: announces the %s at its time', async (_, moment, type) => {
    const times = {
      start: { start_time: inFuture(1_500), end_time: inFuture(HOUR) },
      end: { end_time: inFuture(1_500) },
    };
    const { room_id, admin, member } = await newRoom({ body: times[moment] });
    // Users cannot join a room before its start, so the connection is written to the table directly.
    const listener = moment === 'end' ? await joined(room_id, member) : newSocket(member);
    if (moment === 'start') await haveJoined(room_id, [listener.connection_id], member);
    const time = moment === 'start' ? times.start.start_time : times.end.end_time;
    await fire({ room_id, moment, time });
    expect(new Date().toISOString() >= time).toBe(true);
    expect(eventsAt(listener)).toMatchObject([{ type, room_id, data: { [`${moment}_time`]: time } }]);
    expect(busEvents()).toEqual(eventsAt(listener));
    expect(await data('getRoom', { as: admin, params: { room_id } })).toMatchObject(times[moment]);
  });

  test('a little early, while its time changes: announces nothing', async () => {
    const time = inFuture(1_500);
    const { room_id, admin } = await newRoom({ body: { end_time: time } });
    const [lines] = await Promise.all([
      fire({ room_id, moment: 'end', time }),
      data('changeRoom', { as: admin, params: { room_id }, body: { end_time: inFuture(HOUR) } }),
    ]);
    expect(lines).toMatchObject([{ entry: { skipped: 'outdated' } }]);
    expect(services.puts).toEqual([]);
  });

  test('more than five seconds early: fails, so that Lambda invokes the function again later', async () => {
    const { room_id, room } = await timed({ end_time: inFuture(HOUR) });
    const early = fire({ room_id, moment: 'end', time: room.end_time ?? '' });
    await expect(early).rejects.toThrow(`The end of room ${room_id} is announced at`);
    expect([management.attempts, management.closed, services.puts]).toEqual([[], [], []]);
  });

  test('but the room has ended or does not exist: announces no start', async () => {
    const world = await timed({});
    await data('endRoom', asAdmin(world));
    await fire({ room_id: world.room_id, moment: 'start', time: world.room.start_time });
    await fire({ room_id: '01900000-0000-7000-8000-000000000000', moment: 'end', time: inFuture(0) });
    expect([management.attempts, services.puts]).toEqual([[], []]);
  });

  test('while the bus is down: sends to and closes connections, and is retried', async () => {
    const { room_id, room, listener } = await timed({ end_time: inFuture(1_000) });
    const time = room.end_time ?? '';
    while (new Date().toISOString() < time) await new Promise((resolve) => setTimeout(resolve, 20));
    services.broken.events = true;
    await expect(fire({ room_id, moment: 'end', time })).rejects.toThrow();
    expect(eventsAt(listener)).toHaveLength(1);
    expect(management.closed).toEqual([listener.connection_id]);
  });
});

describe('a participant who leaves', () => {
  const removedFor = (world: World) =>
    worked(() => data('leaveRoom', { as: world.member, params: { room_id: world.room_id } }));

  test('is announced with the reason, and their connections are closed', async () => {
    const world = await listening();
    const { room_id, member, listener } = world;
    const socket = await joined(room_id, member);
    const subscribed = newSocket(member);
    await reply('subscribe', subscribed, {});
    await removedFor(world);
    const left = { type: 'participant_removed', room_id, data: { participant_id: member, reason: 'left' } };
    expect(eventsAt(listener)).toContainEqual(left);
    expect(eventsAt(socket)).toEqual([left]);
    expect(eventsAt(subscribed)).toEqual([left]);
    expect(busEvents()).toEqual([left]);
    expect(await isJoined(room_id, socket)).toBe(false);
  });

  test('is announced as removed if they are added again and then removed', async () => {
    const world = await listening();
    const { room_id, member, listener } = world;
    await removedFor(world);
    const body = { participant_ids: [member] };
    await worked(() => data('addParticipants', asAdmin(world, body)));
    management.reset();
    await worked(() => data('removeParticipants', asAdmin(world, body)));
    expect(eventsAt(listener)).toEqual([
      { type: 'participant_removed', room_id, data: { participant_id: member, reason: 'removed' } },
    ]);
  });
});

test('a role is announced each time it changes', async () => {
  const world = await listening();
  const { room_id, admin, member, listener } = world;
  const set = (role: string) =>
    recorded(() => data('setRole', { as: admin, params: { room_id, participant_id: member }, body: { role } }));
  for (const role of ['observer', 'observer', 'member', 'member']) await handle(await set(role));
  const updated = (role: string) => ({
    type: 'participant_updated',
    room_id,
    data: { participant_id: member, role },
  });
  expect(eventsAt(listener)).toEqual([updated('observer'), updated('member')]);
  await handle(await set('observer'));
  management.reset();
  await worked(() => data('grantAdmin', { as: admin, params: { room_id, participant_id: member } }));
  expect(eventsAt(listener)).toContainEqual(updated('member'));
});

test('posting and metadata are announced with the room; internal locks are not', async () => {
  const world = await listening();
  const { listener } = world;
  for (const body of [{ posting: 'admins' }, { metadata: { a: 1 } }, { posting: 'everyone', metadata: null }]) {
    management.reset();
    const records = await recorded(() => data('changeRoom', asAdmin(world, body)));
    expect(changesIn(records).Records).toHaveLength(1);
    expect(await handle(records)).toEqual([]);
    expect(eventsAt(listener)).toMatchObject([{ type: 'room_updated', data: body }]);
  }
});
