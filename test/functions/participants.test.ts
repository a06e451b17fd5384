import { describe, expect, test } from 'vitest';
import { listedDefaults, participantDefaults } from '../support/defaults.ts';
import { data, refusal, refused, succeed } from '../support/invoke.ts';
import { allRoomsOf, newRoom, newUser, participantsOf, snapshot } from '../support/world.ts';

describe('POST …/participant', () => {
  test('adds users, and returns each named user once in the requested order', async () => {
    const { room_id, admin, member } = await newRoom();
    const [carol, dave] = [newUser('carol'), newUser('dave')];
    const params = { room_id };
    await data('updateProfile', { as: member, params, body: { username: 'Bob', archive_room: true } });
    const { data: added, page } = await succeed('addParticipants', {
      as: admin,
      params,
      body: { participant_ids: [dave, member, carol, admin, dave] },
    });
    expect(added).toEqual([
      { ...participantDefaults, participant_id: dave },
      { ...participantDefaults, participant_id: member, username: 'Bob', archive_room: true },
      { ...participantDefaults, participant_id: carol },
      { ...participantDefaults, participant_id: admin, is_admin: true },
    ]);
    expect(page).toEqual({ size: 4, next_cursor: null });
    expect(await participantsOf(room_id, carol)).toEqual([admin, member, carol, dave].sort());
    expect(await allRoomsOf(carol)).toMatchObject([{ room_id }]);
  });

  test('adding a participant again changes neither the profile nor who added them', async () => {
    const { room_id, admin, member } = await newRoom();
    await data('updateProfile', { as: member, params: { room_id }, body: { username: 'Bob' } });
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    const before = await snapshot();
    for (const as of [admin, member])
      await data('addParticipants', { as, params: { room_id }, body: { participant_ids: [member] } });
    expect(await snapshot()).toEqual(before);
  });

  test('accepts 50 users at a time', async () => {
    const { room_id, admin } = await newRoom();
    const ids = Array.from({ length: 51 }, (_, n) => newUser(`p${n}`));
    const request = { as: admin, params: { room_id } };
    const before = await snapshot();
    expect(await refused('addParticipants', { ...request, body: { participant_ids: ids } })).toMatchObject({
      errors: [{ path: 'participant_ids' }],
    });
    expect(await snapshot()).toEqual(before);
    expect(await data('addParticipants', { ...request, body: { participant_ids: ids.slice(1) } })).toHaveLength(50);
    expect(await participantsOf(room_id, admin)).toHaveLength(52);
  });

  test('one invalid ID fails the call, and the error contains it', async () => {
    const { room_id, admin } = await newRoom();
    const before = await snapshot();
    const body = { participant_ids: [newUser(), 'ROOM#1', newUser()] };
    expect(await refused('addParticipants', { as: admin, params: { room_id }, body })).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'participant_ids.1' }],
    });
    expect(await snapshot()).toEqual(before);
  });
});

