import { afterEach, describe, expect, test } from 'vitest';
import { MAX_CONNECTIONS_PER_PARTICIPANT } from '../../core/contract/limits.ts';
import type { ParticipantItem } from '../../core/store/items.ts';
import { connectionKey, participantKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { data } from '../support/invoke.ts';
import { watchSockets } from '../support/known-sockets.ts';
import { queueEvent } from '../support/queue-event.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { disconnect, invokeAction, joined, newSocket, refusedWith, reply, type Socket } from '../support/socket.ts';
import { at, newRoom, newUser, snapshot } from '../support/world.ts';

const HOUR = 3_600_000;

/** The functions close no connection here: every connection ends by itself. */
const known = watchSockets(() => ({ closed: [], gone: new Set() }));
afterEach(() => known.check());

const participant = (room_id: string, user_id: string) => get<ParticipantItem>(participantKey(room_id, user_id));
const isJoined = async (room_id: string, { connection_id }: Socket) =>
  (await get(connectionKey(room_id, connection_id))) !== undefined;
/** Whether the HTTP API shows a user as online. */
async function online(room_id: string, user_id: string, as: string): Promise<boolean | undefined> {
  const all = await data('listParticipants', { as, params: { room_id } });
  return all.find(({ participant_id }) => participant_id === user_id)?.online;
}
/** Ends the grace period of a participant who lost the last connection at `left_at`. */
async function settle(room_id: string, participant_id: string, left_at: string | undefined): Promise<void> {
  const body = JSON.stringify({ room_id, participant_id, left_at });
  const { result } = await runEventFunction('presence', (context) => presence(queueEvent(body), context));
  expect(result).toEqual({ batchItemFailures: [] });
}

describe('join', () => {
  test('returns the room as the participant sees it, in two round trips', async () => {
    const { room_id, admin, member } = await newRoom();
    await data('updateProfile', { as: member, params: { room_id }, body: { username: 'Bob' } });
    for (const user of [admin, member]) {
      const answer = await invokeAction('join', newSocket(user), { room_id });
      const { unread_count: _, ...room } = await data('getRoom', { as: user, params: { room_id } });
      expect(answer).toMatchObject({ ok: true, data: room });
      expect(answer.trace.trips).toBe(2);
    }
  });

  test('makes the participant visible to others', async () => {
    const { room_id, admin, member } = await newRoom();
    expect(await online(room_id, member, admin)).toBe(false);
    const socket = await joined(room_id, member);
    expect(await online(room_id, member, admin)).toBe(true);
    expect(await participant(room_id, member)).toMatchObject({ connections: new Set([socket.connection_id]) });
  });

  test('a second time succeeds and changes nothing', async () => {
    const { room_id, member } = await newRoom();
    const socket = await joined(room_id, member);
    const before = await participant(room_id, member);
    await reply('join', socket, { room_id });
    expect(await participant(room_id, member)).toEqual(before);
  });

  test('works for many connections of one user at once, and for several rooms on one connection', async () => {
    const { room_id, member } = await newRoom();
    const other = await newRoom({ members: [member] });
    const sockets = await Promise.all(Array.from({ length: 10 }, () => joined(room_id, member)));
    await reply('join', sockets[0] ?? newSocket(member), { room_id: other.room_id });
    expect((await participant(room_id, member))?.connections).toEqual(new Set(sockets.map((s) => s.connection_id)));
    expect((await participant(other.room_id, member))?.connections).toEqual(new Set([sockets[0]?.connection_id]));
  });

  test('accepts a limited number of connections per user; a connection that has joined may join again', async () => {
    const { room_id, admin, member } = await newRoom();
    const sockets: Socket[] = [];
    for (let n = 0; n < MAX_CONNECTIONS_PER_PARTICIPANT; n++) sockets.push(await joined(room_id, member));
    const [first, last] = [sockets[0] ?? newSocket(member), newSocket(member)];
    expect(await refusedWith('join', last, { room_id })).toBe('too_many_requests');
    expect(await isJoined(room_id, last)).toBe(false);
    await reply('join', first, { room_id });
    await joined(room_id, admin);
    await disconnect(first);
    await reply('join', last, { room_id });
    expect(await isJoined(room_id, last)).toBe(true);
  });

  test('accepts the room id in upper case', async () => {
    const { room_id, member } = await newRoom();
    expect(await reply('join', newSocket(member), { room_id: room_id.toUpperCase() })).toMatchObject({ room_id });
  });

  test.each<
    [
      string,
      (world: Awaited<ReturnType<typeof newRoom>>) => Promise<readonly [string, string]> | readonly [string, string],
      string,
    ]
  >([
    ['a user outside of the room', ({ room_id, outsider }) => [room_id, outsider], 'not_a_participant'],
    [
      'any user, if the room does not exist',
      ({ member }) => ['01900000-0000-7000-8000-000000000000', member],
      'room_not_found',
    ],
    [
      'a participant who was removed',
      async ({ room_id, admin, member }) => {
        await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
        return [room_id, member];
      },
      'not_a_participant',
    ],
    [
      'a participant, after the end',
      async ({ room_id, admin, member }) => {
        await data('endRoom', { as: admin, params: { room_id } });
        return [room_id, member];
      },
      'room_ended',
    ],
  ])('rejects %s', async (_, situation, code) => {
    const world = await newRoom();
    const [room_id, user] = await situation(world);
    const socket = newSocket(user);
    expect(await refusedWith('join', socket, { room_id })).toBe(code);
    expect(await isJoined(room_id, socket)).toBe(false);
    expect((await participant(room_id, user))?.connections).toBeUndefined();
  });

  test('rejects a room that is booked, until it starts', async () => {
    const { room_id, member } = await newRoom({ body: { start_time: new Date(Date.now() + HOUR).toISOString() } });
    expect(await refusedWith('join', newSocket(member), { room_id })).toBe('room_not_started');
    await at(Date.now() + HOUR, () => joined(room_id, member, Math.floor(Date.now() / 1_000) + 60));
  });

  test('and removal at the same time leave either no trace, or a connection that the removal finds', async () => {
    for (let n = 0; n < 60; n++) {
      const { room_id, admin, member } = await newRoom();
      const socket = newSocket(member);
      const remove = () =>
        data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
      const join = () => invokeAction('join', socket, { room_id });
      const [answer] =
        n % 2 === 0 ? await Promise.all([join(), remove()]) : (await Promise.all([remove(), join()])).reverse();
      expect(await participant(room_id, member)).toBeUndefined();
      // If the join succeeded, the stream record of the removal removes the connection: see the tests of the stream.
      expect(await isJoined(room_id, socket)).toBe((answer as Awaited<ReturnType<typeof join>>).ok);
    }
  });
});

describe('leave', () => {
  test('with the only connection is visible to others at once', async () => {
    const { room_id, admin, member } = await newRoom();
    const socket = await joined(room_id, member);
    expect(await reply('leave', socket, { room_id })).toEqual({ room_id });
    expect(await online(room_id, member, admin)).toBe(false);
    expect(await isJoined(room_id, socket)).toBe(false);
    expect(Object.keys((await participant(room_id, member)) ?? {})).not.toContain('left_at');
  });

  test('with one of several connections keeps the others', async () => {
    const { room_id, admin, member } = await newRoom();
    const [first, second] = [await joined(room_id, member), await joined(room_id, member)];
    await reply('leave', first, { room_id });
    expect(await online(room_id, member, admin)).toBe(true);
    expect((await participant(room_id, member))?.connections).toEqual(new Set([second.connection_id]));
    expect([await isJoined(room_id, first), await isJoined(room_id, second)]).toEqual([false, true]);
    await reply('leave', second, { room_id });
    expect(await online(room_id, member, admin)).toBe(false);
  });

  test('with several connections at the same time removes all of them', async () => {
    for (let n = 0; n < 40; n++) {
      const { room_id, admin, member } = await newRoom();
      const sockets = await Promise.all(Array.from({ length: 2 + (n % 3) }, () => joined(room_id, member)));
      await Promise.all(sockets.map((socket) => reply('leave', socket, { room_id })));
      expect(await online(room_id, member, admin)).toBe(false);
      expect((await participant(room_id, member))?.connections).toBeUndefined();
    }
  });

  test('succeeds without a join, for an outsider, and without a room, and writes nothing', async () => {
    const { room_id, member, outsider } = await newRoom();
    const there = await joined(room_id, member);
    const before = (await snapshot()).filter((item) => !item.includes('FRAMES#'));
    for (const socket of [newSocket(member), newSocket(outsider)])
      expect(await reply('leave', socket, { room_id })).toEqual({ room_id });
    await reply('leave', there, { room_id: '01900000-0000-7000-8000-000000000000' });
    expect((await snapshot()).filter((item) => !item.includes('FRAMES#'))).toEqual(before);
  });
});

describe('a closed connection', () => {
  test('is removed from all its rooms; its user stays visible until the grace period is over', async () => {
    const { room_id, admin, member } = await newRoom();
    const other = await newRoom({ members: [member] });
    const socket = await joined(room_id, member);
    await reply('join', socket, { room_id: other.room_id });
    await disconnect(socket);
    for (const [room, as] of [
      [room_id, admin],
      [other.room_id, other.admin],
    ] as const) {
      expect(await isJoined(room, socket)).toBe(false);
      const left = await participant(room, member);
      expect(left).toMatchObject({ present: true, left_at: expect.any(String) });
      expect(left?.connections).toBeUndefined();
      expect(await online(room, member, as)).toBe(true);
      await settle(room, member, left?.left_at);
      expect(await online(room, member, as)).toBe(false);
    }
  });

  test('without a room costs one read', async () => {
    expect((await disconnect(newSocket(newUser()))).requests).toEqual(['Query']);
  });

  test('that is reported twice is removed once', async () => {
    const { room_id, member } = await newRoom();
    const socket = await joined(room_id, member);
    await disconnect(socket);
    const before = await snapshot();
    await disconnect(socket);
    expect(await snapshot()).toEqual(before);
  });

  test('does not affect other connections of its user', async () => {
    const { room_id, admin, member } = await newRoom();
    const [dead, alive] = [await joined(room_id, member), await joined(room_id, member)];
    await disconnect(dead);
    const left = await participant(room_id, member);
    expect(left?.connections).toEqual(new Set([alive.connection_id]));
    await settle(room_id, member, left?.left_at);
    expect(await online(room_id, member, admin)).toBe(true);
    // The last connection then disconnects like the only connection of a user.
    await disconnect(alive);
    await settle(room_id, member, (await participant(room_id, member))?.left_at);
    expect(await online(room_id, member, admin)).toBe(false);
  });

  test('of a removed participant restores nothing', async () => {
    const { room_id, admin, member } = await newRoom();
    const socket = await joined(room_id, member);
    await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
    await disconnect(socket);
    expect(await participant(room_id, member)).toBeUndefined();
    expect(await isJoined(room_id, socket)).toBe(false);
  });

  test('is removed if several close at the same time', async () => {
    for (let n = 0; n < 20; n++) {
      const { room_id, admin, member } = await newRoom();
      const sockets = await Promise.all([joined(room_id, member), joined(room_id, member), joined(room_id, member)]);
      await Promise.all(sockets.map(disconnect));
      const left = await participant(room_id, member);
      expect(left?.connections).toBeUndefined();
      await settle(room_id, member, left?.left_at);
      expect(await online(room_id, member, admin)).toBe(false);
    }
  });
});

describe('when the grace period is over', () => {
  test('a participant who has returned stays', async () => {
    const { room_id, admin, member } = await newRoom();
    await disconnect(await joined(room_id, member));
    const left_at = (await participant(room_id, member))?.left_at;
    await joined(room_id, member);
    await settle(room_id, member, left_at);
    expect(await online(room_id, member, admin)).toBe(true);
  });

  test('a participant who has returned and disconnected again has the whole grace period again', async () => {
    const { room_id, admin, member } = await newRoom();
    const now = Date.now();
    const socket = await joined(room_id, member);
    await at(now + 1_000, () => disconnect(socket));
    const first = (await participant(room_id, member))?.left_at;
    const again = await joined(room_id, member);
    await at(now + 5_000, () => disconnect(again));
    const second = (await participant(room_id, member))?.left_at;
    await settle(room_id, member, first);
    expect(await online(room_id, member, admin)).toBe(true);
    await settle(room_id, member, second);
    expect(await online(room_id, member, admin)).toBe(false);
  });

  test('a participant who has left or was removed is not changed', async () => {
    const { room_id, admin, member } = await newRoom();
    await disconnect(await joined(room_id, member));
    const left_at = (await participant(room_id, member))?.left_at;
    await reply('leave', await joined(room_id, member), { room_id });
    const before = await participant(room_id, member);
    await settle(room_id, member, left_at);
    expect(await participant(room_id, member)).toEqual(before);
    await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
    await settle(room_id, member, left_at);
    expect(await participant(room_id, member)).toBeUndefined();
  });

  test('a queue message that cannot be read is reported, and does not affect the others of its batch', async () => {
    const { room_id, admin, member } = await newRoom();
    await disconnect(await joined(room_id, member));
    const absence = { room_id, participant_id: member, left_at: (await participant(room_id, member))?.left_at };
    const { result, lines } = await runEventFunction('presence', (context) =>
      presence(queueEvent('no JSON', '{}', JSON.stringify(absence)), context),
    );
    expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: 'm0' }, { itemIdentifier: 'm1' }] });
    expect(lines.map(({ level }) => level).sort()).toEqual(['error', 'error', 'info']);
    expect(await online(room_id, member, admin)).toBe(false);
  });
});
