import type { DynamoDBRecord } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Message } from '../../core/contract/answers.ts';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import { dynamodb } from '../../core/store/client.ts';
import type { ParticipantItem } from '../../core/store/items.ts';
import { connectionKey, participantKey, roomSequenceKey, userConnectionKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { numberEvents, roomNumbers } from '../../core/store/sequence.ts';
import { update } from '../../core/store/write.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { handler as connect } from '../../functions/realtime/connect.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { deliver, send } from '../support/delivery.ts';
import { data } from '../support/invoke.ts';
import { startDeliveryServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { invokeAction, joined, newSocket, reply, type Socket, socketEvent } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { type Frame, joinedV2, newV2Socket, v2Room } from '../support/v2-client.ts';
import { newRoom, newUser } from '../support/world.ts';

const { management, fanOut } = await startDeliveryServices();

const framesAt = ({ connection_id }: Pick<Socket, 'connection_id'>): Frame[] =>
  management.delivered.flatMap((post) => (post.connection_id === connection_id ? [JSON.parse(post.frame)] : []));
const eventsAt = (socket: Pick<Socket, 'connection_id'>) => framesAt(socket).flatMap(({ events }) => events);
const textsIn = (frames: readonly Frame[]) =>
  frames.flatMap(({ events }) => events.flatMap((event) => (event.type === 'message' ? [event.data.text] : [])));
const isJoined = async (room_id: string, { connection_id }: Socket) =>
  (await get(connectionKey(room_id, connection_id))) !== undefined;

/** Runs `work`, lets room-changes process its records, and returns them. */
async function processed(work: () => Promise<unknown>): Promise<DynamoDBRecord[]> {
  const records = await recorded(work);
  expect(await handle(records)).toEqual([]);
  return records;
}
async function handle(records: readonly DynamoDBRecord[]): Promise<string[]> {
  const { result } = await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context));
  return result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
}
/** The log line of a post that was given up before its time limit. */
const postGivenUp = ({ connection_id }: Socket) =>
  expect.objectContaining({ action: 'post', connection_id, error: expect.objectContaining({ name: 'AbortError' }) });
const rename = (room_id: string, as: string, username: string) =>
  data('updateProfile', { as, params: { room_id }, body: { username } });
const end = (room_id: string, as: string) => data('endRoom', { as, params: { room_id } });
const remove = (room_id: string, as: string, ...participant_ids: string[]) =>
  data('removeParticipants', { as, params: { room_id }, body: { participant_ids } });
const history = (room_id: string, as: string): Promise<Message[]> =>
  data('listMessages', { as, params: { room_id }, query: { limit: 200, order: 'asc' } });

/** A client that has joined a room, and processes what its connection receives. */
async function client(room_id: string, user: string) {
  const { socket, reply: joinedAs } = await joinedV2(room_id, user);
  let taken = 0;
  const room = v2Room({
    messages: () => history(room_id, user),
    changes: () => data('getRoom', { as: user, params: { room_id } }),
  });
  room.join(joinedAs);
  const receive = () => {
    const frames = framesAt(socket);
    for (const frame of frames.slice(taken)) room.receive(frame);
    taken = frames.length;
  };
  return {
    socket,
    room,
    receive,
    /** Processes the received frames, asks for the current numbers, and reads what is missing. */
    async settle() {
      receive();
      const { rooms = {} } = await reply('ping', socket, { rooms: [room_id] });
      const seq = rooms[room_id];
      if (seq) room.ping(seq);
      await room.fillGaps();
    },
  };
}