describe('DELETE …/participant', () => {
  test('removes users, who can no longer see the room', async () => {
    const carol = newUser('carol');
    const { room_id, admin, member } = await newRoom({ members: [carol] });
    const { data: removed, page } = await succeed('removeParticipants', {
      as: admin,
      params: { room_id },
      body: { participant_ids: [member, carol, member] },
    });
    expect(removed).toEqual([{ participant_id: member }, { participant_id: carol }]);
    expect(page).toEqual({ size: 2, next_cursor: null });
    expect(await participantsOf(room_id, admin)).toEqual([admin]);
    expect(await allRoomsOf(carol)).toEqual([]);
  });

  test('accepts the IDs in the query, too', async () => {
    const carol = newUser('carol');
    const { room_id, admin, member } = await newRoom({ members: [carol] });
    const query = { participant_id: [member, carol] };
    expect(await data('removeParticipants', { as: admin, params: { room_id }, query })).toHaveLength(2);
    expect(await participantsOf(room_id, admin)).toEqual([admin]);
  });

  test.each([
    ['in the query and the body', { query: { participant_id: ['x'] }, body: { participant_ids: ['x'] } }],
    ['in neither the query nor the body', {}],
    ['in neither, with the body {}', { body: {} }],
    ['in an empty list', { body: { participant_ids: [] } }],
  ])('rejects the IDs %s', async (_, ids) => {
    const { room_id, admin } = await newRoom();
    expect(await refused('removeParticipants', { as: admin, params: { room_id }, ...ids })).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'participant_ids' }],
    });
  });

  test('removing a user who is not a participant succeeds, and changes nothing', async () => {
    const { room_id, admin, outsider } = await newRoom();
    // A removal leaves a marker for the connections of the removed user. The marker expires within seconds.
    const withoutMarks = async () => (await snapshot()).filter((item) => !item.includes('CONNECTION!'));
    const before = await withoutMarks();
    for (let n = 0; n < 2; n++)
      expect(
        await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [outsider] } }),
      ).toEqual([{ participant_id: outsider }]);
    expect(await withoutMarks()).toEqual(before);
  });

  test('revokes the admin right in the same write', async () => {
    const { room_id, admin, member } = await newRoom();
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    const { trace } = await succeed('removeParticipants', {
      as: admin,
      params: { room_id },
      body: { participant_ids: [member] },
    });
    expect(trace.requests).toEqual(['TransactWriteItems']);
    // Users who are added again do not regain the admin right.
    const [again] = await data('addParticipants', {
      as: admin,
      params: { room_id },
      body: { participant_ids: [member] },
    });
    expect(again?.is_admin).toBe(false);
    expect(await refusal('endRoom', { as: member, params: { room_id } })).toBe('not_an_admin');
  });

  test('a participant who returns has an empty profile', async () => {
    const { room_id, admin, member } = await newRoom();
    const request = { as: admin, params: { room_id }, body: { participant_ids: [member] } };
    await data('updateProfile', { as: member, params: { room_id }, body: { username: 'Bob', archive_room: true } });
    await data('removeParticipants', request);
    expect(await data('addParticipants', request)).toMatchObject([{ username: null, archive_room: false }]);
  });

  describe('of the caller', () => {
    /** A room with the admin, `admins` additional admins, and `members` participants without the admin right. */
    const roomOf = async (admins: number, members: number) => {
      const others = Array.from({ length: admins }, (_, n) => newUser(`admin${n}`));
      const plain = Array.from({ length: members }, (_, n) => newUser(`plain${n}`));
      const { room_id, admin, member } = await newRoom({ members: [...others, ...plain] });
      for (const participant_id of others) await data('grantAdmin', { as: admin, params: { room_id, participant_id } });
      return { room_id, admin, others, plain: [member, ...plain] };
    };
    const remove = (as: string, room_id: string, participant_ids: readonly string[]) => ({
      as,
      params: { room_id },
      body: { participant_ids },
    });

    test('the only admin cannot be removed, alone or with others', async () => {
      const { room_id, admin, plain } = await roomOf(0, 3);
      const before = await snapshot();
      for (const ids of [[admin], [admin, ...plain], [...plain, admin], [admin, newUser()]])
        expect(await refusal('removeParticipants', remove(admin, room_id, ids))).toBe('last_admin');
      expect(await snapshot()).toEqual(before);
    });

    test('one of two admins can leave', async () => {
      const { room_id, admin, others } = await roomOf(1, 0);
      const { trace } = await succeed('removeParticipants', remove(admin, room_id, [admin]));
      expect(trace.requests).toEqual(['TransactWriteItems']);
      expect(await refusal('getRoom', { as: admin, params: { room_id } })).toBe('not_a_participant');
      expect((await data('getRoom', { as: others[0] ?? '', params: { room_id } })).is_admin).toBe(true);
    });

    test('takes one write if the room has more admins than the request names', async () => {
      const { room_id, admin, others, plain } = await roomOf(3, 0);
      const { trace } = await succeed(
        'removeParticipants',
        remove(admin, room_id, [admin, plain[0] ?? '', others[0] ?? '']),
      );
      expect(trace.requests).toEqual(['TransactWriteItems']);
      expect(await participantsOf(room_id, others[1] ?? '')).toEqual(others.slice(1).sort());
    });

    test('succeeds if one of the admins stays', async () => {
      const { room_id, admin, others, plain } = await roomOf(1, 5);
      const { trace } = await succeed('removeParticipants', remove(admin, room_id, [admin, ...plain]));
      expect(trace.requests).toEqual(['TransactWriteItems', 'TransactWriteItems']);
      expect(await participantsOf(room_id, others[0] ?? '')).toEqual(others);
    });

    test('rejects a request that would remove all admins', async () => {
      const { room_id, admin, others, plain } = await roomOf(2, 2);
      const before = await snapshot();
      for (const ids of [
        [admin, ...others],
        [admin, ...others, ...plain],
      ])
        expect(await refusal('removeParticipants', remove(admin, room_id, ids))).toBe('last_admin');
      expect(await snapshot()).toEqual(before);
      // Without the caller in the list, all others can be removed in one request.
      await data('removeParticipants', remove(admin, room_id, [...others, ...plain]));
      expect(await participantsOf(room_id, admin)).toEqual([admin]);
    });
  });
});

