import { describe, expect, test } from 'vitest';
import { MAX_ADMINS } from '../../core/contract/limits.ts';
import { participantDefaults } from '../support/defaults.ts';
import { data, refusal, succeed } from '../support/invoke.ts';
import { newRoom, newUser, snapshot } from '../support/world.ts';

describe('POST …/admin', () => {
  test('grants the right; granting it twice changes nothing', async () => {
    const { room_id, admin, member } = await newRoom();
    await data('updateProfile', { as: member, params: { room_id }, body: { username: 'Bob' } });
    const request = { as: admin, params: { room_id, participant_id: member } };
    const granted = { ...participantDefaults, participant_id: member, username: 'Bob', is_admin: true };
    expect((await succeed('grantAdmin', request)).data).toEqual(granted);
    const before = await snapshot();
    expect(await data('grantAdmin', request)).toEqual(granted);
    expect(await data('grantAdmin', { ...request, as: member, body: {} })).toEqual(granted);
    expect(await snapshot()).toEqual(before);
    expect(await data('changeRoom', { as: member, params: { room_id }, body: { name: 'Bob’s' } })).toMatchObject({
      name: 'Bob’s',
    });
  });

  test('rejects a user who is not a participant', async () => {
    const { room_id, admin, outsider } = await newRoom();
    const before = await snapshot();
    expect(await refusal('grantAdmin', { as: admin, params: { room_id, participant_id: outsider } })).toBe(
      'participant_not_found',
    );
    expect(await snapshot()).toEqual(before);
  });

  test(`rejects more than ${MAX_ADMINS} admins of a room`, async () => {
    const { room_id, admin, member } = await newRoom();
    const ids = Array.from({ length: MAX_ADMINS - 1 }, (_, n) => newUser(`admin${n}`));
    for (const part of [ids.slice(0, 50), ids.slice(50)])
      await data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: part } });
    for (const participant_id of ids) await data('grantAdmin', { as: admin, params: { room_id, participant_id } });
    const one = { as: admin, params: { room_id, participant_id: member } };
    expect(await refusal('grantAdmin', one)).toBe('too_many_admins');
    // Granting the right to an admin again does not count against the maximum.
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: ids[0] ?? '' } });
    await data('revokeAdmin', { as: admin, params: { room_id, participant_id: ids[0] ?? '' } });
    expect(await data('grantAdmin', one)).toMatchObject({ is_admin: true });
  });
});

describe('DELETE …/admin', () => {
  test('revokes the right and keeps the participant; revoking it twice changes no right', async () => {
    const { room_id, admin, member } = await newRoom();
    const request = { as: admin, params: { room_id, participant_id: member } };
    await data('grantAdmin', request);
    const revoked = { ...participantDefaults, participant_id: member };
    expect((await succeed('revokeAdmin', request)).data).toEqual(revoked);
    const before = await snapshot();
    expect(await data('revokeAdmin', { ...request, body: {} })).toEqual(revoked);
    expect(await snapshot()).toEqual(before);
    expect(await data('getRoom', { as: member, params: { room_id } })).toMatchObject({ is_admin: false });
  });

  test('rejects revoking the last admin', async () => {
    const { room_id, admin } = await newRoom();
    const before = await snapshot();
    expect(await refusal('revokeAdmin', { as: admin, params: { room_id, participant_id: admin } })).toBe('last_admin');
    expect(await snapshot()).toEqual(before);
  });

  test("revokes the caller's own right while there is another admin", async () => {
    const { room_id, admin, member } = await newRoom();
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    expect(await data('revokeAdmin', { as: admin, params: { room_id, participant_id: admin } })).toMatchObject({
      is_admin: false,
    });
    expect(await refusal('revokeAdmin', { as: member, params: { room_id, participant_id: member } })).toBe(
      'last_admin',
    );
    // The creator of a room can lose the admin right like any other admin.
    expect(await refusal('revokeAdmin', { as: admin, params: { room_id, participant_id: member } })).toBe(
      'not_an_admin',
    );
  });

  test('returns not found for a user who is not a participant', async () => {
    const { room_id, admin, outsider } = await newRoom();
    const before = await snapshot();
    expect(await refusal('revokeAdmin', { as: admin, params: { room_id, participant_id: outsider } })).toBe(
      'participant_not_found',
    );
    expect(await snapshot()).toEqual(before);
  });
});
