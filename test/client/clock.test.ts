import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { tokens } from '../../client/src/http.ts';
import type { RoomsClientOptions } from '../../client/src/index.ts';
import { sleep } from '../../client/src/timing.ts';
import { wireServers } from './meeting.ts';
import { until } from './until.ts';
import { unsignedToken } from './wire-server.ts';

/*
 * Tests times that exceed the maximum of a timer (2^31 - 1 ms, about 25 days), and changes of the system clock. A timer above the maximum fires at once.
 */

const wire = wireServers();
afterEach(() => void vi.useRealTimers());

const HOUR = 3_600_000;
const YEAR_SECONDS = 365 * 24 * 3_600;
/** Long enough for a timer that fires at once to take effect, in milliseconds. */
const WHILE_MS = 300;

/** Moves the wall clock. Monotonic clocks such as `performance.now()` are not affected. */
const setClock = (byMs: number): void => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs });
};

describe('timers above the maximum', () => {
  const limits = [
    'tokenMs',
    'timeoutMs',
    'replyMs',
    'openMs',
    'connectMs',
    'joinMs',
    'sendMs',
    'lagMs',
    'pingMs',
    'stallMs',
  ];

  test.each([Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 40])('as options (%d) do not end calls early', async (ms) => {
    const options: Partial<RoomsClientOptions> = {
      ...Object.fromEntries(limits.map((name) => [name, ms])),
      retries: 0,
    };
    const { alice, room_id, connection } = await wire.meeting(options);
    const lost = vi.fn();
    connection.on('reconnecting', lost);
    const room = await alice.join(room_id);
    expect(await room.send({ text: 'hello' })).toMatchObject({ text: 'hello' });
    await wait(WHILE_MS);
    expect(await alice.getRoom(room_id)).toMatchObject({ room_id });
    expect(lost).not.toHaveBeenCalled();
    expect(wire.server.frames.filter((action) => action === 'ping')).toEqual([]);
  });

  test('does not replace the socket of a token that never expires', async () => {
    const token = unsignedToken('alice', 100 * YEAR_SECONDS);
    const connection = await wire.connect(wire.clientOf('alice', { token: () => token }));
    await wait(WHILE_MS);
    expect(connection.state).toBe('connected');
  });

  test('polls a room that starts much later once a minute, not in a busy loop', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const waiting = new Promise((resolve) => room.once('waiting', resolve));
    const start_time = new Date(Date.now() + YEAR_SECONDS * 1_000).toISOString();
    wire.server.set(room_id, { status: 'booked', start_time });
    wire.way.cut();
    expect(await waiting).toMatchObject({ start_time });
    const before = wire.server.requests.length;
    await wait(WHILE_MS);
    expect(wire.server.requests.length).toBe(before);
  });

  test('waits between attempts instead of retrying in a busy loop', async () => {
    const slept = vi.fn();
    const controller = new AbortController();
    for (const ms of [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY]) sleep(ms, controller.signal).then(slept, () => {});
    await wait(50);
    expect(slept).not.toHaveBeenCalled();
    controller.abort();
  });
});

describe('a clock that is set back by an hour', () => {
  test('closes a room that has ended although its last messages cannot be read', async () => {
    let isDown = false;
    const { alice, bob, room_id, connection } = await wire.meeting({
      connectMs: WHILE_MS,
      fetch: (input, init) => (isDown ? Promise.reject(new TypeError('down')) : fetch(input, init)),
    });
    await connection.join(room_id);
    const room = await alice.join(room_id);
    const closed = new Promise((resolve) => room.on('closed', resolve));
    isDown = true;
    await bob.endRoom(room_id);
    await wait(WHILE_MS / 3);
    setClock(-HOUR);
    const started = performance.now();
    await expect(closed).resolves.toMatchObject({ reason: 'room_ended' });
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('does not treat a token that is an hour old as new', async () => {
    const source = vi.fn(() => `token-${source.mock.calls.length}`);
    const token = tokens({ token: source, tokenMs: 1_000 });
    expect(await token(true, 'refused')).toBe('token-1');
    // A request that is rejected at the same time shares the new token.
    expect(await token(true, 'refused')).toBe('token-1');
    setClock(-HOUR);
    expect(await token(true, 'refused')).toBe('token-2');
  });

  test('continues to send and receive', async () => {
    const { alice, bob, room_id } = await wire.meeting();
    const [room, other] = [await alice.join(room_id), await bob.join(room_id)];
    const texts: (string | null)[] = [];
    other.on('message', ({ text }) => texts.push(text));
    await room.send({ text: 'before' });
    setClock(-HOUR);
    await room.send({ text: 'after' });
    await until('both arrive', () => texts.length === 2);
    expect(texts).toEqual(['before', 'after']);
  });
});
