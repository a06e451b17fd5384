import { describe, expect, test } from 'vitest';
import { data, refusal, succeed } from '../support/invoke.ts';
import { allRoomsOf, at, newRoom, newUser, participantsOf, snapshot } from '../support/world.ts';

const HOUR = 3_600_000;

describe('DELETE /participant/room/{room_id}', () => {
  test('removes the caller; the second time, they are not a participant', async () => {
    const { room_id, admin, member } = await newRoom();
    const request = { as: member, params: { room_id } };
    const { data: left, trace } = await succeed('leaveRoom', { ...request, body: {} });
    expect(left).toEqual({ participant_id: member });
    expect(trace.trips).toBe(1);
    expect(await participantsOf(room_id, admin)).toEqual([admin]);
    expect(await allRoomsOf(member)).toEqual([]);
    const before = await snapshot();
    expect(await refusal('leaveRoom', request)).toBe('not_a_participant');
    expect(await refusal('getRoom', request)).toBe('not_a_participant');
    expect(await snapshot()).toEqual(before);
  });

  test('removes the admin right, too, in two round trips', async () => {
    const { room_id, admin, member } = await newRoom();
    const params = { room_id };
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    const { trace } = await succeed('leaveRoom', { as: admin, params });
    expect(trace.trips).toBe(2);
    await data('addParticipants', { as: member, params, body: { participant_ids: [admin] } });
    expect(await data('getRoom', { as: admin, params })).toMatchObject({ is_admin: false, role: 'member' });
  });

  test('rejects the last admin, even if the room has ended or has no other participant', async () => {
    const { room_id, admin, member } = await newRoom();
    const request = { as: admin, params: { room_id } };
    const before = await snapshot();
    expect(await refusal('leaveRoom', request)).toBe('last_admin');
    expect(await snapshot()).toEqual(before);
    await data('endRoom', request);
    expect(await refusal('leaveRoom', request)).toBe('last_admin');
    await data('leaveRoom', { as: member, params: { room_id } });
    expect(await refusal('leaveRoom', request)).toBe('last_admin');
  });

  test.each([
    ['is booked', 0, 2 * HOUR],
    ['has ended', 5 * HOUR, 2 * HOUR],
  ])('works in a room that %s', async (_, ms, start) => {
    const now = Date.now();
    const time = (at: number) => new Date(now + at).toISOString();
    const { room_id, admin, member } = await newRoom({
      body: { start_time: time(start), end_time: time(start + HOUR) },
    });
    await at(now + ms, () => data('leaveRoom', { as: member, params: { room_id } }));
    expect(await participantsOf(room_id, admin)).toEqual([admin]);
  });

  test('deletes the profile and the role', async () => {
    const { room_id, admin, member } = await newRoom();
    const params = { room_id };
    await data('setRole', { as: admin, params: { room_id, participant_id: member }, body: { role: 'observer' } });
    await data('updateProfile', { as: member, params, body: { username: 'Bob', archive_room: true } });
    await data('leaveRoom', { as: member, params });
    const added = await data('addParticipants', { as: admin, params, body: { participant_ids: [member] } });
    expect(added).toEqual([
      { participant_id: member, username: null, archive_room: false, role: 'member', is_admin: false },
    ]);
  });
});

test('succeeds for 50 participants at the same time', async () => {
  const members = Array.from({ length: 49 }, () => newUser());
  const { room_id, admin, member } = await newRoom({ members });
  await Promise.all([member, ...members].map((as) => data('leaveRoom', { as, params: { room_id } })));
  expect(await participantsOf(room_id, admin)).toEqual([admin]);
});
