import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { batchSize } from '../../core/realtime/batches.ts';
import { connectionsOf } from '../../core/store/connections.ts';
import { connectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { handler as fanOutFunction } from '../../functions/events/fan-out.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { context } from '../fixtures/event.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { deliver, readMessages, send } from '../support/delivery.ts';
import { type FanOut, startFanOut } from '../support/fan-out.ts';
import { exception, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { data } from '../support/invoke.ts';
import { type KnownSockets, watchSockets } from '../support/known-sockets.ts';
import { runLaneOnce, runLanes } from '../support/lanes.ts';
import { type Management, type ManagementResponse, startManagement } from '../support/management.ts';
import { growPool, leaveSlots, type Occupied, occupy } from '../support/places.ts';
import { queueEvent } from '../support/queue-event.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { type Services, startServices } from '../support/services.ts';
import { joined, reply, type Socket } from '../support/socket.ts';
import { changesIn, messagesIn, recorded } from '../support/stream.ts';
import { newRoom, newUser } from '../support/world.ts';

let management: Management;
let services: Services;
let faults: FaultyDynamoDb;
let fanOut: FanOut;
let sockets: KnownSockets;
beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // The client reads this variable at its first request.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
  [management, services, fanOut] = await Promise.all([startManagement(), startServices(), startFanOut()]);
  process.env.CALLBACK_URL = management.url;
  sockets = watchSockets(() => management);
});
beforeEach(() => {
  faults.reset();
  services.reset();
  fanOut.reset();
});
afterEach(() => {
  sockets.check();
  management.release();
  management.reset();
});
afterAll(() => Promise.all([management.close(), services.close(), faults.close(), fanOut.close()]));

/** A room with one connection that works, and one that does not respond and cannot be closed. */
async function roomWithStuck(response: ManagementResponse = 500) {
  const members = [newUser('good'), newUser('stuck')] as const;
  const { room_id, admin } = await newRoom({ members });
  const [good, stuck] = [await joined(room_id, members[0]), await joined(room_id, members[1])];
  management.respondWith(stuck.connection_id, response);
  management.respondToCloseWith(stuck.connection_id, response);
  return { room_id, admin, good, stuck };
}
const textsAt = ({ connection_id }: Pick<Socket, 'connection_id'>) =>
  management.received(connection_id).map(({ data }) => data.text);
const isJoined = async (room_id: string, { connection_id }: Socket) =>
  (await get(connectionKey(room_id, connection_id))) !== undefined;
const markedIn = async (room_id: string) =>
  (await connectionsOf(room_id)).disconnecting.map(({ connection_id }) => connection_id);
const times = (all: readonly string[], { connection_id }: Socket) => all.filter((id) => id === connection_id).length;
/** Like `deliver`, in an invocation that has `ms` milliseconds before it must record what is left. */
async function deliverWithin(ms: number, records: readonly DynamoDBRecord[]) {
  const invocation = { ...context, getRemainingTimeInMillis: () => 10_000 + ms };
  const { result, lines } = await runEventFunction('deliver-messages', () =>
    deliverMessages(messagesIn(records), invocation),
  );
  return { failures: result.batchItemFailures, lines: lines.map(({ entry }) => Object(entry)) };
}
/** Queues messages of a large room in its lane, and processes the lane in an invocation with `ms` milliseconds. */
async function laneWithin(ms: number, records: readonly DynamoDBRecord[]) {
  expect((await readMessages(records)).failures).toEqual([]);
  const { failed, lines } = await runLaneOnce(10_000 + ms);
  return { failed, lines: lines.map(({ entry }) => Object(entry)) };
}
const retry = async (room_id: string) => {
  const message = JSON.stringify({ kind: 'disconnect', room_id });
  return (await runEventFunction('presence', (invocation) => presence(queueEvent(message), invocation))).result;
};
const FAILED = { batchItemFailures: [{ itemIdentifier: 'm0' }] };
const DONE = { batchItemFailures: [] };