describe('the handshake', () => {
  const answer = (protocol: SubProtocol | undefined, offered?: string) => {
    const { requestContext } = socketEvent('$connect', newSocket(newUser(), undefined, protocol));
    return connect({
      requestContext,
      ...(offered !== undefined && { headers: { 'Sec-WebSocket-Protocol': offered } }),
    });
  };

  test('returns the version that the authorizer has chosen', async () => {
    const chosen = { 'Sec-WebSocket-Protocol': 'rooms.v2' };
    expect(await answer('rooms.v2', 'rooms.v2, rooms.v1, bearer.x')).toEqual({ statusCode: 200, headers: chosen });
    // During a deployment, the authorizer may still have the earlier version.
    const v1 = { 'Sec-WebSocket-Protocol': 'rooms.v1' };
    expect(await answer(undefined, 'rooms.v2, rooms.v1')).toEqual({ statusCode: 200, headers: v1 });
    expect(await answer('rooms.v1')).toEqual({ statusCode: 200 });
    expect(await answer('rooms.v1', 'rooms.v3')).toMatchObject({ statusCode: 400 });
  });
});

describe('join, subscribe and ping', () => {
  test('return the numbers only to connections that speak rooms.v2', async () => {
    const { room_id, admin, member } = await newRoom();
    await deliver(await send(room_id, admin, 'one', 'two'));
    await processed(() => rename(room_id, member, 'M'));
    const { reply: v2 } = await joinedV2(room_id, member);
    expect(v2).toMatchObject({ room_id, seq: { messages: 2, changes: 1 } });
    expect(await get(connectionKey(room_id, (await joined(room_id, member)).connection_id))).not.toHaveProperty(
      'protocol',
    );
    const { seq, joined_at, ...v1 } = await reply('join', newV2Socket(member), { room_id });
    expect([seq, joined_at]).not.toContain(undefined);
    const { connection_id, ...old } = newV2Socket(member);
    expect(await reply('join', { ...old, connection_id, protocol: 'rooms.v1' }, { room_id })).toEqual(v1);
    expect(await reply('subscribe', newV2Socket(member), {})).toEqual({ participant_id: member, seq: 0 });
  });

  test('a ping returns the numbers of the rooms of its connection, and of no others', async () => {
    const [one, other] = [await newRoom(), await newRoom()];
    const { socket } = await joinedV2(one.room_id, one.member);
    await deliver(await send(one.room_id, one.admin, 'x'));
    expect(await reply('ping', socket, {})).toEqual({ time: expect.any(String) });
    expect(await reply('ping', socket, { rooms: [one.room_id, other.room_id, one.room_id], subscribed: true })).toEqual(
      {
        time: expect.any(String),
        rooms: { [one.room_id]: { messages: 1, changes: 0 } },
      },
    );
    await reply('subscribe', socket, {});
    expect(await reply('ping', socket, { subscribed: true })).toEqual({ time: expect.any(String), user: 0 });
    await reply('leave', socket, { room_id: one.room_id });
    expect(await reply('ping', socket, { rooms: [one.room_id] })).toMatchObject({ rooms: {} });
    const many = Array.from({ length: 51 }, () => crypto.randomUUID());
    expect(await invokeAction('ping', socket, { rooms: many })).toMatchObject({ ok: false, code: 'invalid_request' });
    expect(await invokeAction('ping', socket, { rooms: many.slice(1) })).toMatchObject({
      ok: true,
      data: { rooms: {} },
    });
  });
});

