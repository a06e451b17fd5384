import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { insertMessages, type LiveRoom, liveParticipants, type Message } from '../../client/src/index.ts';
import { seededRandom } from './faults.ts';
import { codeOf, wireServers } from './meeting.ts';
import { everyMessageOnce } from './outages.ts';
import { collect, until } from './until.ts';

/* Features of `rooms.v2`: sequence numbers and gaps, frames with several events, and sockets that stay open when a room ends. */

const wire = wireServers();

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A short ping interval, so that a test does not wait long. */
const SOON = { pingMs: 50 };

const textsOf = (room: LiveRoom) => {
  const texts: (string | null)[] = [];
  room.on('message', ({ text }) => texts.push(text));
  return texts;
};
const count = (room: LiveRoom, name: 'missed' | 'rejoined') => {
  const listener = vi.fn();
  room.on(name, () => listener());
  return listener;
};
/** Drops the next `times` frames of a feed to Alice. */
const skip = (feed: string, times = 1) => {
  let left = times;
  wire.server.skips = (frame, user) => user === 'alice' && frame.feed === feed && left-- > 0;
};

const seeds = process.env.ROOMS_TEST_SEED
  ? [Number(process.env.ROOMS_TEST_SEED)]
  : Array.from({ length: 2 }, () => Math.floor(Math.random() * 2 ** 31));

test.each(seeds)(
  'delivers every message once and in order through skipped, renumbered and packed frames and network faults (seed %i)',
  async (seed) => {
    const random = seededRandom(seed ^ 0x5eed);
    wire.server.packMs = 15;
    wire.server.skips = ({ feed }) => feed === 'messages' && random() < 0.1;
    const redelivering = setInterval(() => {
      for (const room_id of wire.server.rooms()) if (random() < 0.3) wire.server.redeliver(room_id, 3);
    }, 50);
    onTestFinished(() => clearInterval(redelivering));
    await everyMessageOnce(wire.server, wire.way, seed);
  },
);

describe('a skipped post', () => {
  test('is noticed by the next frame, and its message is read within 2 seconds', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const [texts, rejoined] = [textsOf(room), count(room, 'rejoined')];
    const reads = wire.server.reads;
    skip('messages');
    for (const text of ['skipped', 'seen', 'seen, too']) await bobsRoom.send({ text });
    await until('all are there', () => texts.length === 3);
    expect(texts).toEqual(['skipped', 'seen', 'seen, too']);
    expect(wire.server.reads - reads).toBe(1);
    expect(rejoined).not.toHaveBeenCalled();
    expect(wire.server.connections()).toBe(2);
  });

  test('is noticed by a ping if the room is silent afterwards', async () => {
    const { connection, bobs, room_id } = await wire.meeting(SOON);
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const texts = textsOf(room);
    skip('messages');
    const since = Date.now();
    await bobsRoom.send({ text: 'skipped' });
    await until('it is there', () => texts.length === 1);
    // The client waits at least 3 seconds, because the reply to the ping can overtake a frame.
    expect(Date.now() - since).toBeGreaterThanOrEqual(3_000);
    expect(wire.server.asked).toContainEqual({ rooms: [room_id] });
  });

  test('is noticed within two lagMs if it was an own message', async () => {
    const { connection, room_id } = await wire.meeting({ lagMs: 100 });
    const room = await connection.join(room_id);
    const texts = textsOf(room);
    skip('messages');
    await room.send({ text: 'mine' });
    await until('it is there', () => texts.length === 1);
    expect(room.pending).toEqual([]);
    expect(wire.server.handled).toContain('ping');
  });

  test('is noticed if it concerned the room: the room is read once, and the application is informed', async () => {
    const { alice, connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const people = liveParticipants(alice, room);
    await until('the list is read', () => people.state.status === 'ready');
    const [missed, rejoined] = [count(room, 'missed'), count(room, 'rejoined')];
    const readsOf = (end: string) =>
      wire.server.requests.filter((line) => line.includes(room_id) && line.includes(end));
    const before = wire.server.requests.length;
    skip('changes', 3);
    wire.server.set(room_id, { name: 'Renamed' });
    for (let n = 0; n < 3; n++) wire.server.emit(room_id, 'peer_joined', { participant_id: 'bob', username: null });
    wire.server.emit(room_id, 'peer_left', { participant_id: 'bob', username: null });
    await until('it is told', () => missed.mock.calls.length > 0);
    expect(room.info.name).toBe('Renamed');
    expect(rejoined).toHaveBeenCalledTimes(1);
    await sleep(100);
    const since = wire.server.requests.slice(before);
    expect(since).toEqual([
      `GET /participant/room/${room_id}`,
      expect.stringContaining(`GET /participant/room/${room_id}/participant?`),
    ]);
    expect(readsOf('chat')).toHaveLength(2);
  });
});

