import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { insertMessages, type LiveRoom, liveMessages, type Message, replaceMessage } from '../../client/src/index.ts';
import { codeOf, wireServers } from './meeting.ts';
import { follow } from './outages.ts';
import { until } from './until.ts';
import { isV1 } from './wire-server.ts';

/* Edits and deletions of messages. outage.test.ts tests them with random disconnects, and change-log.test.ts with random histories. */

const wire = wireServers();

const texts = (shown: ReadonlyMap<string, Message>) => [...shown.values()].map(({ text }) => text);
const send = async (room: LiveRoom, ...all: readonly string[]): Promise<string[]> => {
  const ids: string[] = [];
  for (const text of all) ids.push((await room.send({ text })).message_id);
  return ids;
};

/** Disconnects Alice, runs `work`, and waits until she has rejoined. */
async function whileAway(room: LiveRoom, work: () => Promise<unknown>): Promise<void> {
  const again = new Promise((resolve) => room.once('rejoined', resolve));
  wire.way.refusing = true;
  wire.way.cut();
  await work();
  wire.way.refusing = false;
  await again;
}

test('an edit and a deletion are delivered to everyone, with the whole message', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const events = vi.fn();
  room.on('message_updated', (message, { type, sent_at }) => events(type, message, typeof sent_at));
  room.on('message_deleted', (message, { type, sent_at }) => events(type, message, typeof sent_at));
  const [first = '', second = ''] = await send(bobsRoom, 'one', 'two');
  const edited = await bobsRoom.edit(first, 'One');
  const deleted = await bobsRoom.delete(second);
  await until('both are there', () => events.mock.calls.length === 2);
  expect(edited).toMatchObject({ message_id: first, text: 'One', edited_at: expect.any(String), change: 1 });
  expect(deleted).toMatchObject({ message_id: second, text: null, deleted_by: 'bob', change: 2 });
  expect(events.mock.calls).toEqual([
    ['message_updated', edited, 'string'],
    ['message_deleted', deleted, 'string'],
  ]);
  expect(room.lastChange).toBe(2);
});

test('edits and deletions reject with the errors of the service', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const [own = '', other = ''] = [...(await send(bobsRoom, 'mine')), ...(await send(room, 'yours'))];
  expect(await codeOf(bobsRoom.edit(other, 'x'))).toBe('not_the_sender');
  expect(await codeOf(bobsRoom.delete(other))).toBe('not_the_sender');
  expect(await codeOf(bobsRoom.delete('01HZZZZZZZZZZZZZZZZZZZZZZZ'))).toBe('message_not_found');
  await bobsRoom.delete(own);
  expect(await codeOf(bobsRoom.edit(own, 'x'))).toBe('message_deleted');
  // An admin can delete messages of others. Deleting a message twice changes it once.
  const again = await room.delete(own);
  expect(again).toMatchObject({ deleted_by: 'bob', change: 1 });
});

test('an own edit is delivered once, before its event arrives', async () => {
  const { connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const [id = ''] = await send(room, 'one');
  await until('it is delivered', () => room.pending.length === 0);
  const { shown, changes, wrong } = follow(room);
  wire.server.lagMs = 300;
  await room.edit(id, 'One');
  expect(changes).toEqual([1]);
  expect(texts(shown)).toEqual(['One']);
  await sleep(400);
  expect([changes, wrong]).toEqual([[1], []]);
});

test.each(['an edit', 'a deletion'])('%s during an outage is delivered before rejoined', async (what) => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const { shown, changes, wrong } = follow(room);
  const [id = ''] = await send(bobsRoom, 'one', 'two');
  await until('both are there', () => shown.size === 2);
  const reads = wire.server.changeReads;
  await whileAway(room, () => (what === 'an edit' ? bobsRoom.edit(id, 'One') : bobsRoom.delete(id)));
  expect(texts(shown)).toEqual([what === 'an edit' ? 'One' : null, 'two']);
  expect([changes, wrong]).toEqual([[1], []]);
  expect(wire.server.changeReads).toBe(reads + 1);
});

test('an outage without edits causes no read of the changes', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const { shown } = follow(room);
  await whileAway(room, () => send(bobsRoom, 'one'));
  expect(texts(shown)).toEqual(['one']);
  expect(wire.server.changeReads).toBe(0);
});