describe('a batch', () => {
  test('of 45 messages is one post to each connection, numbered in the order of the history', async () => {
    const { room_id, admin, member } = await newRoom();
    const [a, b] = [await client(room_id, member), await client(room_id, admin)];
    const old = await joined(room_id, member);
    // A frame has at most 30 KB, and a short message about 320 bytes.
    const texts = Array.from({ length: 45 }, (_, n) => `message ${n}`);
    await deliver(await send(room_id, admin, ...texts));
    for (const { socket } of [a, b]) {
      const [frame, ...more] = framesAt(socket);
      expect(more).toEqual([]);
      expect(frame).toMatchObject({ type: 'events', room_id, feed: 'messages', seq: 1 });
      expect(textsIn([frame as Frame])).toEqual(texts);
    }
    // A connection of rooms.v1 in the same room receives each message in a frame of its own.
    expect(management.received(old.connection_id).map((event) => event.data.text)).toEqual(texts);
    a.receive();
    expect([...a.room.messages.values()]).toEqual(await history(room_id, member));
    expect((await roomNumbers(room_id)).seq).toEqual({ messages: 45, changes: 0 });
  });

  test('of 100 changes is one post to each connection', async () => {
    const { room_id, member } = await newRoom();
    const a = await client(room_id, member);
    const users = Array.from({ length: 50 }, (_, n) => newUser(`u${n}`));
    const { admin } = await newRoom();
    await processed(async () => {
      const [first] = (await data('listParticipants', { as: member, params: { room_id } })).filter(
        ({ is_admin }) => is_admin,
      );
      const as = first?.participant_id ?? admin;
      await data('addParticipants', { as, params: { room_id }, body: { participant_ids: users } });
      for (const user of users) await rename(room_id, user, user.slice(0, 8));
    });
    const frames = framesAt(a.socket);
    expect(frames).toHaveLength(1);
    expect(frames.flatMap(({ events }) => events).length).toBeGreaterThanOrEqual(100);
    expect(frames[0]).toMatchObject({ feed: 'changes', seq: 1 });
  });

  test('keeps its numbers when it is delivered again, and another batch gets new ones', async () => {
    const { room_id, admin, member } = await newRoom();
    const a = await client(room_id, member);
    const first = await send(room_id, admin, 'one', 'two');
    await deliver(first);
    await deliver(first);
    expect(framesAt(a.socket)).toMatchObject([{ seq: 1 }, { seq: 1 }]);
    a.receive();
    expect(a.room.messages.size).toBe(2);
    // Lambda has bisected the batch.
    await deliver(first.filter((record) => record.dynamodb?.Keys?.SK?.S?.startsWith('MESSAGE#')).slice(0, 1));
    expect(framesAt(a.socket).at(-1)).toMatchObject({ seq: 3, events: [{ data: { text: 'one' } }] });
    // The earlier batch is delivered again, after another one.
    await deliver(first);
    expect(framesAt(a.socket).at(-1)).toMatchObject({ seq: 4 });
    await a.settle();
    expect(a.room.messages.size).toBe(2);
    expect(a.room.reads).toEqual({ messages: 0, changes: 0 });
  });

  test('that fails after numbering keeps its numbers, and leaves no gap', async () => {
    const { room_id, admin, member } = await newRoom();
    const a = await client(room_id, member);
    const records = await send(room_id, admin, 'one');
    const failing = { step: 'initialize', name: 'failing', override: true } as const;
    dynamodb.middlewareStack.add(
      (next, { commandName }) =>
        (args) =>
          commandName === 'QueryCommand' ? Promise.reject(new Error('Throttled')) : next(args),
      failing,
    );
    onTestFinished(() => void dynamodb.middlewareStack.remove('failing'));
    expect((await deliver(records)).failures).toHaveLength(1);
    dynamodb.middlewareStack.remove('failing');
    expect((await deliver(records)).failures).toEqual([]);
    await deliver(await send(room_id, admin, 'two'));
    a.receive();
    expect(framesAt(a.socket).at(-1)).toMatchObject({ seq: 2 });
    expect([...a.room.messages.values()].map(({ text }) => text)).toEqual(['one', 'two']);
    await a.settle();
    expect(a.room.reads.messages).toBe(0);
  });
});

test('is numbered once, even with several simultaneous deliveries', async () => {
  const room_id = crypto.randomUUID();
  const of = { feed: 'messages', room_id } as const;
  const firsts = await Promise.all(
    Array.from({ length: 30 }, async (_, n) => (await numberEvents(of, n % 3 === 0 ? 2 : 1, `batch ${n}`)).first),
  );
  expect(new Set(firsts).size).toBe(30);
  expect((await roomNumbers(room_id)).seq).toEqual({ messages: 40, changes: 0 });
  const again = await numberEvents(of, 1, 'last');
  expect(await Promise.all(Array.from({ length: 5 }, () => numberEvents(of, 1, 'last')))).toEqual(
    Array.from({ length: 5 }, () => again),
  );
  expect(await numberEvents({ feed: 'changes', room_id }, 3, 'last')).toEqual({
    first: 1,
    isSent: false,
    inLane: false,
  });
  expect(await get(roomSequenceKey(room_id))).not.toHaveProperty('expires_at');
});