describe('an outage', () => {
  test('without events causes no read', async () => {
    const { alice, connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const people = liveParticipants(alice, room);
    const [texts, missed] = [textsOf(room), count(room, 'missed')];
    await bobsRoom.send({ text: 'before' });
    await until('it is there', () => texts.length === 1 && people.state.status === 'ready');
    const before = wire.server.requests.length;
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    wire.way.cut();
    await again;
    await bobsRoom.send({ text: 'after' });
    await until('it is there', () => texts.length === 2);
    expect(wire.server.requests.slice(before)).toEqual([]);
    expect(missed).not.toHaveBeenCalled();
  });

  test('of more than five minutes is followed by a read, although the numbers are the same', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const missed = count(room, 'missed');
    const { reads } = wire.server;
    const now = vi.spyOn(Date, 'now');
    onTestFinished(() => now.mockRestore());
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    connection.once('reconnecting', () => {
      now.mockImplementation(() => performance.timeOrigin + performance.now() + 301_000);
    });
    wire.way.cut();
    await again;
    expect(wire.server.reads - reads).toBe(1);
    expect(missed).toHaveBeenCalledTimes(1);
  });

  test('loses nothing if the restored table counts from an earlier number', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const texts = textsOf(room);
    for (const text of ['1', '2', '3']) await bobsRoom.send({ text });
    await until('all are there', () => texts.length === 3);
    wire.way.refusing = true;
    wire.way.cut();
    await until('it is offline', () => connection.state === 'reconnecting');
    wire.server.setSeq(room_id, { messages: 1, changes: 0 });
    await bobsRoom.send({ text: '4' });
    wire.way.refusing = false;
    await until('the missed one is there', () => texts.length === 4);
    await bobsRoom.send({ text: '5' });
    await until('the next one is there', () => texts.length === 5);
    expect(texts).toEqual(['1', '2', '3', '4', '5']);
  });
});

test('delivers messages with reused numbers: the table was restored while the socket was open', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const texts = textsOf(room);
  for (const text of ['1', '2', '3']) await bobsRoom.send({ text });
  await until('all are there', () => texts.length === 3);
  wire.server.setSeq(room_id, { messages: 1 });
  for (const text of ['4', '5', '6']) await bobsRoom.send({ text });
  await until('all are there', () => texts.length === 6);
  expect(texts).toEqual(['1', '2', '3', '4', '5', '6']);
});

test('joins again if the numbers decrease while the socket is open', async () => {
  const { connection, bobs, room_id } = await wire.meeting(SOON);
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const texts = textsOf(room);
  for (const text of ['1', '2']) await bobsRoom.send({ text });
  await until('both are there', () => texts.length === 2);
  const again = new Promise((resolve) => room.once('rejoined', resolve));
  wire.server.setSeq(room_id, { messages: 0 });
  await again;
  await bobsRoom.send({ text: '3' });
  await until('it is there', () => texts.length === 3);
  expect(wire.server.connections()).toBe(2);
});