describe('GET …/participant', () => {
  test('returns all participants in the order of their IDs, over many pages', async () => {
    const members = Array.from({ length: 123 }, (_, n) => newUser(`p${n}`));
    const { room_id, admin, member } = await newRoom({ members: members.slice(0, 49) });
    for (const part of [members.slice(49, 99), members.slice(99)])
      await data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: part } });
    const expected = [admin, member, ...members].sort();
    for (const limit of [1, 7, 25, 125, 200]) {
      const seen: string[] = [];
      let cursor: string | undefined;
      let pages = 0;
      do {
        const { data: items, page } = await succeed('listParticipants', {
          as: member,
          params: { room_id },
          query: { limit, ...(cursor && { cursor }) },
        });
        seen.push(...items.map(({ participant_id }) => participant_id));
        cursor = page?.next_cursor ?? undefined;
        pages++;
      } while (cursor);
      expect(seen).toEqual(expected);
      expect(pages).toBe(Math.ceil(125 / limit));
    }
  });

  test('returns an empty last page if everyone after the cursor was removed', async () => {
    const { room_id, admin, member } = await newRoom();
    const query = { limit: 1 };
    const { page } = await succeed('listParticipants', { as: admin, params: { room_id }, query });
    await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
    const rest = { ...query, cursor: page?.next_cursor ?? '' };
    // Users are sorted by ID, and `admin…` precedes `member…`.
    expect(await succeed('listParticipants', { as: admin, params: { room_id }, query: rest })).toMatchObject({
      data: [],
      page: { size: 0, next_cursor: null },
    });
  });

  test('returns profile, admin right and presence of each participant', async () => {
    const { room_id, admin, member } = await newRoom();
    await data('updateProfile', { as: member, params: { room_id }, body: { username: 'Bob' } });
    expect(await data('listParticipants', { as: member, params: { room_id } })).toEqual(
      [
        { ...listedDefaults, participant_id: admin, is_admin: true },
        { ...listedDefaults, participant_id: member, username: 'Bob' },
      ].sort((a, b) => (a.participant_id < b.participant_id ? -1 : 1)),
    );
  });
});

describe('PATCH …/userprofile', () => {
  test.each(['Bob', '😀👩‍👩‍👧‍👦', 'محمد', 'ab\u200dcd', 'x'.repeat(100), 'O\'Neil <b>&"', '  spaces  '])(
    'accepts the name %j and returns it unchanged',
    async (username) => {
      const { room_id, member } = await newRoom();
      const request = { as: member, params: { room_id } };
      expect(await data('updateProfile', { ...request, body: { username } })).toEqual({
        participant_id: member,
        username,
        archive_room: false,
      });
      expect((await data('getRoom', request)).username).toBe(username);
    },
  );

  test('changes the given fields, keeps the rest, and null clears the name', async () => {
    const { room_id, admin, member } = await newRoom();
    const request = { as: member, params: { room_id } };
    await data('updateProfile', { ...request, body: { username: 'Bob' } });
    expect(await data('updateProfile', { ...request, body: { archive_room: true } })).toMatchObject({
      username: 'Bob',
      archive_room: true,
    });
    expect(await data('updateProfile', { ...request, body: { username: null } })).toMatchObject({
      username: null,
      archive_room: true,
    });
    expect(await data('updateProfile', { ...request, body: { username: null, archive_room: false } })).toMatchObject({
      username: null,
      archive_room: false,
    });
    expect(await data('getRoom', { as: admin, params: { room_id } })).toMatchObject({ archive_room: false });
  });

  test.each([
    ['an empty body', {}, undefined],
    ['an empty name', { username: '' }, 'username'],
    ['an invisible name', { username: '\u200b\u2060' }, 'username'],
    ['a name that is too long', { username: 'x'.repeat(101) }, 'username'],
    ['a participant ID', { participant_id: 'x', username: 'y' }, 'participant_id'],
    ['an admin right', { is_admin: true }, 'is_admin'],
    ['null as a flag', { archive_room: null }, 'archive_room'],
    ['a string as a flag', { archive_room: 'true' }, 'archive_room'],
  ])('rejects %s', async (_, body, path) => {
    const { room_id, member } = await newRoom();
    const before = await snapshot();
    const { code, errors } = await refused('updateProfile', { as: member, params: { room_id }, body });
    expect(code).toBe('invalid_request');
    expect(errors.map((error) => error.path)).toContain(path);
    expect(await snapshot()).toEqual(before);
  });
});