test('changes of an outage are read page by page, each message once, at its last change', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const { shown, changes, wrong } = follow(room);
  const ids = await send(bobsRoom, ...Array.from({ length: 12 }, (_, n) => String(n)));
  await until('all are there', () => shown.size === 12);
  wire.server.changesPageSize = 5;
  await whileAway(room, async () => {
    for (const id of [...ids, ...ids.slice(0, 3)]) await bobsRoom.edit(id, `${id} edited`);
    // New messages that are edited or deleted before Alice reads them.
    const [edited = '', deleted = ''] = await send(bobsRoom, 'new', 'gone');
    await bobsRoom.edit(edited, 'new edited');
    await bobsRoom.delete(deleted);
  });
  expect(wrong).toEqual([]);
  // Changes 1 to 3 are missing because messages 0 to 2 were changed again. The new messages already contain their changes.
  expect(changes).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  expect(wire.server.changeReads).toBe(3);
  expect(texts(shown)).toEqual([...ids.map((id) => `${id} edited`), 'new edited', null]);
  expect(room.lastChange).toBe(17);
});

describe('a change whose event is lost', () => {
  test('is read after a later change has come, within 2 seconds', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const { shown, changes, wrong } = follow(room);
    const ids = await send(bobsRoom, 'one', 'two');
    await until('both are there', () => shown.size === 2);
    wire.server.change(room_id, ids[0] ?? '', 'bob', 'One');
    await bobsRoom.edit(ids[1] ?? '', 'Two');
    await until('both are edited', () => changes.length === 2);
    expect(texts(shown)).toEqual(['One', 'Two']);
    expect([changes, wrong]).toEqual([[1, 2], []]);
    // One read by Alice, and one by Bob, whose response contains the second change.
    expect(wire.server.changeReads).toBeLessThanOrEqual(2);
  });

  test('is not read if its event arrives in time, after a later one', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const { shown, changes } = follow(room);
    const ids = await send(bobsRoom, 'one', 'two');
    await until('both are there', () => shown.size === 2);
    const late = wire.server.change(room_id, ids[0] ?? '', 'bob', 'One');
    wire.server.announce(room_id, wire.server.change(room_id, ids[1] ?? '', 'bob', 'Two'));
    wire.server.announce(room_id, late);
    await until('both are edited', () => changes.length === 2);
    expect(changes).toEqual([1, 2]);
    await sleep(2_100);
    expect(wire.server.changeReads).toBe(0);
  });

  test.skipIf(isV1)('is read after a gap in the numbers of the socket', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const { shown, changes, wrong } = follow(room);
    const [id = ''] = await send(bobsRoom, 'one');
    await until('it is there', () => shown.size === 1);
    let left = 1;
    wire.server.skips = ({ feed }, user) => user === 'alice' && feed === 'messages' && left-- > 0;
    await bobsRoom.edit(id, 'One');
    await send(bobsRoom, 'two');
    await until('all is there', () => shown.size === 2);
    expect(texts(shown)).toEqual(['One', 'two']);
    expect([changes, wrong]).toEqual([[1], []]);
  });
});

test('a change waits until its message is delivered', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const { shown, changes, wrong } = follow(room);
  const [id = ''] = await send(bobsRoom, 'one');
  await until('it is there', () => shown.size === 1);
  // The event of the next message arrives later than the event of its edit.
  wire.server.lagMs = 300;
  const [late = ''] = await send(bobsRoom, 'late');
  await sleep(20);
  wire.server.lagMs = 0;
  wire.server.announce(room_id, wire.server.change(room_id, late, 'bob', 'Late'));
  wire.server.announce(room_id, wire.server.change(room_id, id, 'bob', 'One'));
  await until('it is there', () => shown.size === 2);
  expect(texts(shown)).toEqual(['One', 'Late']);
  expect(wrong).toEqual([]);
  // With rooms.v2, the frame numbers show that a message is missing, so the edits are held back until it arrives.
  expect(changes).toEqual(isV1 ? [2] : [1, 2]);
});

describe('join', () => {
  test('delivers edits since the last visit with the option lastChange', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const before = follow(room);
    const ids = await send(bobsRoom, 'one', 'two');
    await bobsRoom.edit(ids[0] ?? '', 'One');
    await until('it is edited', () => before.changes.length === 1);
    const { lastChange } = room;
    await room.leave();
    await bobsRoom.edit(ids[1] ?? '', 'Two');
    await send(bobsRoom, 'three');
    const again = await connection.join(room_id, { known: before.read, lastChange });
    const after = follow(again);
    await until('both are there', () => after.read.length === 1 && after.changes.length === 1);
    expect(after.changes).toEqual([2]);
    expect(texts(after.shown)).toEqual(['three', 'Two']);
  });

  test('delivers no earlier edits without the option lastChange', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const bobsRoom = await bobs.join(room_id);
    const ids = await send(bobsRoom, 'one', 'two');
    await bobsRoom.edit(ids[0] ?? '', 'One');
    const { shown, changes } = follow(await connection.join(room_id, { history: 10 }));
    await bobsRoom.edit(ids[1] ?? '', 'Two');
    await until('it is edited', () => changes.length === 1);
    expect(texts(shown)).toEqual(['One', 'Two']);
    expect([changes, wire.server.changeReads]).toEqual([[2], 0]);
  });
});