describe('a room that ends for a user', () => {
  test('does not affect the socket and the other rooms', async () => {
    const { alice, connection, bobs, room_id } = await wire.meeting();
    const bob = wire.clientOf('bob');
    const { room_id: other } = await bob.createRoom({ name: 'Bob’s', participant_ids: ['alice'] });
    const [ending, leaving] = await Promise.all([connection.join(room_id), connection.join(other)]);
    const { room_id: third } = await alice.createRoom({ name: 'Third' });
    const staying = await connection.join(third);
    const texts = textsOf(staying);
    const closed = [ending, leaving].map((room) => new Promise((resolve) => room.once('closed', resolve)));
    await alice.endRoom(room_id);
    await bob.removeParticipants(other, ['alice']);
    expect(await Promise.all(closed)).toEqual([{ reason: 'room_ended' }, { reason: 'removed' }]);
    await staying.send({ text: 'still here' });
    await until('it is there', () => texts.length === 1);
    expect(connection.state).toBe('connected');
    expect(wire.server.tokens).toHaveLength(2);
    // A later join on the same socket.
    expect(await codeOf(connection.join(room_id))).toBe('room_ended');
    (await bobs.join(other)).leave();
  });

  test('is not closed by a late `detached` frame of an earlier join', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const texts = textsOf(room);
    wire.server.detach(room_id, 'alice', true);
    await bobsRoom.send({ text: 'still here' });
    await until('it is there', () => texts.length === 1);
    expect(room.closed).toBeUndefined();
  });

  test('is joined again if the last frame gives no reason: the user may still be a participant', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const texts = textsOf(room);
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    wire.server.detach(room_id, 'alice');
    await bobsRoom.send({ text: 'unheard' });
    await again;
    expect(texts).toEqual(['unheard']);
    expect(room.closed).toBeUndefined();
  });

  test('is closed after its history has been read for the first time', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reads = 0;
    const fetch: typeof globalThis.fetch = async (input, init) => {
      // The first read happens before the join, the second after it.
      if (String(input).includes('/chat') && reads++ === 1) await held;
      return globalThis.fetch(input, init);
    };
    const { alice, room_id } = await wire.meeting();
    const bobs = await wire.connect(wire.clientOf('bob', { fetch }));
    const joining = bobs.join(room_id);
    await until('history is being read', () => reads === 2);
    await alice.endRoom(room_id);
    // Lets the frame `detached` arrive.
    await sleep(50);
    release();
    const room = await joining;
    await until('it is closed', () => room.closed !== undefined);
    expect(room.closed).toEqual({ reason: 'room_ended' });
  });

  test('is noticed by a ping if its last frame was lost: it has ended', async () => {
    const { alice, connection, bobs, room_id } = await wire.meeting(SOON);
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const texts = collect(room.messages(), ({ text }) => text);
    const closed = new Promise((resolve) => room.once('closed', resolve));
    wire.server.skips = () => true;
    await bobsRoom.send({ text: 'last words' });
    await alice.endRoom(room_id);
    expect(await closed).toMatchObject({ reason: 'room_ended' });
    expect(await texts).toEqual(['last words']);
    expect(room.info.status).toBe('ended');
  });

  test('is noticed by a ping if its last frame was lost: the user was removed', async () => {
    const { alice, bob, room_id } = await wire.meeting();
    const impatient = await wire.connect(wire.clientOf('bob', SOON));
    const room = await impatient.join(room_id);
    const closed = new Promise((resolve) => room.once('closed', resolve));
    wire.server.skips = () => true;
    await alice.removeParticipants(room_id, ['bob']);
    expect(await closed).toMatchObject({ reason: 'removed' });
    expect(impatient.state).toBe('connected');
    (await bob.connect()).close();
  });

  test('is closed if missed events can no longer be read', async () => {
    const { alice, connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const closed = new Promise((resolve) => bobsRoom.once('closed', resolve));
    let isFirst = true;
    wire.server.skips = ({ type }, user) => type === 'detached' || (user === 'bob' && isFirst);
    await room.send({ text: 'skipped' });
    isFirst = false;
    await room.send({ text: 'seen' });
    await alice.removeParticipants(room_id, ['bob']);
    expect(await closed).toMatchObject({ reason: 'removed' });
  });
});

