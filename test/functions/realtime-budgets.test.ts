import { describe, expect, test, vi } from 'vitest';
import { MAX_ROOM_MESSAGES_PER_SECOND, MAX_USER_MESSAGES_PER_WINDOW } from '../../core/contract/limits.ts';
import { invocationsAtOnce, paceOf, postsPerSecondOfRoom } from '../../core/realtime/pace.ts';
import { messagesPerWindow } from '../../core/rules/sender-rate.ts';
import { turnDigestsOn } from '../../core/store/presence-digest.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { deliver, send } from '../support/delivery.ts';
import { data } from '../support/invoke.ts';
import { startDeliveryServices } from '../support/realtime-services.ts';
import { invokeAction, newSocket, refusedWith, reply, type Socket } from '../support/socket.ts';
import { at, newRoom, newUser } from '../support/world.ts';

const { management } = await startDeliveryServices();

/** The start of a window of frames, and of a second. */
const NOW = Math.ceil(Date.now() / 10_000) * 10_000 + 10_000;
const message = (room_id: string) => ({ room_id, client_message_id: crypto.randomUUID(), text: 'x' });
const stored = async (room_id: string, as: string) =>
  (await data('listMessages', { as, params: { room_id }, query: { limit: 200 } })).length;

describe('a user', () => {
  test('can send 100 messages in 10 seconds over all connections; other frames and other users are not affected', async () => {
    const { room_id, admin, member } = await newRoom();
    const sockets = [newSocket(member), newSocket(member), newSocket(member)] as const;
    // 20 messages in each second, to stay within the room's limit per second.
    for (let n = 0; n < MAX_USER_MESSAGES_PER_WINDOW; n++)
      await at(NOW + Math.floor(n / 20) * 1_000, () => reply('message', sockets[n % 3] as Socket, message(room_id)));
    await at(NOW + 6_000, async () => {
      for (const socket of sockets)
        expect(await invokeAction('message', socket, message(room_id))).toMatchObject({
          ok: false,
          code: 'too_many_requests',
          retry_after: 4,
        });
      expect(await invokeAction('ping', sockets[0], {})).toMatchObject({ ok: true });
      expect(await invokeAction('message', newSocket(admin), message(room_id))).toMatchObject({ ok: true });
    });
    await at(NOW + 10_000, () => reply('message', sockets[0], message(room_id)));
    expect(await stored(room_id, admin)).toBe(102);
  });
});

describe('a sender', () => {
  test('can send fewer messages to a room with more users online; other rooms are not affected', async () => {
    const { room_id, admin, member } = await newRoom();
    const small = await newRoom({ members: [member] });
    const socket = newSocket(member);
    await turnDigestsOn(room_id, 1_000);
    await at(NOW + 50_000, async () => {
      for (let n = 0; n < 25; n++) await reply('message', socket, message(room_id));
      expect(await invokeAction('message', socket, message(room_id))).toMatchObject({
        ok: false,
        code: 'too_many_requests',
        retry_after: 10,
      });
      expect(await invokeAction('message', socket, message(small.room_id))).toMatchObject({ ok: true });
      expect(await invokeAction('message', newSocket(admin), message(room_id))).toMatchObject({ ok: true });
    });
    await at(NOW + 60_000, () => reply('message', socket, message(room_id)));
    expect(await stored(room_id, admin)).toBe(27);
  });

  test("stays within the room's budget of posts for any number of users online", () => {
    expect([1, 100, 250, 251, 1_000, 10_000, 100_000].map(messagesPerWindow)).toEqual([100, 100, 100, 99, 25, 2, 2]);
    for (let online = 1; online <= 10_000; online += 99)
      expect(messagesPerWindow(online) * online).toBeLessThanOrEqual(10 * postsPerSecondOfRoom());
  });
});

