import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { typingIn } from '../../client/src/typing.ts';
import { wireServers } from './meeting.ts';
import { until } from './until.ts';

describe('typing', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Records the sent frames with the seconds since the start, and each list of other users who are typing. */
  function setUp() {
    const since = performance.now();
    const sent: string[] = [];
    const lists: string[][] = [];
    const typing = typingIn({
      send: (is) => void sent.push(`${(performance.now() - since) / 1_000} ${is}`),
      onChange: (peers) => void lists.push(peers.map(({ participant_id }) => participant_id)),
    });
    const heard = (participant_id: string, is = true) => typing.heard({ participant_id, username: null, typing: is });
    return { typing, sent, lists, heard };
  }

  test('is sent at once, then every 4 seconds, and ends 10 seconds after the last call', async () => {
    const { typing, sent } = setUp();
    typing.set(true);
    await vi.advanceTimersByTimeAsync(3_000);
    typing.set(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toEqual(['0 true', '4 true', '8 true', '12 true', '13 false']);
  });

  test('is sent at most once in 2 seconds, however often it changes', async () => {
    const { typing, sent } = setUp();
    for (let n = 0; n < 6; n++) {
      typing.set(true);
      await vi.advanceTimersByTimeAsync(250);
      typing.set(false);
      await vi.advanceTimersByTimeAsync(250);
    }
    typing.set(true);
    await vi.advanceTimersByTimeAsync(500);
    expect(sent).toEqual(['0 true', '0.25 false', '2 true', '2.25 false', '4 true'].slice(0, sent.length));
    const at = sent.filter((line) => line.endsWith('true')).map((line) => Number.parseFloat(line));
    for (const [n, time] of at.entries()) if (n > 0) expect(time - Number(at[n - 1])).toBeGreaterThanOrEqual(2);
    expect(at.length).toBeGreaterThan(1);
  });

  test('sends no end before a start was sent, and no second end', async () => {
    const { typing, sent } = setUp();
    typing.set(true);
    typing.set(false);
    typing.set(false);
    typing.set(true);
    typing.set(false);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toEqual(['0 true', '0 false']);
  });

  test('ends without a frame when a message is sent, and can start again', async () => {
    const { typing, sent } = setUp();
    typing.set(true);
    await vi.advanceTimersByTimeAsync(1_000);
    typing.sent();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(sent).toEqual(['0 true']);
    typing.set(true);
    expect(sent).toEqual(['0 true', '31 true']);
  });

  test('of others ends after 6 seconds, after a message, and when they send its end', async () => {
    const { typing, lists, heard } = setUp();
    heard('bob');
    await vi.advanceTimersByTimeAsync(4_000);
    heard('bob');
    heard('carol');
    heard('dave');
    expect(lists).toEqual([['bob'], ['bob', 'carol'], ['bob', 'carol', 'dave']]);
    heard('carol', false);
    typing.stopped('dave');
    expect(typing.peers).toEqual([{ participant_id: 'bob', username: null }]);
    await vi.advanceTimersByTimeAsync(5_900);
    expect(typing.peers).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(typing.peers).toEqual([]);
    expect(lists.slice(3)).toEqual([['bob', 'dave'], ['bob'], []]);
  });

  test('keeps no timer after it is closed', () => {
    const { typing, lists, heard } = setUp();
    typing.set(true);
    heard('bob');
    typing.close();
    expect(vi.getTimerCount()).toBe(0);
    expect(lists.at(-1)).toEqual([]);
  });
});

describe('a room', () => {
  const wire = wireServers();

  test('shows who else is typing, until their message is delivered', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const lists: string[][] = [];
    room.on('typing', (peers) => void lists.push(peers.map(({ participant_id }) => participant_id)));
    bobsRoom.setTyping(true);
    room.setTyping(true);
    await until('bob types', () => room.typing.length === 1);
    expect(room.typing).toEqual([{ participant_id: 'bob', username: null }]);
    await bobsRoom.send({ text: 'done' });
    await until('bob has stopped', () => room.typing.length === 0);
    room.setTyping(false);
    await until('alice has stopped', () => wire.server.typed.length === 3);
    expect(wire.server.typed.toSorted()).toEqual(['alice false', 'alice true', 'bob true']);
    expect(lists).toEqual([['bob'], []]);
  });

  test('ignores refusals of typing, and sends nothing while it is not joined', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    wire.server.refusals.push({ action: 'typing', code: 'read_only' });
    bobsRoom.setTyping(true);
    await until('it is refused', () => wire.server.refusals.length === 0);
    const again = new Promise((resolve) => room.once('rejoined', resolve));
    wire.way.refusing = true;
    wire.way.cut();
    await until('it is noticed', () => connection.state === 'reconnecting');
    room.setTyping(true);
    room.setTyping(false);
    wire.way.refusing = false;
    await again;
    expect(wire.server.typed).toEqual([]);
  });
});