test('repeats a join that the service has lost', async () => {
  const { connection, bobs, room_id } = await wire.meeting(SOON);
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const texts = textsOf(room);
  const again = new Promise((resolve) => room.once('rejoined', resolve));
  wire.server.forget(room_id, 'alice');
  await bobsRoom.send({ text: 'unheard' });
  await again;
  expect(texts).toEqual(['unheard']);
  expect(wire.server.joined(room_id)).toContain('alice');
  expect(wire.server.connections()).toBe(2);
});

describe('pings', () => {
  test('ask about 50 rooms each', async () => {
    const { alice, connection } = await wire.meeting(SOON);
    const ids: string[] = [];
    for (let n = 0; n < 60; n++) ids.push((await alice.createRoom({ name: `Room ${n}` })).room_id);
    await Promise.all(ids.map((id) => connection.join(id)));
    const before = wire.server.asked.length;
    await until('it has pinged', () => wire.server.asked.length >= before + 4);
    const sizes = wire.server.asked.slice(before).map(({ rooms = [] }) => rooms.length);
    expect(Math.max(...sizes)).toBe(50);
    expect(sizes).toContain(10);
  });

  test('stop while frames arrive', async () => {
    const { connection, bobs, room_id } = await wire.meeting({ pingMs: 400 });
    const [, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const before = wire.server.handled.filter((action) => action === 'ping').length;
    for (let n = 0; n < 20; n++) {
      await bobsRoom.send({ text: String(n) });
      await sleep(50);
    }
    expect(wire.server.handled.filter((action) => action === 'ping').length).toBe(before);
  });

  test('are sent at once when the page becomes visible', async () => {
    const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
    vi.stubGlobal('document', page);
    const { connection, room_id } = await wire.meeting({ replyMs: 200 });
    const room = await connection.join(room_id);
    page.visibilityState = 'hidden';
    page.dispatchEvent(new Event('visibilitychange'));
    await sleep(50);
    expect(wire.server.handled).not.toContain('ping');
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    wire.way.freeze();
    page.visibilityState = 'visible';
    page.dispatchEvent(new Event('visibilitychange'));
    await again;
  });

  test('notice a half-open connection after a silence of at most four times pingMs', async () => {
    const { connection, room_id } = await wire.meeting({ pingMs: 100, replyMs: 200 });
    const room = await connection.join(room_id);
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    const since = Date.now();
    wire.way.freeze();
    await again;
    expect(Date.now() - since).toBeLessThan(3_000);
  });
});

describe('a subscription', () => {
  const ROOM = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';

  test('reports that the rooms must be listed only if changes were missed', async () => {
    const connection = await wire.connect(wire.clientOf('alice', SOON));
    const events: string[] = [];
    connection.on('subscribed', () => void events.push('subscribed'));
    connection.on('added', () => void events.push('added'));
    connection.on('removed', () => void events.push('removed'));
    await connection.subscribe();
    wire.server.notify('alice', ROOM, 'participant_added');
    await until('it is there', () => events.length === 2);
    const subscribes = () => wire.server.handled.filter((action) => action === 'subscribe').length;
    wire.way.cut();
    await until('it has subscribed again', () => subscribes() === 2);
    wire.server.notify('alice', ROOM, 'participant_removed');
    await until('it is there', () => events.length === 3);
    skip('user');
    wire.server.notify('alice', ROOM, 'participant_added');
    await until('it is noticed', () => events.length === 4);
    expect(events).toEqual(['subscribed', 'added', 'removed', 'subscribed']);
    expect(wire.server.asked).toContainEqual({ subscribed: true });
  });

  test('is repeated if the service has lost it', async () => {
    const connection = await wire.connect(wire.clientOf('alice', SOON));
    const subscribed = vi.fn();
    connection.on('subscribed', subscribed);
    await connection.subscribe();
    wire.server.subscribed.clear();
    wire.server.notify('alice', ROOM, 'participant_added');
    await until('it has subscribed again', () => subscribed.mock.calls.length === 2);
    expect(wire.server.subscribed.size).toBe(1);
  });
});

test('frames that a budget rejects are resent after retry_after, in order', async () => {
  const { connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const texts = textsOf(room);
  wire.server.refusals.push({ action: 'message', code: 'too_many_requests', retry_after: 1 });
  const since = Date.now();
  await Promise.all(['1', '2', '3'].map((text) => room.send({ text })));
  expect(Date.now() - since).toBeGreaterThanOrEqual(1_000);
  await until('all are there', () => texts.length === 3);
  expect(texts).toEqual(['1', '2', '3']);
  expect(wire.server.frames.filter((action) => action === 'message')).toHaveLength(4);
});

test('liveParticipants follows the digests of large rooms', async () => {
  const { alice, connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const people = liveParticipants(alice, room);
  await until('the list is read', () => people.state.status === 'ready');
  expect(people.state.onlineCount).toBe(1);
  const bob = { participant_id: 'bob', username: 'Bob' };
  wire.server.emit(room_id, 'presence', { count: 101, joined: [bob], left: [] });
  await until('the count is there', () => people.state.onlineCount === 101);
  expect(people.state.participants).toContainEqual(expect.objectContaining({ ...bob, online: true }));
  wire.server.emit(room_id, 'presence', { count: 1_234 });
  await until('the count is there', () => people.state.onlineCount === 1_234);
  const reads = () => wire.server.requests.filter((line) => line.includes('/participant?')).length;
  const before = reads();
  wire.server.emit(room_id, 'peer_left', bob);
  await until('it counts itself again', () => people.state.onlineCount === 1);
  // The client missed events while the server sent only counts, so it reads the list again.
  await until('the list is read again', () => reads() > before);
});

test('insertMessages keeps the order of history, each message once', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  let shown: readonly Message[] = [];
  room.on('message', (message) => {
    shown = insertMessages(shown, [message]);
  });
  const sent: Message[] = [];
  for (const text of ['1', '2', '3']) sent.push(await bobsRoom.send({ text }));
  await until('all are there', () => shown.length === 3);
  expect(insertMessages([], sent.toReversed())).toEqual(shown);
  expect(insertMessages(shown, sent)).toEqual(sent);
});

test.each(['in one packet with the reply', 'in one packet with the reply, before a late frame of the previous join'])(
  'a `detached` frame ends a second join if it arrives %s',
  async (how) => {
    let reply: (() => void) | undefined;
    let isHolding = false;
    /** Holds the reply to a join until the frame `detached` arrives, then delivers both at once. */
    class Packing extends WebSocket {
      override set onmessage(listener: ((event: MessageEvent) => void) | null) {
        super.onmessage =
          listener &&
          ((event) => {
            const isReply = isHolding && String(event.data).includes('"joined_at"') && !reply;
            if (isReply) reply = () => listener(event);
            else {
              reply?.();
              listener(event);
              const { data } = event;
              if (reply && how.endsWith('previous join') && data.includes('"detached"'))
                listener(
                  new MessageEvent('message', { data: data.replace(/"joined_at":"[^"]*"/, '"joined_at":"before"') }),
                );
            }
          });
      }
      override get onmessage() {
        return null;
      }
    }
    const { alice, connection, room_id } = await wire.meeting();
    const { room_id: other } = await alice.createRoom({ name: 'Other', participant_ids: ['bob'] });
    const bobs = await wire.connect(
      // The reply is held. With the default, the client would join once more on a busy machine.
      wire.clientOf('bob', { wsUrl: wire.server.wsUrl, WebSocket: Packing, replyMs: 60_000 }),
    );
    const [bobsRoom] = await Promise.all([bobs.join(other), connection.join(room_id)]);
    const closed = new Promise((resolve) => bobsRoom.once('closed', resolve));
    isHolding = true;
    wire.server.closeSockets();
    await until('bob joins again', () => reply !== undefined);
    await alice.removeParticipants(other, ['bob']);
    expect(await closed).toEqual({ reason: 'removed' });
  },
);