describe('an unresponsive connection that cannot be closed', () => {
  test.each([
    [429, 12],
    [500, 4],
    ['reset', 4],
  ] as const)('(%s) gets %i attempts to post and as many to close, then is marked', async (response, attempts) => {
    const { room_id, admin, good, stuck } = await roomWithStuck(response);
    expect(await deliver(await send(room_id, admin, 'one', 'two'))).toMatchObject({ failures: [] });
    expect(textsAt(good)).toEqual(['one', 'two']);
    expect(times(management.attempts, stuck)).toBe(attempts);
    expect(times(management.closeAttempts, stuck)).toBe(attempts);
    expect(await markedIn(room_id)).toEqual([stuck.connection_id]);
    await sockets.expectKnown(room_id, [good.connection_id, stuck.connection_id]);
  });

  test('receives nothing more, and is closed by a later broadcast', async () => {
    const { room_id, admin, good, stuck } = await roomWithStuck();
    await deliver(await send(room_id, admin, 'one'));
    // Posts to the connection would succeed again, but it has missed one message.
    management.respondWith(stuck.connection_id, 200);
    await deliver(await send(room_id, admin, 'two'));
    expect(textsAt(stuck)).toEqual([]);
    expect(await isJoined(room_id, stuck)).toBe(true);
    expect((await connectionsOf(room_id)).marks).toHaveLength(1);

    management.respondToCloseWith(stuck.connection_id, 200);
    expect(await deliver(await send(room_id, admin, 'three'))).toMatchObject({ failures: [] });
    expect(management.closed).toEqual([stuck.connection_id]);
    expect(await isJoined(room_id, stuck)).toBe(false);
    expect(textsAt(stuck)).toEqual([]);
    expect(textsAt(good)).toEqual(['one', 'two', 'three']);
  });

  test('is removed if closing it returns 410', async () => {
    const { room_id, admin, stuck } = await roomWithStuck();
    management.respondToCloseWith(stuck.connection_id, 410);
    await deliver(await send(room_id, admin, 'one'));
    expect(times(management.closeAttempts, stuck)).toBe(1);
    expect(await isJoined(room_id, stuck)).toBe(false);
    expect(await markedIn(room_id)).toEqual([]);
  });

  test('stays marked when it joins again, because its client would not notice the gap', async () => {
    const { room_id, admin, stuck } = await roomWithStuck();
    await deliver(await send(room_id, admin, 'one'));
    management.respondWith(stuck.connection_id, 200);
    await reply('join', stuck, { room_id });
    await deliver(await send(room_id, admin, 'two'));
    expect(textsAt(stuck)).toEqual([]);
  });

  test('is closed through the queue if nothing more happens in the room', async () => {
    const { room_id, admin, stuck } = await roomWithStuck();
    const records = await send(room_id, admin, 'one');
    const marks = changesIn(await recorded(() => deliver(records)));
    await runEventFunction('room-changes', (invocation) => roomChanges(marks, invocation));
    expect(services.messages.map(({ MessageBody, DelaySeconds }) => [JSON.parse(MessageBody), DelaySeconds])).toEqual([
      [{ kind: 'disconnect', room_id }, 5],
    ]);

    // If no connection could be closed, the message stays in the queue until it becomes a dead letter.
    expect(await retry(room_id)).toEqual(FAILED);
    expect(await isJoined(room_id, stuck)).toBe(true);
    management.respondToCloseWith(stuck.connection_id, 200);
    expect(await retry(room_id)).toEqual(DONE);
    expect(management.closed).toEqual([stuck.connection_id]);
    expect(await connectionsOf(room_id)).toMatchObject({ disconnecting: [], marks: [] });
    expect(await isJoined(room_id, stuck)).toBe(false);
    // A late second delivery has no effect.
    expect(await retry(room_id)).toEqual(DONE);
    expect(services.messages).toHaveLength(1);
  });

  test('is queued again if others of its room could be closed', async () => {
    const { room_id, admin, good, stuck } = await roomWithStuck();
    management.respondWith(good.connection_id, 500);
    management.respondToCloseWith(good.connection_id, 500);
    await deliver(await send(room_id, admin, 'one'));
    expect((await markedIn(room_id)).sort()).toEqual([good.connection_id, stuck.connection_id].sort());
    management.respondToCloseWith(good.connection_id, 200);
    expect(await retry(room_id)).toEqual(DONE);
    expect(services.messages.map(({ MessageBody }) => JSON.parse(MessageBody))).toEqual([
      { kind: 'disconnect', room_id },
    ]);
    expect(await markedIn(room_id)).toEqual([stuck.connection_id]);
  });
});