describe('overload', () => {
  test('of 5 seconds closes no socket, and all clients catch up afterwards', {
    timeout: 60_000,
  }, async () => {
    const { room_id, admin, member } = await newRoom();
    const clients = await Promise.all([client(room_id, admin), client(room_id, member), client(room_id, member)]);
    const subscriber = newV2Socket(member);
    await reply('subscribe', subscriber, {});
    await deliver(await send(room_id, admin, 'before'));

    management.defaultResponse = 429;
    const storm = Date.now() + 5_000;
    let sent = 0;
    while (Date.now() < storm) {
      await deliver(await send(room_id, admin, `in the storm ${sent++}`));
      await processed(() => rename(room_id, member, `M${sent}`));
    }
    await processed(() =>
      data('addParticipants', { as: admin, params: { room_id: room_id }, body: { participant_ids: [newUser()] } }),
    );
    management.defaultResponse = 200;

    expect(sent).toBeGreaterThan(0);
    // One client notices the gap with the next message, the others with their next ping.
    const [first] = clients;
    await deliver(await send(room_id, admin, 'after'));
    first?.receive();
    expect(first?.room.messages.size).toBe(1);
    await first?.room.fillGaps();
    for (const each of clients) await each.settle();
    const wanted = (await history(room_id, admin)).map(({ text }) => text);
    expect(wanted).toHaveLength(sent + 2);
    for (const { room, socket } of clients) {
      expect([...room.messages.values()].map(({ text }) => text).sort()).toEqual([...wanted].sort());
      expect(room.reads.changes).toBe(1);
      expect(room.reads.messages).toBeLessThanOrEqual(1);
      expect(await isJoined(room_id, socket)).toBe(true);
    }
    expect(management.closeAttempts).toEqual([]);
  });

  test.each([429, 500, 'reset'] as const)(
    'skips a failed post (%s) without closing the socket or affecting others',
    async (response) => {
      const { room_id, admin, member } = await newRoom();
      const [bad, good] = [await client(room_id, member), await client(room_id, admin)];
      management.respondWith(bad.socket.connection_id, response);
      const { lines } = await deliver(await send(room_id, admin, 'one'));
      expect(lines.map(({ entry }) => entry)).toContainEqual(
        expect.objectContaining({ action: 'deliver', sent: 1, skipped: 1, failed: 0 }),
      );
      management.respondWith(bad.socket.connection_id, 200);
      await deliver(await send(room_id, admin, 'two'));
      for (const each of [bad, good]) {
        await each.settle();
        expect([...each.room.messages.values()].map(({ text }) => text).sort()).toEqual(['one', 'two']);
      }
      expect([bad.room.reads.messages, good.room.reads.messages]).toEqual([1, 0]);
      expect(management.closeAttempts).toEqual([]);
      expect(await isJoined(room_id, bad.socket)).toBe(true);
    },
  );

  test('closes a connection that does not respond to two posts in a row', { timeout: 60_000 }, async () => {
    const { room_id, admin, member } = await newRoom();
    const { socket } = await client(room_id, member);
    const { socket: slow } = await client(room_id, member);
    management.respondWith(socket.connection_id, 'hold');
    management.respondWith(slow.connection_id, 'hold', 200, 'hold', 200);
    await deliver(await send(room_id, admin, 'one'));
    expect(management.closeAttempts).toEqual([]);
    await deliver(await send(room_id, admin, 'two'));
    expect(management.closed).toEqual([socket.connection_id]);
    expect(await isJoined(room_id, socket)).toBe(false);
    await deliver(await send(room_id, admin, 'three'));
    expect(management.closed).toEqual([socket.connection_id]);
    expect(await isJoined(room_id, slow)).toBe(true);
  });

  test('causes only a gap for rooms.v2 connections when a fan-out invocation is lost', async () => {
    const { room_id, admin, member } = await newRoom();
    const own = await client(room_id, member);
    const ids = Array.from({ length: 1_100 }, (_, n) => `v2-${String(n).padStart(5, '0')}=`);
    await haveJoined(room_id, ids, member, { protocol: 'rooms.v2' });
    fanOut.work = () => Promise.reject(new Error('Out of memory'));
    const { lines } = await deliver(await send(room_id, admin, 'one'));
    expect(lines.map(({ entry }) => entry)).toContainEqual(
      expect.objectContaining({ action: 'lane', sent: 601, skipped: 500, failed: 0 }),
    );
    expect(management.closeAttempts).toEqual([]);
    await own.settle();
    expect(own.room.messages.size).toBe(1);
  });

  test('closes a connection whose token has expired, without sending anything', async () => {
    const { room_id, admin, member } = await newRoom();
    const soon = Math.floor(Date.now() / 1_000) + 1;
    const { socket } = await joinedV2(room_id, member, soon);
    const records = await send(room_id, admin, 'x');
    while (Date.now() / 1_000 <= soon) await new Promise((resolve) => setTimeout(resolve, 50));
    await deliver(records);
    expect(framesAt(socket)).toEqual([]);
    expect(management.closed).toEqual([socket.connection_id]);
  });
});