test('changes are delivered before the end of a room is reported', async () => {
  const { alice, connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const { shown, changes } = follow(room);
  const closed = new Promise((resolve) => room.once('closed', resolve));
  const [id = ''] = await send(bobsRoom, 'one');
  await until('it is there', () => shown.size === 1);
  wire.server.change(room_id, id, 'bob', 'last words');
  await alice.endRoom(room_id);
  expect(await closed).toEqual({ reason: 'room_ended' });
  expect([texts(shown), changes]).toEqual([['last words'], [1]]);
});

test('changes are followed from a lower number after the table was restored', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const { changes } = follow(room);
  const [id = ''] = await send(bobsRoom, 'one');
  for (const text of ['1', '2', '3']) await bobsRoom.edit(id, text);
  await until('all are there', () => changes.length === 3);
  await whileAway(room, async () => wire.server.setLastChange(room_id, 1));
  await bobsRoom.edit(id, '2 again');
  await until('it is there', () => changes.length === 4);
  expect(changes).toEqual([1, 2, 3, 2]);
});

test('works with a service that does not support edits', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  wire.server.hasChanges = false;
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const { shown, changes } = follow(room);
  await whileAway(room, () => send(bobsRoom, 'one'));
  expect(texts(shown)).toEqual(['one']);
  expect([room.lastChange, wire.server.changeReads]).toEqual([undefined, 0]);
  // The service is upgraded while clients are connected.
  const [id = ''] = await send(bobsRoom, 'two');
  wire.server.setLastChange(room_id, 7);
  await bobsRoom.edit(id, 'Two');
  await until('it is there', () => changes.length === 1);
  expect(changes).toEqual([8]);
});

describe('liveMessages', () => {
  test('shows edits and deletions, also of earlier pages and after an outage', async () => {
    const { alice, connection, bobs, room_id } = await wire.meeting();
    const bobsRoom = await bobs.join(room_id);
    const ids = await send(bobsRoom, '1', '2', '3', '4', '5');
    const room = await connection.join(room_id);
    const list = liveMessages(alice, room, { pageSize: 2 });
    const shown = () => list.state.messages.map(({ text }) => text);
    await until('the first page is read', () => list.state.earlier === 'more');
    await bobsRoom.edit(ids[4] ?? '', 'five');
    await bobsRoom.edit(ids[1] ?? '', 'two');
    await until('it is edited', () => room.lastChange === 2);
    expect(shown()).toEqual(['4', 'five']);
    await list.loadEarlier();
    expect(shown()).toEqual(['two', '3', '4', 'five']);
    await whileAway(room, () => bobsRoom.delete(ids[2] ?? ''));
    expect(list.state.messages[1]).toMatchObject({ text: null, deleted_by: 'bob' });
    list.close();
  });

  test('shows an edit that overtakes the page that is being read', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const response = await globalThis.fetch(input, init);
      if (String(input).includes('limit=7')) await held;
      return response;
    };
    const { alice, connection, bobs, room_id } = await wire.meeting({ fetch });
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const [id = ''] = await send(bobsRoom, 'one');
    const list = liveMessages(alice, room, { pageSize: 7 });
    await until('the page is on its way', () => wire.server.requests.some((line) => line.includes('limit=7')));
    await sleep(20);
    await bobsRoom.edit(id, 'One');
    await until('the event is there', () => room.lastChange === 1);
    release();
    await until('the page is read', () => list.state.earlier === 'none');
    expect(list.state.messages.map(({ text }) => text)).toEqual(['One']);
    list.close();
  });
});

test('insertMessages and replaceMessage keep the last change of a message', async () => {
  const { connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const sent = await room.send({ text: 'one' });
  const edited = await room.edit(sent.message_id, 'One');
  const other = { ...sent, message_id: '01HZZZZZZZZZZZZZZZZZZZZZZZ' };
  expect(insertMessages([sent], [edited])).toEqual([edited]);
  expect(insertMessages([edited], [sent])).toEqual([edited]);
  expect(insertMessages([], [edited, sent])).toEqual([edited]);
  const messages = [sent];
  expect(replaceMessage(messages, edited)).toEqual([edited]);
  expect(replaceMessage(messages, other)).toBe(messages);
});