describe('if closing fails, a connection is kept and receives nothing more', () => {
  test('when its token has expired', async () => {
    const { room_id, admin, good } = await roomWithStuck();
    const soon = Math.floor(Date.now() / 1_000) + 1;
    const expired = await joined(room_id, admin, soon);
    management.respondToCloseWith(expired.connection_id, 500);
    const records = await send(room_id, admin, 'one');
    await expect.poll(() => Date.now() / 1_000, { timeout: 5_000 }).toBeGreaterThan(soon + 1);
    await deliver(records);
    expect(management.attempts).not.toContain(expired.connection_id);
    expect(await markedIn(room_id)).toContain(expired.connection_id);
    expect(textsAt(good)).toEqual(['one']);
    await sockets.expectKnown(room_id, [expired.connection_id]);
  });

  test('when its user is removed', async () => {
    const { room_id, admin, stuck } = await roomWithStuck();
    management.respondWith(stuck.connection_id, 200);
    const removal = { as: admin, params: { room_id }, body: { participant_ids: [stuck.user_id] } };
    const records = changesIn(await recorded(() => data('removeParticipants', removal)));
    const { result } = await runEventFunction('room-changes', (invocation) => roomChanges(records, invocation));
    expect(result).toEqual(DONE);
    expect(await markedIn(room_id)).toEqual([stuck.connection_id]);
    await deliver(await send(room_id, admin, 'one'));
    expect(textsAt(stuck)).not.toContain('one');

    management.respondToCloseWith(stuck.connection_id, 200);
    expect(await retry(room_id)).toEqual(DONE);
    expect(await isJoined(room_id, stuck)).toBe(false);
  });

  test('when its room ends', async () => {
    const { room_id, admin, good, stuck } = await roomWithStuck();
    management.respondWith(stuck.connection_id, 200);
    const { end_time } = await data('endRoom', { as: admin, params: { room_id } });
    await runEventFunction('announce', (invocation) =>
      announce({ room_id, moment: 'end', time: end_time ?? '' }, invocation),
    );
    expect(management.closed).toEqual([good.connection_id]);
    expect(await markedIn(room_id)).toEqual([stuck.connection_id]);
    management.respondToCloseWith(stuck.connection_id, 200);
    expect(await retry(room_id)).toEqual(DONE);
    expect(management.closed).toEqual([good.connection_id, stuck.connection_id]);
  });
});