describe('the end of a room', () => {
  test('detaches its connections with one last frame; their other rooms continue', async () => {
    const [one, other] = [await newRoom(), await newRoom()];
    const { socket } = await joinedV2(one.room_id, one.member);
    await data('addParticipants', {
      as: other.admin,
      params: { room_id: other.room_id },
      body: { participant_ids: [one.member] },
    });
    await reply('join', socket, { room_id: other.room_id });
    const old = await joined(one.room_id, one.admin);
    await processed(() => end(one.room_id, one.admin));
    expect(framesAt(socket)).toEqual([
      {
        type: 'detached',
        room_id: one.room_id,
        reason: 'room_ended',
        joined_at: expect.any(String),
        sent_at: expect.any(String),
        events: [{ type: 'room_ended', data: expect.objectContaining({ status: 'ended' }) }],
      },
    ]);
    expect(management.received(old.connection_id).map(({ type }) => type)).toEqual(['room_ended']);
    expect(management.closed).toEqual([old.connection_id]);
    expect(await isJoined(one.room_id, socket)).toBe(false);
    expect(await reply('ping', socket, { rooms: [one.room_id, other.room_id] })).toMatchObject({
      rooms: { [other.room_id]: {} },
    });
    await deliver(await send(other.room_id, other.admin, 'still here'));
    expect(textsIn(framesAt(socket))).toEqual(['still here']);
  });

  test('by its schedule does the same', async () => {
    const end_time = new Date(Date.now() + 1_500).toISOString();
    const { room_id, member } = await newRoom({ body: { end_time } });
    const { socket } = await joinedV2(room_id, member);
    await runEventFunction('announce', (context) => announce({ room_id, moment: 'end', time: end_time }, context));
    expect(framesAt(socket)).toMatchObject([
      { type: 'detached', reason: 'room_ended', events: [{ type: 'room_ended' }] },
    ]);
    expect(management.closeAttempts).toEqual([]);
    expect(await isJoined(room_id, socket)).toBe(false);
  });

  test('is noticed with the next ping by a client that did not receive it', async () => {
    const { room_id, admin, member } = await newRoom();
    const { socket } = await joinedV2(room_id, member);
    management.respondWith(socket.connection_id, 429);
    await processed(() => end(room_id, admin));
    expect(management.closeAttempts).toEqual([]);
    expect(await reply('ping', socket, { rooms: [room_id] })).toMatchObject({ rooms: {} });
    expect(await invokeAction('join', socket, { room_id })).toMatchObject({ ok: false, code: 'room_ended' });
  });
});

