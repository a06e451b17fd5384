import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { liveParticipants } from '../../client/src/index.ts';
import { codeOf, wireServers } from './meeting.ts';
import { until } from './until.ts';

/* Read marks, roles, leaving a room, and warnings before its end. */

const wire = wireServers();

const marksOf = () => wire.server.requests.filter((line) => line.startsWith('PUT')).length;

describe('markRead', () => {
  test('moves the mark of the user forward only', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    expect(room.info).toMatchObject({ read_to: null, has_unread: false });
    const [first, second] = [await bobsRoom.send({ text: '1' }), await bobsRoom.send({ text: '2' })];
    await until('both are there', () => room.info.last_message_at === second.sent_at);
    expect(room.info.has_unread).toBe(true);
    const mark = { participant_id: 'alice', read_to: second.message_id };
    await room.markRead(first.message_id);
    expect(room.info).toMatchObject({ read_to: first.message_id, has_unread: true });
    expect(await room.markRead(second.message_id)).toEqual(mark);
    expect(await room.markRead(first.message_id)).toEqual(mark);
    expect(room.info).toMatchObject({ read_to: second.message_id, has_unread: false });
    expect(marksOf()).toBe(2);
    // Own messages count as read.
    await room.send({ text: '3' });
    await until('it is delivered', () => room.pending.length === 0);
    expect(room.info.has_unread).toBe(false);
  });

  test('makes one request at a time, and combines the calls that wait', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) ids.push((await bobsRoom.send({ text: String(n) })).message_id);
    const [first = '', ...others] = ids;
    const marking = room.markRead(first);
    // Lets the first request start.
    await sleep(0);
    const marks = await Promise.all([marking, ...others.map((id) => room.markRead(id))]);
    expect(marksOf()).toBe(2);
    expect(marks[0]).toEqual({ participant_id: 'alice', read_to: ids[0] });
    expect(new Set(marks.slice(1).map(({ read_to }) => read_to))).toEqual(new Set([ids[19]]));
  });

  test('can be repeated after it has failed', async () => {
    let isDown = true;
    const fetch: typeof globalThis.fetch = (input, init) =>
      isDown && String(input).endsWith('/read') ? Promise.reject(new TypeError('down')) : globalThis.fetch(input, init);
    const { connection, bobs, room_id } = await wire.meeting({ fetch, retries: 0 });
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const { message_id } = await bobsRoom.send({ text: '1' });
    const failing = [room.markRead(message_id), room.markRead(message_id)];
    expect(await Promise.all(failing.map(codeOf))).toEqual(['network_error', 'network_error']);
    isDown = false;
    expect(await room.markRead(message_id)).toMatchObject({ read_to: message_id });
  });

  test('reaches the other connections of the user that have subscribed', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const other = await wire.connect(wire.clientOf('alice'));
    const [room, others, bobsRoom] = await Promise.all([connection, other, bobs].map((one) => one.join(room_id)));
    if (!room || !others || !bobsRoom) throw new Error('They have not joined.');
    const read = vi.fn();
    const inRoom = vi.fn();
    other.on('read', read);
    others.on('read', inRoom);
    await other.subscribe();
    const { message_id } = await bobsRoom.send({ text: '1' });
    await until('it is there', () => others.info.has_unread);
    await room.markRead(message_id);
    await until('the other connection knows', () => read.mock.calls.length === 1);
    const mark = { participant_id: 'alice', read_to: message_id };
    expect(read.mock.calls[0]?.[0]).toEqual({ room_id, ...mark });
    expect(inRoom.mock.calls[0]?.[0]).toEqual(mark);
    expect(others.info).toMatchObject({ read_to: message_id, has_unread: false });
  });
});

test('liveParticipants shows roles, and read marks when it is read again', async () => {
  const { alice, bob, connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const list = liveParticipants(alice, room);
  const bobIn = () => list.state.participants.find(({ participant_id }) => participant_id === 'bob');
  await until('the list is read', () => list.state.status === 'ready');
  expect(bobIn()).toMatchObject({ role: 'member', read_to: null });
  await alice.setRole(room_id, 'bob', 'observer');
  await until('it is shown', () => bobIn()?.role === 'observer');
  await until('bob knows', () => bobsRoom.info.role === 'observer');
  const { message_id } = await room.send({ text: '1' });
  await bob.markRead(room_id, message_id);
  list.refresh();
  await until('it is shown', () => bobIn()?.read_to === message_id);
  list.close();
});

test('a room that the user leaves on another device is closed with that reason', async () => {
  const { bob, connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const removed = new Promise((resolve) => room.once('participant_removed', resolve));
  const closed = new Promise((resolve) => bobsRoom.once('closed', resolve));
  await bob.leaveRoom(room_id);
  expect(await removed).toEqual({ participant_id: 'bob', reason: 'left' });
  expect(await closed).toEqual({ reason: 'left' });
  expect(await codeOf(bobsRoom.send({ text: 'too late' }))).toBe('room_closed');
  expect(room.closed).toBeUndefined();
});

test('a warning of the end is delivered once, and again if the end moves', async () => {
  const { connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const warnings: string[] = [];
  room.on('room_ending', ({ ends_at, seconds_left }) => void warnings.push(`${ends_at} ${seconds_left}`));
  const [first, second] = ['2026-03-02T10:00:00.000Z', '2026-03-02T11:00:00.000Z'];
  for (const [ends_at, seconds_left] of [
    [first, 300],
    [first, 300],
    [first, 60],
    [second, 300],
    [first, 60],
  ] as const)
    wire.server.emit(room_id, 'room_ending', { ends_at, seconds_left });
  await until('the last is there', () => warnings.length === 3);
  await sleep(20);
  expect(warnings).toEqual([`${first} 300`, `${first} 60`, `${second} 300`]);
});