describe('faults of the table', () => {
  test('a mark of a removed user that cannot be stored: the others receive the event, and the batch is retried', async () => {
    const { room_id, admin, good, stuck } = await roomWithStuck(403);
    const removal = { as: admin, params: { room_id }, body: { participant_ids: [stuck.user_id] } };
    const records = changesIn(await recorded(() => data('removeParticipants', removal)));
    const work = () => runEventFunction('room-changes', (invocation) => roomChanges(records, invocation));
    faults.always('PutItem', exception('AccessDeniedException'));
    expect((await work()).result.batchItemFailures).toHaveLength(1);
    const typesAt = ({ connection_id }: Socket) => management.received(connection_id).map(({ type }) => type);
    expect(typesAt(good)).toContain('participant_removed');
    expect(management.closed).toEqual([]);

    faults.reset();
    management.respondToCloseWith(stuck.connection_id, 200);
    expect((await work()).result).toEqual(DONE);
    expect(management.closed).toEqual([stuck.connection_id]);
    expect(await isJoined(room_id, stuck)).toBe(false);
  });

  test('a page of connections that cannot be read: nothing is sent until Lambda retries, then everything once', async () => {
    const { room_id, admin } = await newRoom();
    const ids = Array.from({ length: 6 }, (_, n) => `c${n}=`);
    await haveJoined(room_id, ids, admin);
    const records = await send(room_id, admin, 'one');
    // The first page is cut, and reading the second page fails.
    faults.next(
      'Query',
      (answer) => {
        const { Items = [] } = answer as { Items?: { connection_id: { S: string } }[] };
        const last = Items[2]?.connection_id.S ?? '';
        const { PK, SK } = connectionKey(room_id, last);
        return { Items: Items.slice(0, 3), Count: 3, LastEvaluatedKey: { PK: { S: PK }, SK: { S: SK } } };
      },
      exception('AccessDeniedException'),
    );
    const { failures } = await deliver(records);
    expect(failures).toEqual([messagesIn(records).Records[0]?.dynamodb?.SequenceNumber]);
    expect(management.attempts).toEqual([]);
    expect(await deliver(records)).toMatchObject({ failures: [] });
    for (const connection_id of ids) expect(textsAt({ connection_id })).toEqual(['one']);
  });

  test('in one room do not affect another room of the same batch', async () => {
    const [failing, working] = [await roomWithStuck(200), await roomWithStuck(200)];
    const records = [
      ...(await send(failing.room_id, failing.admin, 'one')),
      ...(await send(working.room_id, working.admin, 'one')),
    ];
    faults.next('Query', exception('AccessDeniedException'));
    const { failures } = await deliver(records);
    expect(failures).toHaveLength(1);
    expect([...textsAt(failing.good), ...textsAt(working.good)]).toEqual(['one']);
  });

  test('a connection that is neither closed nor marked: the batch fails, because a message must not follow a gap', async () => {
    const { room_id, admin, good, stuck } = await roomWithStuck();
    const records = await send(room_id, admin, 'one');
    faults.always('PutItem', exception('AccessDeniedException'));
    expect((await deliver(records)).failures).toHaveLength(1);
    await sockets.expectKnown(room_id, [good.connection_id, stuck.connection_id]);
    faults.reset();
    management.respondWith(stuck.connection_id, 200);
    expect(await deliver(records)).toMatchObject({ failures: [] });
    expect(textsAt(stuck)).toEqual(['one']);
  });

  test('a connection that is closed but not removed: nothing is sent twice, and the next broadcast removes it', async () => {
    const { room_id, admin, good, stuck } = await roomWithStuck();
    management.respondToCloseWith(stuck.connection_id, 200);
    const records = await send(room_id, admin, 'one');
    faults.always('DeleteItem', exception('AccessDeniedException'));
    expect(await deliver(records)).toMatchObject({ failures: [] });
    expect(await isJoined(room_id, stuck)).toBe(true);
    faults.reset();
    management.respondWith(stuck.connection_id, 410);
    expect(await deliver(await send(room_id, admin, 'two'))).toMatchObject({ failures: [] });
    expect(await isJoined(room_id, stuck)).toBe(false);
    expect(textsAt(good)).toEqual(['one', 'two']);
  });
});