test('a subscriber that does not respond does not delay the batch, and sees a gap', async () => {
  const { room_id, admin } = await newRoom();
  const user = newUser('subscriber');
  const subscriber = newV2Socket(user);
  await reply('subscribe', subscriber, {});
  management.respondWith(subscriber.connection_id, 'hold', 200);
  const added = await recorded(() =>
    data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [user] } }),
  );
  const { result, lines } = await runEventFunction('room-changes', (context) => roomChanges(changesIn(added), context));
  expect(result.batchItemFailures).toEqual([]);
  expect(lines.map(({ entry }) => entry)).toContainEqual(postGivenUp(subscriber));
  await processed(() => remove(room_id, admin, user));
  expect(framesAt(subscriber)).toMatchObject([{ type: 'events', feed: 'user', seq: 2 }]);
  expect(management.closeAttempts).toEqual([]);
});

describe('a removal', () => {
  test('detaches the connections of the removed user, whichever function notices first; the others see a change', async () => {
    const { room_id, admin, member } = await newRoom();
    const [gone, stays] = [await joinedV2(room_id, member), await joinedV2(room_id, admin)];
    const records = await recorded(() => remove(room_id, admin, member));
    expect(await handle(records)).toEqual([]);
    expect(framesAt(gone.socket)).toEqual([
      {
        type: 'detached',
        room_id,
        reason: 'removed',
        joined_at: gone.reply.joined_at,
        sent_at: expect.any(String),
        events: [{ type: 'participant_removed', data: { participant_id: member, reason: 'removed' } }],
      },
    ]);
    expect(eventsAt(stays.socket)).toContainEqual({
      type: 'participant_removed',
      data: { participant_id: member, reason: 'removed' },
    });
    expect(management.closeAttempts).toEqual([]);
    expect(await isJoined(room_id, gone.socket)).toBe(false);
    // The same records are delivered again.
    management.reset();
    expect(await handle(records)).toEqual([]);
    expect(management.closeAttempts).toEqual([]);
    expect(framesAt(gone.socket)).toEqual([]);
  });

  test.each([
    ['a connection', false],
    ['a connection whose first join was stored without a time by an earlier release, and', true],
  ])('does not detach %s that has joined again in the meantime', async (_, isOld) => {
    const { room_id, admin, member } = await newRoom();
    const { socket } = await joinedV2(room_id, member);
    if (isOld)
      await update(connectionKey(room_id, socket.connection_id), {
        UpdateExpression: 'REMOVE joined_at',
        ConditionExpression: 'attribute_exists(joined_at)',
      });
    const removal = await recorded(() => remove(room_id, admin, member));
    management.onRequest = undefined;
    // While the last frame is pending, because the gateway is throttled, the user is added again and joins again.
    management.respondWith(socket.connection_id, 429);
    const handled = handle(removal);
    await expect.poll(() => management.attempts.length).toBeGreaterThan(0);
    await data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
    const again = await reply('join', socket, { room_id });
    management.respondWith(socket.connection_id, 200);
    expect(await handled).toEqual([]);
    expect(framesAt(socket)[0]).toMatchObject({ type: 'detached' });
    expect(framesAt(socket)[0]).not.toMatchObject({ joined_at: again.joined_at });
    expect(await isJoined(room_id, socket)).toBe(true);
    const connections = (await get<ParticipantItem>(participantKey(room_id, member)))?.connections;
    expect([...(connections ?? [])]).toEqual([socket.connection_id]);
  });

  test.each(['rooms.v1', 'rooms.v2'] as const)(
    'does not wait for a %s connection that does not respond',
    async (protocol) => {
      const { room_id, admin, member } = await newRoom();
      const isV2 = protocol === 'rooms.v2';
      const socket = isV2 ? (await joinedV2(room_id, member)).socket : await joined(room_id, member);
      management.respondWith(socket.connection_id, 'hold');
      const removal = await recorded(() => remove(room_id, admin, member));
      const { result, lines } = await runEventFunction('room-changes', (context) =>
        roomChanges(changesIn(removal), context),
      );
      expect(result.batchItemFailures).toEqual([]);
      expect(lines.map(({ entry }) => entry)).toContainEqual(postGivenUp(socket));
      // A marked connection is closed before the events are sent.
      expect(management.closed).toEqual(isV2 ? [] : [socket.connection_id]);
      expect(await isJoined(room_id, socket)).toBe(false);
    },
  );

  test('stops messages to the removed user before its record is read', async () => {
    const { room_id, admin, member } = await newRoom();
    const { socket } = await joinedV2(room_id, member);
    const removal = await recorded(() => remove(room_id, admin, member));
    await deliver(await send(room_id, admin, 'secret'));
    expect(framesAt(socket)).toMatchObject([{ type: 'detached', reason: 'removed', events: [] }]);
    expect(await handle(removal)).toEqual([]);
    expect(framesAt(socket)).toHaveLength(1);
    expect(management.closeAttempts).toEqual([]);
    const body = JSON.stringify({ kind: 'disconnect', room_id });
    const { result } = await runEventFunction('presence', (context) =>
      presence({ Records: [{ messageId: '1', body }] } as Parameters<typeof presence>[0], context),
    );
    expect(result.batchItemFailures).toEqual([]);
    expect(management.closeAttempts).toEqual([]);
  });
});

