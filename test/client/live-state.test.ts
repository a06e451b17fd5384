import { expect, test, vi } from 'vitest';
import { type LiveState, liveMessages, liveParticipants } from '../../client/src/index.ts';
import { wireServers } from './meeting.ts';
import { until } from './until.ts';

const wire = wireServers();

const texts = (list: ReturnType<typeof liveMessages>) => list.state.messages.map(({ text }) => text);
const online = (list: ReturnType<typeof liveParticipants>) =>
  list.state.participants.filter((person) => person.online).map(({ participant_id }) => participant_id);
const isReady = (list: LiveState<{ readonly status: string }>) => () => list.state.status === 'ready';

test('liveMessages lists the newest page, earlier pages on request, and new messages through outages', async () => {
  const { alice, connection, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  for (let n = 1; n <= 7; n++) await bobsRoom.send({ text: String(n) });
  const room = await connection.join(room_id);
  const list = liveMessages(alice, room, { pageSize: 3 });
  expect(list.state.earlier).toBe('loading');
  await until('the first page is read', () => list.state.earlier === 'more');
  expect(texts(list)).toEqual(['5', '6', '7']);
  wire.way.refusing = true;
  wire.way.cut();
  await bobsRoom.send({ text: '8' });
  wire.way.refusing = false;
  await until('the missed message is there', () => texts(list).includes('8'));
  await Promise.all([list.loadEarlier(), list.loadEarlier()]);
  expect(texts(list)).toEqual(['2', '3', '4', '5', '6', '7', '8']);
  await list.loadEarlier();
  expect(list.state.earlier).toBe('none');
  expect(texts(list)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  list.close();
  await bobsRoom.send({ text: '9' });
  await until('alice has it', () => wire.server.handled.filter((action) => action === 'message').length >= 9);
  expect(texts(list)).toHaveLength(8);
});

test('liveMessages retries a page that could not be read', async () => {
  let isDown = true;
  const fetch: typeof globalThis.fetch = (input, init) =>
    isDown && String(input).includes('limit=7') ? Promise.reject(new TypeError('down')) : globalThis.fetch(input, init);
  const { alice, connection, room_id } = await wire.meeting({ fetch, retries: 0 });
  const list = liveMessages(alice, await connection.join(room_id), { pageSize: 7 });
  await until('it has failed', () => list.state.earlier === 'failed');
  isDown = false;
  await list.loadEarlier();
  expect(list.state.earlier).toBe('none');
});

test('liveMessages shows an own message as pending until it is delivered, and never in both lists', async () => {
  const { alice, connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const list = liveMessages(alice, room);
  await until('the first page is read', () => list.state.earlier === 'none');
  const shown: string[][] = [];
  list.subscribe(({ messages, pending }) =>
    shown.push([...messages.map(({ text }) => `${text}`), ...pending.map(({ text, state }) => `${text} ${state}`)]),
  );
  wire.server.lagMs = 50;
  const sent = await room.send({ text: 'mine' });
  await until('it is delivered', () => list.state.messages.length === 1);
  await until('it is shown', () => shown.at(-1)?.[0] === 'mine');
  expect(list.state).toMatchObject({ messages: [sent], pending: [] });
  expect(shown).toEqual([['mine queued'], ['mine stored'], ['mine']]);
});

test('liveParticipants follows presence, rights and names, and reads the list again after an outage', async () => {
  const { alice, connection, bobs, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const list = liveParticipants(alice, room);
  await until('the list is read', isReady(list));
  expect(online(list)).toEqual(['alice']);
  wire.server.emit(room_id, 'peer_joined', { participant_id: 'bob', username: 'Bob' });
  wire.server.emit(room_id, 'participant_added', {
    participant_id: 'carol',
    username: null,
    archive_room: false,
    role: 'observer',
  });
  wire.server.emit(room_id, 'participant_updated', { participant_id: 'bob', is_admin: true });
  await until('bob is an admin', () => list.state.participants.some((one) => one.username === 'Bob' && one.is_admin));
  expect(online(list)).toEqual(['alice', 'bob']);
  expect(list.state.participants.map(({ participant_id }) => participant_id)).toEqual(['alice', 'bob', 'carol']);
  wire.server.emit(room_id, 'peer_left', { participant_id: 'bob', username: 'Bob' });
  wire.server.emit(room_id, 'participant_removed', { participant_id: 'carol', reason: 'removed' });
  wire.server.emit(room_id, 'peer_left', { participant_id: 'carol', username: null });
  await until('both are gone', () => online(list).length === 1 && list.state.participants.length === 2);

  wire.way.refusing = true;
  wire.way.cut();
  await bobs.join(room_id);
  // The client misses the event, but sees the gap in the numbers.
  wire.server.emit(room_id, 'peer_joined', { participant_id: 'bob', username: 'Bob' });
  wire.way.refusing = false;
  await until('presence is right', () => online(list).length === 2);
  await room.leave();
  expect(online(list)).toEqual([]);
});

test('liveParticipants keeps changes that happen while it reads the list', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await globalThis.fetch(input, init);
    if (String(input).includes('/participant?')) await held;
    return response;
  };
  const { alice, connection, room_id } = await wire.meeting({ fetch });
  const list = liveParticipants(alice, await connection.join(room_id));
  await until('the list is on its way', () => wire.server.requests.some((line) => line.includes('/participant?')));
  wire.server.emit(room_id, 'peer_joined', { participant_id: 'bob', username: null });
  await until('the event is there', () => online(list).includes('bob'));
  release();
  await until('the list is read', isReady(list));
  expect(online(list)).toEqual(['alice', 'bob']);
});

test('live lists call a listener once for simultaneous changes, and not after close', async () => {
  const { alice, connection, bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  const room = await connection.join(room_id);
  const list = liveMessages(alice, room);
  await until('the first page is read', () => list.state.earlier === 'none');
  wire.way.refusing = true;
  wire.way.cut();
  for (let n = 0; n < 20; n++) await bobsRoom.send({ text: String(n) });
  const listener = vi.fn();
  const stop = list.subscribe(listener);
  wire.way.refusing = false;
  await until('all are there', () => list.state.messages.length === 20);
  await until('the listener was called', () => listener.mock.calls.length > 0);
  expect(listener).toHaveBeenCalledTimes(1);
  stop();
  await bobsRoom.send({ text: 'another' });
  await until('it is there', () => list.state.messages.length === 21);
  await Promise.resolve();
  expect(listener).toHaveBeenCalledTimes(1);
});