describe('a room', () => {
  test('accepts 50 messages per second from all senders, and other rooms are not affected', async () => {
    const members = Array.from({ length: 4 }, (_, n) => newUser(`m${n}`));
    const { room_id, admin } = await newRoom({ members });
    const other = await newRoom();
    const sockets = members.map((member) => newSocket(member));
    const sender = (n: number) => sockets[n % 4] as Socket;
    const second = NOW + 20_000;
    await at(second, async () => {
      for (let n = 0; n < MAX_ROOM_MESSAGES_PER_SECOND; n++) await reply('message', sender(n), message(room_id));
      for (const socket of sockets)
        expect(await invokeAction('message', socket, message(room_id))).toMatchObject({
          ok: false,
          code: 'too_many_requests',
          retry_after: 1,
        });
      await reply('message', newSocket(other.member), message(other.room_id));
    });
    // The rejected message is sent again.
    await at(second + 1_000, () => reply('message', sender(0), message(room_id)));
    expect(await stored(room_id, admin)).toBe(51);
  });

  test('counts each stored message once, and no rejected message', async () => {
    const { room_id, member, outsider } = await newRoom();
    const second = NOW + 30_000;
    await at(second, async () => {
      const foreign = newSocket(outsider);
      for (let n = 0; n < 60; n++)
        expect(await refusedWith('message', foreign, message(room_id))).toBe('not_a_participant');
      expect(await invokeAction('message', newSocket(member), message(room_id))).toMatchObject({ ok: true });
    });
  });

  test('exceeds the limit at most by the number of simultaneous messages', async () => {
    const members = Array.from({ length: 10 }, (_, n) => newUser(`m${n}`));
    const { room_id, admin } = await newRoom({ members });
    await at(NOW + 40_000, async () => {
      for (let round = 0; round < 8; round++)
        await Promise.all(members.map((member) => invokeAction('message', newSocket(member), message(room_id))));
    });
    const count = await stored(room_id, admin);
    expect(count).toBeGreaterThanOrEqual(50);
    expect(count).toBeLessThanOrEqual(60);
  });
});

describe('the posts of one room', () => {
  test("use at most a quarter of the account's quota, which limits the number of invocations", () => {
    expect([postsPerSecondOfRoom(), invocationsAtOnce()]).toEqual([2_500, 1]);
    vi.stubEnv('API_GATEWAY_QUOTA', '2500');
    expect([postsPerSecondOfRoom(), invocationsAtOnce()]).toEqual([625, 1]);
    vi.stubEnv('API_GATEWAY_QUOTA', '1000000');
    expect(invocationsAtOnce()).toBe(12);
    vi.unstubAllEnvs();
  });

  test('are delayed to stay within the rate', async () => {
    const pace = paceOf(1_000);
    const { signal } = new AbortController();
    const started = performance.now();
    await Promise.all(Array.from({ length: 300 }, () => pace(1, signal)));
    // 270 posts exceed the burst and have to wait.
    expect(performance.now() - started).toBeGreaterThan(270);
    const small = performance.now();
    await Promise.all(Array.from({ length: 10 }, () => paceOf(1_000)(1, signal)));
    expect(performance.now() - small).toBeLessThan(200);
    const over = new AbortController();
    const waiting = Promise.all(Array.from({ length: 100 }, () => paceOf(1)(100, over.signal)));
    over.abort();
    await waiting;
  });

  test('stay within the rate in a large room, whose invocations share it', { timeout: 60_000 }, async () => {
    vi.stubEnv('API_GATEWAY_QUOTA', '4000');
    const { room_id, admin, member } = await newRoom();
    const ids = Array.from({ length: 1_600 }, (_, n) => `paced-${String(n).padStart(5, '0')}=`);
    await haveJoined(room_id, ids, member, { protocol: 'rooms.v2' });
    const times: number[] = [];
    management.onRequest = () => times.push(performance.now());
    await deliver(await send(room_id, admin, 'x'));
    vi.unstubAllEnvs();
    expect(times).toHaveLength(1_600);
    const first = times[0] ?? 0;
    // 1,000 posts per second, and the bursts of two invocations.
    for (const ms of [250, 500, 1_000])
      expect(times.filter((time) => time - first <= ms).length).toBeLessThanOrEqual(ms * 1.05 + 60);
  });
});