describe('a subscription', () => {
  test('has its own numbers, and a failed post leaves a gap in them', async () => {
    const user = newUser('u');
    const [socket, old] = [newV2Socket(user), newV2Socket(user)];
    await reply('subscribe', socket, {});
    await reply('subscribe', { ...old, protocol: 'rooms.v1' }, {});
    const { room_id, admin } = await newRoom();
    const add = () => data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [user] } });
    management.respondWith(socket.connection_id, 429);
    await processed(add);
    expect(management.closeAttempts).toEqual([]);
    expect(await get(userConnectionKey(user, socket.connection_id))).toBeDefined();
    management.respondWith(socket.connection_id, 200);
    expect(await reply('ping', socket, { subscribed: true })).toMatchObject({ user: 1 });
    await processed(() => remove(room_id, admin, user));
    expect(framesAt(socket)).toEqual([
      {
        type: 'events',
        room_id,
        feed: 'user',
        seq: 2,
        sent_at: expect.any(String),
        events: [{ type: 'participant_removed', data: { participant_id: user, reason: 'removed' } }],
      },
    ]);
    expect(management.received(old.connection_id).map(({ type }) => type)).toEqual([
      'participant_added',
      'participant_removed',
    ]);
  });
});

/* Random deliveries */

interface Delivery {
  readonly from: number;
  readonly count: number;
  /** For each client: whether posts to it succeed. */
  readonly responses: readonly boolean[];
}

test('all clients converge after random batches that are delivered twice, partially and out of order, with failing posts', {
  timeout: 120_000,
}, async () => {
  const delivery: fc.Arbitrary<Delivery> = fc.record({
    from: fc.nat(11),
    count: fc.integer({ min: 1, max: 6 }),
    responses: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(delivery, { minLength: 2, maxLength: 8 }), async (deliveries) => {
      management.reset();
      const { room_id, admin, member } = await newRoom();
      const clients = [await client(room_id, admin), await client(room_id, member), await client(room_id, member)];
      const records = (await send(room_id, admin, ...Array.from({ length: 12 }, (_, n) => `${n}`))).filter(
        (record) => record.eventName === 'INSERT' && record.dynamodb?.Keys?.SK?.S?.startsWith('MESSAGE#'),
      );
      for (const { from, count, responses } of deliveries) {
        // A 403 is not retried, which keeps the test fast.
        for (const [n, { socket }] of clients.entries())
          management.respondWith(socket.connection_id, responses[n] ? 200 : 403);
        await deliver(records.slice(from, from + count));
        if (from % 2 === 0) for (const each of clients) each.receive();
        if (from % 3 === 0) await clients[0]?.settle();
      }
      // Finally, all records are delivered once more, though some clients may not receive them.
      await deliver(records);
      for (const each of clients) await each.settle();
      const wanted = await history(room_id, admin);
      for (const { room, socket } of clients) {
        expect([...room.messages.values()].sort((a, b) => (a.message_id < b.message_id ? -1 : 1))).toEqual(wanted);
        expect(await isJoined(room_id, socket)).toBe(true);
      }
      expect(management.closeAttempts).toEqual([]);
    }),
    { numRuns: 15 },
  );
});
