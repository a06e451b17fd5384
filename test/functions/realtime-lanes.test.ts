import { describe, expect, onTestFinished, test } from 'vitest';
import type { RoomEvent } from '../../core/contract/realtime.ts';
import { MAX_POSTS_HERE } from '../../core/realtime/broadcast.ts';
import type { Task } from '../../core/realtime/deliver.ts';
import { stepsOf } from '../../core/realtime/lane.ts';
import { dynamodb } from '../../core/store/client.ts';
import { connectionKey } from '../../core/store/keys.ts';
import { enterLane, isInLane, waitingInLane } from '../../core/store/lane.ts';
import { remove } from '../../core/store/write.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { deliver, readMessages, send } from '../support/delivery.ts';
import { data } from '../support/invoke.ts';
import { inLanes, laneRequests, runLaneOnce, runLanes, takeForLane } from '../support/lanes.ts';
import { startDeliveryServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { joined } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { type Frame, joinedV2, unpack } from '../support/v2-client.ts';
import { at, newRoom } from '../support/world.ts';

const { management, services } = await startDeliveryServices();

const LARGE = MAX_POSTS_HERE + 1;
const crowdOf = (count: number) => Array.from({ length: count }, (_, n) => `connection-${String(n).padStart(5, '0')}=`);
/** Writes connections of rooms.v2 to the table, or deletes them. */
const arrive = (room_id: string, ids: readonly string[]) =>
  haveJoined(room_id, ids, undefined, { protocol: 'rooms.v2' });
const depart = async (room_id: string, ids: readonly string[]) => {
  for (const id of ids) await remove(connectionKey(room_id, id));
};
const framesAt = (connection_id: string): Frame[] =>
  management.delivered.flatMap((post) => (post.connection_id === connection_id ? [JSON.parse(post.frame)] : []));
const textsOf = (events: readonly RoomEvent[]) =>
  events.flatMap((event) => (event.type === 'message' ? [event.data.text] : []));
const textsAtV2 = (id: string) => textsOf(framesAt(id).flatMap(unpack));
const textsAtV1 = (id: string) => management.received(id).map(({ data }) => data.text);
/** The numbers of the events that a connection received. */
const numbersAt = (id: string) =>
  framesAt(id).flatMap((frame) => ('seq' in frame ? frame.events.map((_, index) => frame.seq + index) : []));
const upTo = (last: number) => Array.from({ length: last }, (_, n) => n + 1);

/** Makes all queries of the table fail. */
function breakQueries(): () => void {
  dynamodb.middlewareStack.add(
    (next, { commandName }) =>
      (args) =>
        commandName === 'QueryCommand' ? Promise.reject(new Error('Throttled')) : next(args),
    { step: 'initialize', name: 'failing', override: true },
  );
  const mend = () => void dynamodb.middlewareStack.remove('failing');
  onTestFinished(mend);
  return mend;
}

test('a message that was deleted while it waited is sent without its text, at its position', async () => {
  const { room_id, admin } = await newRoom();
  const socket = await joined(room_id, admin);
  const { socket: v2 } = await joinedV2(room_id, admin);
  await enterLane({ feed: 'messages', room_id });
  await readMessages(await send(room_id, admin, 'secret', 'kept'));
  const [, first] = await data('listMessages', { as: admin, params: { room_id } });
  await data('deleteMessage', { as: admin, params: { room_id, message_id: first?.message_id ?? '' } });
  await at(Date.now() + 10_000, () => runLanes());
  expect(textsAtV1(socket.connection_id)).toEqual([null, 'kept']);
  expect(textsAtV2(v2.connection_id)).toEqual([null, 'kept']);
  expect(numbersAt(v2.connection_id)).toEqual([1, 2]);
});

describe('a room of 5,000 connections', () => {
  test('does not delay other rooms on its shard, because the reader posts nothing to it', {
    timeout: 120_000,
  }, async () => {
    const [large, small] = [await newRoom(), await newRoom()];
    const crowd = crowdOf(5_000);
    await arrive(large.room_id, crowd);
    const neighbor = await joinedV2(small.room_id, small.member);
    // The large room gets no posts before this test runs its lane.
    const batch = [
      ...(await send(large.room_id, large.admin, 'to 5,000')),
      ...(await send(small.room_id, small.admin, 'one')),
    ];
    for (const id of crowd) management.respondWith(id, 'hold');

    expect((await readMessages(batch)).failures).toEqual([]);
    // The reader processes the shard's next batch before the large room has received anything.
    expect((await readMessages(await send(small.room_id, small.admin, 'two'))).failures).toEqual([]);
    expect(textsAtV2(neighbor.socket.connection_id)).toEqual(['one', 'two']);
    expect(new Set(management.attempts)).toEqual(new Set([neighbor.socket.connection_id]));
    expect(inLanes().map(({ group }) => group)).toEqual([`${large.room_id}-messages`]);

    for (const id of crowd) management.respondWith(id, 200);
    await runLanes();
    for (const id of crowd) expect(textsAtV2(id)).toEqual(['to 5,000']);
  });
});

describe('the order of a room', () => {
  test('is kept while the room grows above the lane threshold and shrinks below it, for both protocols', {
    timeout: 120_000,
  }, async () => {
    const { room_id, admin, member } = await newRoom();
    const [v1, v2] = [await joined(room_id, member), await joinedV2(room_id, member)];
    const of = { room_id, feed: 'messages' } as const;
    const texts: string[] = [];
    const say = async () => {
      texts.push(`message ${texts.length}`);
      await readMessages(await send(room_id, admin, texts.at(-1) ?? ''));
    };
    const expectAll = () => {
      expect(textsAtV1(v1.connection_id)).toEqual(texts);
      expect(textsAtV2(v2.socket.connection_id)).toEqual(texts);
      expect(numbersAt(v2.socket.connection_id)).toEqual(upTo(texts.length));
    };

    await say();
    expectAll();
    // The room grows, so the next message waits in the lane.
    const crowd = crowdOf(LARGE);
    await arrive(room_id, crowd);
    await say();
    expect(await isInLane(of)).toBe(true);
    expect(textsAtV1(v1.connection_id)).toHaveLength(1);
    // The room shrinks while that message waits. Newer messages must not overtake it.
    await depart(room_id, crowd);
    await say();
    expect(textsAtV1(v1.connection_id)).toHaveLength(1);
    expect(inLanes()).toHaveLength(2);
    await runLanes();
    expectAll();
    // The lane is empty and the room is small, so the reader delivers directly again.
    expect(await isInLane(of)).toBe(false);
    await say();
    expect(inLanes()).toEqual([]);
    expectAll();
    // The lane stays in use while a later message already has a number, because that message may be about to enter the
    // lane.
    await arrive(room_id, crowd);
    await say();
    await depart(room_id, crowd);
    const next = await send(room_id, admin, 'later');
    const lane = runLaneOnce();
    texts.push('later');
    await Promise.all([lane, readMessages(next)]);
    await runLanes();
    expectAll();
    expect(await isInLane(of)).toBe(false);
  });

  test('is kept when the lane fails: nothing is skipped, and the failed messages are retried soon', async () => {
    const { room_id, admin, member } = await newRoom();
    const { socket } = await joinedV2(room_id, member);
    await arrive(room_id, crowdOf(LARGE));
    for (const text of ['one', 'two']) await readMessages(await send(room_id, admin, text));
    const mend = breakQueries();
    expect((await runLaneOnce()).failed).toHaveLength(2);
    expect(laneRequests.retried).toBe(2);
    mend();
    await readMessages(await send(room_id, admin, 'three'));
    await runLanes();
    expect(textsAtV2(socket.connection_id)).toEqual(['one', 'two', 'three']);
    expect(numbersAt(socket.connection_id)).toEqual([1, 2, 3]);
  });

  test('is kept when the queue fails: the batch is retried and delivered once with the same numbers', async () => {
    const { room_id, admin, member } = await newRoom();
    const { socket } = await joinedV2(room_id, member);
    await arrive(room_id, crowdOf(LARGE));
    const records = await send(room_id, admin, 'one');
    services.broken.sqs = true;
    expect((await readMessages(records)).failures).toHaveLength(1);
    services.broken.sqs = false;
    // The second pass is Lambda's repeated delivery of records that were already processed.
    for (const _ of [1, 2]) expect((await readMessages(records)).failures).toEqual([]);
    await runLanes();
    await deliver(await send(room_id, admin, 'two'));
    expect(numbersAt(socket.connection_id)).toEqual([1, 2]);
  });

  test('the end of the room comes after its events, and detaches all connections', { timeout: 60_000 }, async () => {
    const { room_id, admin, member } = await newRoom();
    const { socket } = await joinedV2(room_id, member);
    await arrive(room_id, crowdOf(LARGE));
    const rename = (name: string) => data('changeRoom', { as: admin, params: { room_id }, body: { name } });
    for (const work of [() => rename('another'), () => data('endRoom', { as: admin, params: { room_id } })]) {
      const records = changesIn(await recorded(work));
      const { result } = await runEventFunction('room-changes', (context) => roomChanges(records, context));
      expect(result.batchItemFailures).toEqual([]);
    }
    expect(management.delivered).toEqual([]);
    await runLanes();
    const frames = framesAt(socket.connection_id);
    expect(frames.map(({ type }) => type)).toEqual(['events', 'detached']);
    expect(frames.flatMap(unpack).map(({ type }) => type)).toEqual(['room_updated', 'room_ended']);
    expect(new Set(management.delivered.map(({ connection_id }) => connection_id)).size).toBe(LARGE + 1);
  });
});

describe('a connection that does not respond', () => {
  /**
   * A room with working connections of both protocols, and with one that does not respond. The other room, `neighbor`,
   * is on the same shard.
   */
  async function roomWithDead(protocol: 'rooms.v1' | 'rooms.v2') {
    const [{ room_id, admin, member }, other] = [await newRoom(), await newRoom()];
    const [v1, v2] = [await joined(room_id, member), await joinedV2(room_id, member)];
    const dead = protocol === 'rooms.v1' ? await joined(room_id, member) : (await joinedV2(room_id, member)).socket;
    const neighbor = await joinedV2(other.room_id, other.member);
    management.respondWith(dead.connection_id, 'hold');
    return {
      room_id,
      admin,
      of: { room_id, feed: 'messages' } as const,
      v1: v1.connection_id,
      v2: v2.socket.connection_id,
      dead: dead.connection_id,
      neighbor: neighbor.socket.connection_id,
      textsAtDead: () => (protocol === 'rooms.v1' ? textsAtV1 : textsAtV2)(dead.connection_id),
      /**
       * Delivers a batch with a message in both rooms. When the reader returns, the neighbor has received its message.
       */
      async read(text: string) {
        const records = [...(await send(room_id, admin, text)), ...(await send(other.room_id, other.admin, text))];
        expect((await readMessages(records)).failures).toEqual([]);
        expect(textsAtV2(neighbor.socket.connection_id).at(-1)).toBe(text);
        return records;
      },
      send: (...texts: string[]) => send(room_id, admin, ...texts),
    };
  }
  const attemptsAt = (id: string) => management.attempts.filter((each) => each === id).length;

  describe.each(['rooms.v1', 'rooms.v2'] as const)('of %s', (protocol) => {
    test('does not delay its shard, because the reader leaves it to the lane before the post times out', async () => {
      const { of, v1, v2, dead, textsAtDead, read } = await roomWithDead(protocol);
      await read('one');
      // A time-out of the post would close a rooms.v1 connection, and would be recorded for a rooms.v2 connection.
      expect([attemptsAt(dead), management.closeAttempts]).toEqual([1, []]);
      expect([textsAtV1(v1), textsAtV2(v2)]).toEqual([['one'], ['one']]);
      expect(await isInLane(of)).toBe(true);
      // The next message waits in the lane behind the pending one, and the reader posts nothing to the room.
      await read('two');
      expect(attemptsAt(dead)).toBe(1);
      expect([textsAtV1(v1), textsAtV2(v2)]).toEqual([['one'], ['one']]);

      // The connection responds again. The lane delivers all messages once and in order, and the reader then delivers
      // to the room directly.
      management.respondWith(dead, 200);
      await runLanes();
      for (const texts of [textsAtV1(v1), textsAtV2(v2), textsAtDead()]) expect(texts).toEqual(['one', 'two']);
      expect(numbersAt(v2)).toEqual([1, 2]);
      expect(await isInLane(of)).toBe(false);
      await read('three');
      expect(inLanes()).toEqual([]);
      for (const texts of [textsAtV1(v1), textsAtV2(v2), textsAtDead()]) expect(texts).toEqual(['one', 'two', 'three']);
      expect(management.closeAttempts).toEqual([]);
    });

    test('that never responds is closed by the lane, and the room leaves the lane', { timeout: 60_000 }, async () => {
      const { of, v1, v2, dead, read } = await roomWithDead(protocol);
      const texts: string[] = [];
      const rounds = protocol === 'rooms.v1' ? 1 : 2;
      for (let round = 1; round <= rounds; round++) {
        expect(management.closed).toEqual([]);
        texts.push(`round ${round}`);
        await read(texts.at(-1) ?? '');
        await runLanes();
        expect(await isInLane(of)).toBe(false);
      }
      expect(management.closed).toEqual([dead]);
      texts.push('after');
      await read('after');
      expect(inLanes()).toEqual([]);
      expect([textsAtV1(v1), textsAtV2(v2)]).toEqual([texts, texts]);
      expect(numbersAt(v2)).toEqual(upTo(texts.length));
      expect(attemptsAt(dead)).toBe(2 * rounds);
    });
  });

  test('receives each frame once, if the lane continues a partial delivery', async () => {
    const { v1, dead, textsAtDead, send: sendHere } = await roomWithDead('rooms.v1');
    management.respondWith(dead, 200, 'hold', 200);
    const texts = ['one', 'two', 'three'];
    await readMessages(await sendHere(...texts));
    expect([textsAtV1(v1), textsAtDead()]).toEqual([texts, ['one']]);
    await runLanes();
    expect([textsAtV1(v1), textsAtDead()]).toEqual([texts, texts]);
  });

  test('receives each frame once, even if the delivered ones exceed one item of the lane', {
    timeout: 60_000,
  }, async () => {
    const { v1, dead, textsAtDead, send: sendHere } = await roomWithDead('rooms.v1');
    const texts = upTo(45).map((n) => `${n} `.padEnd(7_900, 'é'));
    management.respondWith(dead, ...([...texts.slice(0, 40).map(() => 200), 'hold', 200] as [200, 'hold', 200]));
    await readMessages(await sendHere(...texts));
    expect(textsAtDead()).toHaveLength(40);
    await runLanes();
    expect([textsAtV1(v1), textsAtDead()]).toEqual([texts, texts]);
  });

  test('receives its events after a failure of the queue, because the batch is retried with the same numbers', async () => {
    const { of, v2, dead, neighbor, textsAtDead, send: sendHere } = await roomWithDead('rooms.v2');
    const records = await sendHere('one');
    services.broken.sqs = true;
    expect((await readMessages(records)).failures).toHaveLength(1);
    services.broken.sqs = false;
    management.respondWith(dead, 200);
    // The second pass is Lambda's repeated delivery of records that were already processed.
    for (const _ of [1, 2]) expect((await readMessages(records)).failures).toEqual([]);
    await runLanes();
    expect(new Set(numbersAt(v2))).toEqual(new Set([1]));
    expect(textsAtDead()).toEqual(['one']);
    expect(await isInLane(of)).toBe(false);
    await deliver(await sendHere('two'));
    expect(textsAtDead()).toEqual(['one', 'two']);
    expect(textsAtV2(neighbor)).toEqual([]);
  });

  test('receives the end of its room after its pending events', async () => {
    const { room_id, admin, v1, v2, dead } = await roomWithDead('rooms.v1');
    const records = changesIn(await recorded(() => data('endRoom', { as: admin, params: { room_id } })));
    const { result } = await runEventFunction('room-changes', (context) => roomChanges(records, context));
    expect(result.batchItemFailures).toEqual([]);
    expect([attemptsAt(dead), management.closed, framesAt(v2)]).toEqual([1, [], []]);
    management.respondWith(dead, 200);
    await runLanes();
    for (const id of [v1, dead]) expect(management.received(id).map(({ type }) => type)).toEqual(['room_ended']);
    expect(framesAt(v2).map(({ type }) => type)).toEqual(['detached']);
    expect([...management.closed].sort()).toEqual([v1, dead].sort());
  });

  test('does not delay the end of its room for the others', async () => {
    const { room_id, admin, v1, v2, dead } = await roomWithDead('rooms.v2');
    const records = changesIn(await recorded(() => data('endRoom', { as: admin, params: { room_id } })));
    const { result } = await runEventFunction('room-changes', (context) => roomChanges(records, context));
    expect(result.batchItemFailures).toEqual([]);
    expect([attemptsAt(dead), management.closed]).toEqual([1, [v1]]);
    expect(framesAt(v2).map(({ type }) => type)).toEqual(['detached']);
    management.respondWith(dead, 200);
    await runLanes();
    expect(framesAt(dead).map(({ type }) => type)).toEqual(['detached']);
    expect(framesAt(v2)).toHaveLength(1);
  });

  test('does not include a throttled one, for which the reader still waits', async () => {
    const { of, dead, textsAtDead, read } = await roomWithDead('rooms.v1');
    management.respondWith(dead, 429, 429, 429, 429, 429, 200);
    await read('one');
    expect([textsAtDead(), inLanes(), await isInLane(of)]).toEqual([['one'], [], false]);
  });
});

test('messages that arrive during a delivery are sent together, with one post to each connection', {
  timeout: 60_000,
}, async () => {
  const { room_id, admin } = await newRoom();
  const crowd = crowdOf(LARGE);
  await arrive(room_id, crowd);
  const texts = upTo(8).map((n) => `message ${n}`);
  for (const text of texts) await readMessages(await send(room_id, admin, text));
  await runLanes();
  expect(management.delivered).toHaveLength(LARGE);
  for (const id of crowd) expect(textsAtV2(id)).toEqual(texts);
});

test('a batch that is larger than an item is split, in order', { timeout: 60_000 }, async () => {
  const { room_id, admin, member } = await newRoom();
  const { socket } = await joinedV2(room_id, member);
  await arrive(room_id, crowdOf(25));
  const texts = upTo(45).map((n) => `${n} `.padEnd(7_900, 'é'));
  await readMessages(await send(room_id, admin, ...texts));
  const sizes = (await waitingInLane({ room_id, feed: 'messages' })).map(({ task }) => Buffer.byteLength(task));
  expect(sizes.length).toBeGreaterThan(1);
  // DynamoDB stores up to 400 KB. The names of the fields around the events take a few bytes.
  expect(Math.max(...sizes)).toBeLessThan(301_000);
  await runLanes();
  expect(textsAtV2(socket.connection_id)).toEqual(texts);
});

test('rooms of one batch do not wait for each other: lane messages of finished rooms are deleted', async () => {
  const rooms = [await newRoom(), await newRoom()];
  for (const { room_id, admin } of rooms) {
    await arrive(room_id, crowdOf(LARGE));
    await readMessages(await send(room_id, admin, 'one'));
  }
  await runLanes();
  expect(laneRequests.deleted).toBe(2);
});

describe('waiting lane messages are merged', () => {
  const event = (text: string): RoomEvent =>
    ({ type: 'message', room_id: 'r', data: { text }, sent_at: text }) as unknown as RoomEvent;
  const task = (first: number, ...texts: string[]): Task => ({
    kind: 'send',
    events: texts.map(event),
    numbers: { feed: 'messages', first },
  });
  const close: Task = { kind: 'close' };
  const stepsFor = (...tasks: Task[]) => stepsOf(tasks.map((each, n) => ({ key: { PK: '', SK: `${n}` }, task: each })));
  const shapeOf = (...tasks: Task[]) =>
    stepsFor(...tasks).map(({ task, keys }) => [
      task.kind === 'send' ? [task.numbers?.first, textsOf(task.events)] : task.kind,
      keys.map(({ SK }) => SK).join(),
    ]);

  test('if they follow each other without a gap, with the time of the last one', () => {
    expect(shapeOf(task(1, 'a', 'b'), task(3, 'c'))).toEqual([[[1, ['a', 'b', 'c']], '0,1']]);
    const [merged] = stepsFor(task(1, 'a'), task(2, 'b'));
    expect(merged?.task.kind === 'send' && merged.task.events.map(({ sent_at }) => sent_at)).toEqual(['b', 'b']);
  });

  test('but not across a gap, a repeated number, or the end of the room', () => {
    expect(shapeOf(task(1, 'a'), task(3, 'c'))).toEqual([
      [[1, ['a']], '0'],
      [[3, ['c']], '1'],
    ]);
    expect(shapeOf(task(1, 'a', 'b'), task(2, 'b'), close)).toEqual([
      [[1, ['a', 'b']], '0'],
      [[2, ['b']], '1'],
      ['close', '2'],
    ]);
  });
});

test('a message without a lane fails without affecting others', async () => {
  const { room_id, admin } = await newRoom();
  await arrive(room_id, crowdOf(LARGE));
  await readMessages(await send(room_id, admin, 'one'));
  takeForLane({ group: 'x', deduplication: 'x', body: '{}' });
  expect((await runLaneOnce()).failed).toHaveLength(1);
  expect(management.delivered).toHaveLength(LARGE);
  expect(laneRequests).toEqual({ deleted: 1, retried: 1 });
});
