import { beforeEach, describe, expect, test } from 'vitest';
import { MAX_TYPING_CONNECTIONS } from '../../core/contract/limits.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { data } from '../support/invoke.ts';
import { startRealtimeServices } from '../support/realtime-services.ts';
import { invokeAction, joined, newSocket, refusedWith, reply, type Socket } from '../support/socket.ts';
import { joinedV2 } from '../support/v2-client.ts';
import { at, newRoom, newUser, snapshot } from '../support/world.ts';

const { management } = await startRealtimeServices();

/** Later than every time in the previous test, so that cached data has expired. */
let now = Date.now();
beforeEach(() => {
  now += 120_000;
});
const type = (socket: Socket, room_id: string, typing: boolean, later = 0) =>
  at(now + later, () => invokeAction('typing', socket, { room_id, typing }));
const received = ({ connection_id }: Socket) => management.received(connection_id);
const typings = (socket: Socket) => received(socket).map(({ data }) => Reflect.get(Object(data), 'typing'));

describe('typing', () => {
  test('is sent to the connections of the others, with the same frame on both protocols, and writes nothing', async () => {
    const { room_id, admin, member } = await newRoom();
    await data('updateProfile', { as: member, params: { room_id }, body: { username: 'Bob' } });
    const [own, tab, other] = [
      await joined(room_id, member),
      await joined(room_id, member),
      await joined(room_id, admin),
    ];
    const { socket: v2 } = await joinedV2(room_id, admin);
    management.reset();
    const before = await snapshot();
    const answer = await type(own, room_id, true);
    expect(answer).toMatchObject({ ok: true, data: { room_id } });
    const event = {
      type: 'typing',
      room_id,
      data: { participant_id: member, username: 'Bob', typing: true },
      sent_at: new Date(now).toISOString(),
    };
    for (const socket of [other, v2]) expect(received(socket)).toEqual([event]);
    for (const socket of [own, tab]) expect(received(socket)).toEqual([]);
    expect(await snapshot()).toEqual(before);
    // Reads are cached for 5 seconds.
    expect(answer.trace.requests.toSorted()).toEqual(['BatchGetItem', 'Query']);
    expect((await type(own, room_id, true, 3_000)).trace.requests).toEqual([]);
    expect((await type(own, room_id, true, 6_000)).trace.requests.toSorted()).toEqual(['BatchGetItem', 'Query']);
  });

  test('is accepted once in 2 seconds per connection and room; the stop is always accepted, and sent once', async () => {
    const { room_id, admin, member } = await newRoom();
    const [socket, other] = [await joined(room_id, member), await joined(room_id, admin)];
    management.reset();
    expect(await type(socket, room_id, true)).toMatchObject({ ok: true });
    expect(await type(socket, room_id, true, 1_000)).toMatchObject({
      ok: false,
      code: 'too_many_requests',
      retry_after: 1,
    });
    for (const later of [1_100, 1_200, 1_300])
      expect(await type(socket, room_id, false, later)).toMatchObject({ ok: true });
    expect(await type(socket, room_id, true, 1_900)).toMatchObject({ ok: false, code: 'too_many_requests' });
    expect(await type(socket, room_id, true, 2_000)).toMatchObject({ ok: true });
    expect(typings(other)).toEqual([true, false, true]);
    // Other connections and other rooms have separate limits.
    expect(await type(await joined(room_id, member), room_id, true, 2_100)).toMatchObject({ ok: true });
  });

  test('costs the same in a room of 10,000 connections, where nothing is sent', async () => {
    const { room_id, admin, member } = await newRoom();
    const ids = Array.from({ length: 10_000 }, (_, n) => `c${n}=`);
    await haveJoined(room_id, ids.slice(0, MAX_TYPING_CONNECTIONS), admin);
    management.reset();
    await type(newSocket(member), room_id, true);
    expect(received({ ...newSocket(admin), connection_id: 'c0=' })).toHaveLength(1);
    management.reset();
    await haveJoined(room_id, ids.slice(MAX_TYPING_CONNECTIONS), admin);
    const answer = await type(newSocket(member), room_id, true, 10_000);
    expect(answer).toMatchObject({ ok: true });
    expect(answer.trace.requests.toSorted()).toEqual(['BatchGetItem', 'Query']);
    expect(received({ ...newSocket(admin), connection_id: 'c0=' })).toEqual([]);
  }, 60_000);

  test('is rejected for users who are not participants, and in rooms that are not live', async () => {
    const { room_id, admin, member, outsider } = await newRoom();
    const frame = { room_id, typing: true };
    expect(await refusedWith('typing', newSocket(outsider), frame)).toBe('not_a_participant');
    const booked = await newRoom({ body: { start_time: new Date(Date.now() + 3_600_000).toISOString() } });
    expect(await refusedWith('typing', newSocket(booked.admin), { ...frame, room_id: booked.room_id })).toBe(
      'room_not_started',
    );
    const removed = newUser('removed');
    const change = { as: admin, params: { room_id }, body: { participant_ids: [removed] } };
    await data('addParticipants', change);
    await data('removeParticipants', change);
    expect(await refusedWith('typing', newSocket(removed), frame)).toBe('not_a_participant');
    await data('endRoom', { as: admin, params: { room_id } });
    expect(await refusedWith('typing', newSocket(member), frame)).toBe('room_ended');
    const none = { ...frame, room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01' };
    expect(await refusedWith('typing', newSocket(member), none)).toBe('room_not_found');
  });

  test('by an observer, or by a member of a locked room, is rejected', async () => {
    const { room_id, admin, member } = await newRoom();
    const frame = { room_id, typing: true };
    await data('setRole', { as: admin, params: { room_id, participant_id: member }, body: { role: 'observer' } });
    expect(await refusedWith('typing', newSocket(member), frame)).toBe('read_only');
    await data('setRole', { as: admin, params: { room_id, participant_id: member }, body: { role: 'member' } });
    await data('changeRoom', { as: admin, params: { room_id }, body: { posting: 'admins' } });
    expect(await refusedWith('typing', newSocket(member), frame)).toBe('read_only');
    expect(await reply('typing', newSocket(admin), frame)).toEqual({ room_id });
  });

  test.each([undefined, null, 0, 1, 'true', '', [], {}])('with typing %j is invalid', async (typing) => {
    const { room_id, member } = await newRoom();
    expect(await invokeAction('typing', newSocket(member), { room_id, typing })).toMatchObject({
      ok: false,
      code: 'invalid_request',
      errors: [{ path: 'typing' }],
    });
  });

  test('succeeds even if a connection is gone, which the next broadcast removes', async () => {
    const { room_id, admin, member } = await newRoom();
    const [gone, other] = [await joined(room_id, admin), await joined(room_id, admin)];
    management.reset();
    management.respondWith(gone.connection_id, 410);
    const before = await snapshot();
    expect(await reply('typing', newSocket(member), { room_id, typing: true })).toEqual({ room_id });
    expect(received(other)).toHaveLength(1);
    expect(await snapshot()).toEqual(before);
  });
});