describe('when the time of the invocation is over', () => {
  const TEXTS = Array.from({ length: 20 }, (_, n) => `message ${n}`);
  const SIZE = batchSize(TEXTS.length);
  let places: Occupied;
  beforeAll(async () => {
    places = await leaveSlots(20);
  });
  afterAll(() => places.free());
  const largeRoom = async (count: number) => {
    const world = await newRoom();
    const ids = Array.from({ length: count }, (_, n) => `large-${String(n).padStart(5, '0')}=`);
    await haveJoined(world.room_id, ids, world.admin);
    return { ...world, ids };
  };

  test('connections that are still throttled are marked, without an attempt to close them', async () => {
    const { room_id, admin, good, stuck } = await roomWithStuck(429);
    const { failures } = await deliverWithin(1_000, await send(room_id, admin, 'one'));
    expect(failures).toEqual([]);
    expect(textsAt(good)).toEqual(['one']);
    expect(times(management.attempts, stuck)).toBeGreaterThan(1);
    expect(management.closeAttempts).toEqual([]);
    expect(await markedIn(room_id)).toEqual([stuck.connection_id]);
    await sockets.expectKnown(room_id, [good.connection_id, stuck.connection_id]);
  });

  test('a fan-out invocation receives the remaining time, and returns within it', async () => {
    const { room_id, admin, ids } = await largeRoom(2 * SIZE);
    const [held = ''] = ids.slice(SIZE);
    await laneWithin(20_000, await send(room_id, admin, ...TEXTS));
    const [batch] = fanOut.batches();
    if (!batch) throw new Error('There is one.');
    // 4 seconds are reserved for the invocation's start and response.
    expect(batch.time_left_ms).toBeLessThanOrEqual(16_000);
    expect(batch.time_left_ms).toBeGreaterThan(8_000);

    management.respondWith(held, 'hold');
    const { result } = await runEventFunction('fan-out', (invocation) =>
      fanOutFunction({ ...batch, recipients: batch.recipients.slice(0, 1), time_left_ms: 500 }, invocation),
    );
    expect(result).toMatchObject({ sent: 0, failed: 1, marked: 1 });
    expect(await markedIn(room_id)).toContain(held);
  });

  test('lane messages for which no time is left are not started, and become visible again', async () => {
    const { room_id, admin, ids } = await largeRoom(2 * SIZE);
    const { failed } = await laneWithin(4_900, await send(room_id, admin, ...TEXTS));
    expect(failed).toHaveLength(1);
    expect(management.attempts).toEqual([]);
    await runLanes();
    for (const connection_id of ids) expect(textsAt({ connection_id })).toEqual(TEXTS);
  });

  test('invocations that do not respond: one at a time, and all their connections are marked', async () => {
    const { room_id, admin, ids } = await largeRoom(4 * SIZE);
    const records = await send(room_id, admin, ...TEXTS);
    fanOut.respondWith('hold');
    const { failed, lines } = await laneWithin(6_000, records);
    expect(failed).toEqual([]);
    expect(fanOut.batches()).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ batches: 0 });
    const marked = await markedIn(room_id);
    expect(marked).toEqual(expect.arrayContaining(ids.slice(SIZE)));
    // This invocation delivers the first batch itself. On a busy machine, it may not finish within its time.
    for (const connection_id of ids.slice(0, SIZE).filter((id) => !marked.includes(id)))
      expect(management.closed.includes(connection_id) || textsAt({ connection_id }).join() === TEXTS.join()).toBe(
        true,
      );
    expect(new Set(management.delivered.map((each) => JSON.stringify(each))).size).toBe(management.delivered.length);
  });
});

describe('one pool for all rooms of a process', () => {
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  beforeAll(growPool);

  test('has 200 slots, of which a room gets 100', async () => {
    const one = occupy(1, 150);
    await settled();
    expect(one.count()).toBe(100);
    const others = occupy(3, 100);
    await settled();
    expect(one.count() + others.count()).toBe(200);
    await Promise.all([one.free(), others.free()]);
  });

  test('runs posts and follow-up requests: a room gets the slots that others leave', async () => {
    const { room_id, admin } = await newRoom();
    const ids = Array.from({ length: 8 }, (_, n) => `waiting-${n}=`);
    await haveJoined(room_id, ids, admin);
    for (const id of ids) management.respondWith(id, 'hold');
    const records = await send(room_id, admin, 'one');
    const others = occupy(2, 100);
    const delivery = deliver(records);
    // By now, only the posts are pending.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(management.attempts).toEqual([]);
    await others.free();
    await expect.poll(() => management.held(), { interval: 5 }).toBe(ids.length);
    management.release();
    expect(await delivery).toMatchObject({ failures: [] });
    for (const connection_id of ids) expect(textsAt({ connection_id })).toEqual(['one']);
  });
});
