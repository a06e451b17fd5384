import { beforeAll, describe, expect, test } from 'vitest';
import { ownDefaults } from '../support/defaults.ts';
import { moreRooms } from '../support/fill.ts';
import { data, refused, succeed } from '../support/invoke.ts';
import { allRoomsOf, at, newRoom, newUser } from '../support/world.ts';

describe('GET /participant/room', () => {
  test("lists the caller's rooms, newest first, with the caller's profile in each", async () => {
    const [alice, bob] = [newUser('alice'), newUser('bob')];
    const own = await data('createRoom', { as: alice, body: { name: 'own' } });
    const others = await data('createRoom', { as: bob, body: { name: 'others', participant_ids: [alice] } });
    await data('createRoom', { as: bob, body: { name: 'without her' } });
    const { room_id } = others;
    await data('updateProfile', {
      as: alice,
      params: { room_id },
      body: { username: 'Alice', archive_room: true },
    });
    const { data: rooms, page } = await succeed('listRooms', { as: alice });
    expect(rooms).toEqual([
      { ...others, ...ownDefaults, username: 'Alice', archive_room: true },
      { ...own, ...ownDefaults, is_admin: true },
    ]);
    expect(page).toEqual({ size: 2, next_cursor: null });
  });

  test('returns no rooms for a user who is in none', async () => {
    expect(await succeed('listRooms', { as: newUser() })).toMatchObject({
      data: [],
      page: { size: 0, next_cursor: null },
    });
  });

  test("no longer lists a room after the caller's removal", async () => {
    const { room_id, admin, member } = await newRoom();
    expect(await allRoomsOf(member)).toHaveLength(1);
    await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
    expect(await allRoomsOf(member)).toEqual([]);
  });

  describe('with 205 rooms', () => {
    const alice = newUser('alice');
    const created: string[] = [];
    const names = new Map<string, string>();
    const SECOND = 1_000;
    const HOUR = 3_600_000;
    const start = Date.now();

    const create = async (n: number): Promise<void> => {
      // One room per second, because of the limit per minute.
      const { room_id } = await at(start + n * SECOND, () =>
        data('createRoom', {
          as: alice,
          body: {
            name: `Room ${n}`,
            ...(n % 3 === 1 && { start_time: new Date(start + HOUR).toISOString() }),
            ...(n % 3 === 2 && { end_time: new Date(start + 300 * SECOND).toISOString() }),
          },
        }),
      );
      created.unshift(room_id);
      names.set(room_id, `Room ${n}`);
    };

    beforeAll(async () => {
      for (let n = 0; n < 205; n++) await create(n);
    });

    test('returns 200 on one page, with BatchGets that run in parallel', async () => {
      const { data: rooms, page, trace } = await succeed('listRooms', { as: alice, query: { limit: 200 } });
      expect(rooms.map(({ room_id }) => room_id)).toEqual(created.slice(0, 200));
      expect(rooms.map(({ room_id, name }) => names.get(room_id) === name)).not.toContain(false);
      // Reads three items per room: the room, the participant, and the last message. That makes 600 items.
      expect(trace.requests).toEqual(['Query', ...Array(6).fill('BatchGetItem')]);
      expect(trace.trips).toBe(2);
      expect(page?.next_cursor).toEqual(expect.any(String));
    });

    test.each([1, 4, 41, 50, 200])('pages of %i miss none and repeat none', async (limit) => {
      expect((await allRoomsOf(alice, { limit })).map(({ room_id }) => room_id)).toEqual(created);
    });

    test('marks a page that ends with the list as the last', async () => {
      const seen: (string | null | undefined)[] = [];
      let cursor: string | undefined;
      do {
        const { page } = await succeed('listRooms', { as: alice, query: { limit: 41, ...(cursor && { cursor }) } });
        seen.push(page?.next_cursor);
        cursor = page?.next_cursor ?? undefined;
      } while (cursor);
      // 205 rooms in pages of 41.
      expect(seen).toHaveLength(5);
      expect(seen.at(-1)).toBeNull();
    });

    test('filters by status, and the pages add up', async () => {
      await at(start + 301 * SECOND, async () => {
        for (const [status, remainder] of [
          ['started', 0],
          ['booked', 1],
          ['ended', 2],
        ] as const) {
          const rooms = await allRoomsOf(alice, { status, limit: 20 });
          expect(rooms.map(({ status: found }) => found === status)).not.toContain(false);
          expect(rooms.map(({ room_id }) => room_id)).toEqual(
            created.filter((_, index) => (204 - index) % 3 === remainder),
          );
        }
        // The newest matching room is the third, so the search continues until the page is full.
        const { data: one, page } = await succeed('listRooms', { as: alice, query: { status: 'ended', limit: 1 } });
        expect(one).toMatchObject([{ name: 'Room 203' }]);
        expect(page).toEqual({ size: 1, next_cursor: expect.any(String) });
      });
    });

    test('returns the oldest first with order=asc, and a cursor works in both orders', async () => {
      expect((await allRoomsOf(alice, { limit: 41, order: 'asc' })).map(({ room_id }) => room_id)).toEqual(
        created.toReversed(),
      );
      const { page } = await succeed('listRooms', { as: alice, query: { limit: 10, order: 'asc' } });
      const query = { limit: 20, cursor: page?.next_cursor ?? '' };
      const back = await data('listRooms', { as: alice, query });
      expect(back.map(({ room_id }) => room_id)).toEqual(created.slice(-9));
    });

    test('filters by start: from is included, to is not', async () => {
      const of = async (from?: number, to?: number) =>
        (
          await allRoomsOf(alice, {
            limit: 41,
            ...(from !== undefined && { from: new Date(from).toISOString() }),
            ...(to !== undefined && { to: new Date(to).toISOString() }),
          })
        ).length;
      const booked = start + HOUR;
      expect(await of(booked)).toBe(68);
      expect(await of(booked + 1)).toBe(0);
      expect(await of(undefined, booked)).toBe(205 - 68);
      expect(await of(booked, booked + 1)).toBe(68);
      expect(await of(start + 2 * SECOND, start + 3 * SECOND)).toBe(1);
    });

    test('returns 50 without a limit', async () => {
      expect((await succeed('listRooms', { as: alice })).page?.size).toBe(50);
    });
  });

  describe('with 300 ended rooms, an older live room, and 1,000 other rooms', () => {
    let user = '';
    let live = '';
    beforeAll(async () => {
      user = newUser();
      const hour = 3_600_000;
      const ago = (ms: number) => Date.now() - ms;
      const create = (ms: number, body: object = {}) =>
        at(ago(ms), () => data('createRoom', { as: user, body: { name: 'x', ...body } }));
      const old = await create(4 * hour);
      await data('endRoom', { as: user, params: { room_id: old.room_id } });
      await moreRooms(user, old.room_id, 1_000, ago(4 * hour));
      live = (await create(3 * hour)).room_id;
      const { room_id } = await create(2 * hour);
      await data('endRoom', { as: user, params: { room_id } });
      await moreRooms(user, room_id, 299, ago(2 * hour));
    });

    test('finds the live room on the first page', async () => {
      const { data: rooms, trace } = await succeed('listRooms', { as: user, query: { status: 'started' } });
      expect(rooms.map(({ room_id }) => room_id)).toEqual([live]);
      // Reads 50, 100, 200, 200, 200, 200 and 50 rooms with two round trips each, then the returned rooms.
      expect(trace.trips).toBe(15);
    });

    test('reads at most 1,000 rooms per request, and continues from there', async () => {
      const query = { status: 'booked' };
      const { data: none, page, trace } = await succeed('listRooms', { as: user, query });
      expect(none).toEqual([]);
      expect(trace.requests.filter((each) => each === 'Query')).toHaveLength(7);
      const cursor = page?.next_cursor ?? '';
      expect(await succeed('listRooms', { as: user, query: { ...query, cursor } })).toMatchObject({
        data: [],
        page: { size: 0, next_cursor: null },
      });
    });

    test('costs three round trips if the first read fills the page', async () => {
      const { page, trace } = await succeed('listRooms', { as: user, query: { status: 'ended', limit: 50 } });
      expect([page?.size, trace.trips]).toEqual([50, 3]);
      expect((await allRoomsOf(user, { status: 'ended', limit: 200 })).length).toBe(1_301);
    });

    test('filters by archived without reading the other rooms', async () => {
      await data('updateProfile', { as: user, params: { room_id: live }, body: { archive_room: true } });
      const { data: archived } = await succeed('listRooms', { as: user, query: { archived: 'true' } });
      expect(archived.map(({ room_id }) => room_id)).toEqual([live]);
      expect(await data('listRooms', { as: user, query: { archived: 'false', status: 'started' } })).toEqual([]);
      expect(await allRoomsOf(user, { archived: 'false', limit: 200 })).toHaveLength(1_301);
    });
  });

  test.each([
    ['archived', { archived: 'yes' }],
    ['archived', { archived: '' }],
    ['from', { from: 'yesterday' }],
    ['to', { to: '2026-02-30T00:00Z' }],
    ['to', { from: '2026-03-01T00:00Z', to: '2026-03-01T00:00Z' }],
    ['order', { order: 'newest' }],
    ['limit', { limit: 0 }],
    ['limit', { limit: 201 }],
    ['status', { status: 'over' }],
    ['cursor', { cursor: 'x' }],
  ])('rejects a bad %s', async (path, query) => {
    expect(await refused('listRooms', { as: newUser(), query })).toMatchObject({
      code: 'invalid_request',
      errors: [{ path }],
    });
  });
});

describe('the status of a room', () => {
  test('changes exactly on time, without any process', async () => {
    const [start, end] = [Date.now() + 60_000, Date.now() + 120_000];
    const { room_id, member } = await newRoom({
      body: { start_time: new Date(start).toISOString(), end_time: new Date(end).toISOString() },
    });
    const status = (moment: number) =>
      at(moment, async () => (await data('getRoom', { as: member, params: { room_id } })).status);
    expect(await status(start - 1)).toBe('booked');
    expect(await status(start)).toBe('started');
    expect(await status(end - 1)).toBe('started');
    expect(await status(end)).toBe('ended');
  });
});
