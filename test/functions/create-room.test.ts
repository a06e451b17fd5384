import { describe, expect, test, vi } from 'vitest';
import { IDEMPOTENCY_TTL_SECONDS } from '../../core/contract/limits.ts';
import { ownDefaults, roomDefaults } from '../support/defaults.ts';
import { data, invoke, refusal, refused, succeed } from '../support/invoke.ts';
import { allRoomsOf, at, newUser, participantsOf, snapshot } from '../support/world.ts';

const soon = (ms: number): string => new Date(Date.now() + ms).toISOString();

test('a room with only a name starts now, has no end, and its creator is the admin', async () => {
  const alice = newUser();
  const before = new Date().toISOString();
  const { status, data: room } = await succeed('createRoom', { as: alice, body: { name: 'Stand-up' } });
  expect(status).toBe(201);
  expect(room).toEqual({
    ...roomDefaults,
    room_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    name: 'Stand-up',
    start_time: room.created_at,
    status: 'started',
    created_by: alice,
    created_at: room.created_at,
    updated_at: room.created_at,
  });
  expect(room.created_at >= before && room.created_at <= new Date().toISOString()).toBe(true);
  expect(await data('getRoom', { as: alice, params: { room_id: room.room_id } })).toEqual({
    unread_count: 0,
    ...room,
    ...ownDefaults,
    is_admin: true,
  });
});

test('keeps all fields, and converts times to UTC', async () => {
  const [alice, bob, carol] = [newUser('a'), newUser('b'), newUser('c')];
  const start = new Date(Date.now() + 3_600_000);
  const room = await data('createRoom', {
    as: alice,
    body: {
      name: 'Plan 🚀 مرحبا',
      description: 'one\ntwo\tthree',
      start_time: `${new Date(start.getTime() + 2 * 3_600_000).toISOString().slice(0, 19)}+02:00`,
      end_time: soon(7_200_000),
      participant_ids: [bob, carol, bob, alice],
    },
  });
  expect(room).toMatchObject({ name: 'Plan 🚀 مرحبا', description: 'one\ntwo\tthree', status: 'booked' });
  expect(room.start_time).toBe(`${start.toISOString().slice(0, 19)}.000Z`);
  expect(await participantsOf(room.room_id, carol)).toEqual([alice, bob, carol].sort());
  expect(await data('getRoom', { as: bob, params: { room_id: room.room_id } })).toMatchObject({ is_admin: false });
});

test('accepts 50 participants, and rejects 51', async () => {
  const [alice, ids] = [newUser(), Array.from({ length: 51 }, (_, n) => newUser(`p${n}`))];
  expect(await refused('createRoom', { as: alice, body: { name: 'x', participant_ids: ids } })).toMatchObject({
    code: 'invalid_request',
    errors: [{ path: 'participant_ids' }],
  });
  // An idempotency key makes the transaction as large as it can be.
  const { room_id } = await data('createRoom', {
    as: alice,
    body: { name: 'x', participant_ids: ids.slice(1) },
    headers: { 'Idempotency-Key': 'large' },
  });
  expect(await participantsOf(room_id, alice)).toHaveLength(51);
});

test('treats null like an omitted field', async () => {
  const body = { name: 'x', description: null, start_time: null, end_time: null };
  expect(await data('createRoom', { as: newUser(), body })).toMatchObject({
    description: null,
    end_time: null,
    status: 'started',
  });
});

test.each([
  ['a start in the past', { start_time: soon(-3_600_000) }, 'start_time'],
  ['an end in the past', { end_time: soon(-1_000) }, 'end_time'],
  ['an end before the start', { start_time: soon(7_200_000), end_time: soon(3_600_000) }, 'end_time'],
  ['an end at the start', { start_time: '2030-01-01T00:00:00Z', end_time: '2030-01-01T00:00:00.000Z' }, 'end_time'],
  ['a start in the year 9999', { start_time: '9999-12-31T23:59:59.999Z' }, 'start_time'],
  ['an end in the year 9999', { end_time: '9999-12-31T23:59:59.999Z' }, 'end_time'],
])('rejects %s', async (_, times, path) => {
  const alice = newUser();
  const { code, errors } = await refused('createRoom', { as: alice, body: { name: 'x', ...times } });
  expect(code).toBe('invalid_request');
  expect(errors).toContainEqual(expect.objectContaining({ path }));
  expect(await allRoomsOf(alice)).toEqual([]);
});

test("treats a start a few seconds ago as now, because the caller's clock may be behind", async () => {
  expect(await data('createRoom', { as: newUser(), body: { name: 'x', start_time: soon(-60_000) } })).toMatchObject({
    status: 'started',
  });
});

test('a retry with the same key returns the first response and creates nothing', async () => {
  const [alice, bob] = [newUser('a'), newUser('b')];
  const request = { as: alice, body: { name: 'x', participant_ids: [bob] }, headers: { 'Idempotency-Key': 'k' } };
  const first = await data('createRoom', request);
  const before = await snapshot();
  expect(await data('createRoom', request)).toEqual(first);
  expect(await refusal('createRoom', { ...request, body: { name: 'y', participant_ids: [bob] } })).toBe(
    'idempotency_conflict',
  );
  expect(await snapshot()).toEqual(before);
  // The same key of another user, and another key of the same user, create new rooms.
  const others = [
    await data('createRoom', { ...request, as: bob }),
    await data('createRoom', { ...request, headers: { 'Idempotency-Key': 'K' } }),
  ];
  expect(new Set([first, ...others].map(({ room_id }) => room_id)).size).toBe(3);
});

test('with a key, null and an omitted field are the same request', async () => {
  const request = { as: newUser(), headers: { 'Idempotency-Key': 'k' } };
  const bodies = [
    { name: 'x' },
    { name: 'x', description: null },
    { name: 'x', end_time: null },
    { name: 'x', description: null, end_time: null, metadata: null, posting: 'everyone', participant_ids: [] },
  ];
  const rooms = await Promise.all(bodies.map((body) => data('createRoom', { ...request, body })));
  expect(new Set(rooms.map(({ room_id }) => room_id)).size).toBe(1);
  for (const more of [{ description: 'y' }, { metadata: {} }, { posting: 'admins' }])
    expect(await refusal('createRoom', { ...request, body: { name: 'x', ...more } })).toBe('idempotency_conflict');
});

describe('a retry with the same key after the times have passed', () => {
  const minute = 60_000;
  const timed = () => ({
    as: newUser(),
    body: { name: 'x', start_time: soon(minute), end_time: soon(10 * minute) },
    headers: { 'Idempotency-Key': 'k' },
  });

  test.each([
    ['the start, by more than a wrong clock can explain', 8 * minute, 'started'],
    ['the end', 11 * minute, 'ended'],
  ])('returns the first room after %s', async (_, later, status) => {
    const request = timed();
    const first = await data('createRoom', request);
    const before = await snapshot();
    await at(Date.now() + later, async () => {
      expect(await succeed('createRoom', request)).toMatchObject({ status: 201, data: { ...first, status } });
      expect(await refusal('createRoom', { ...request, body: { ...request.body, name: 'y' } })).toBe(
        'idempotency_conflict',
      );
      // The request stays invalid with another key, from another user, and without a key.
      for (const other of [{ headers: { 'Idempotency-Key': 'K' } }, { as: newUser() }, { headers: {} }])
        expect(await refusal('createRoom', { ...request, ...other })).toBe('invalid_request');
    });
    expect(await snapshot()).toEqual(before);
  });

  test('is rejected after the key has expired, even if its record has not been deleted yet', async () => {
    const request = timed();
    await data('createRoom', request);
    await at(Date.now() + (IDEMPOTENCY_TTL_SECONDS + 10) * 1_000, async () => {
      expect(await refusal('createRoom', request)).toBe('invalid_request');
    });
  });
});

test('a retry without a key creates another room', async () => {
  const request = { as: newUser(), body: { name: 'x' } };
  const [first, second] = [await data('createRoom', request), await data('createRoom', request)];
  expect(first.room_id).not.toBe(second.room_id);
});

test('simultaneous requests with one key create one room', async () => {
  const alice = newUser();
  const request = { as: alice, body: { name: 'x' }, headers: { 'Idempotency-Key': 'k' } };
  const rooms = await Promise.all(Array.from({ length: 10 }, () => data('createRoom', request)));
  expect(new Set(rooms.map(({ room_id }) => room_id)).size).toBe(1);
  expect(await allRoomsOf(alice)).toHaveLength(1);
});

test('a key expires after a day, even if its record has not been deleted yet', async () => {
  const request = { as: newUser(), body: { name: 'x' }, headers: { 'Idempotency-Key': 'k' } };
  const first = await data('createRoom', request);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + (IDEMPOTENCY_TTL_SECONDS - 10) * 1_000 });
  try {
    expect((await data('createRoom', request)).room_id).toBe(first.room_id);
    vi.setSystemTime(Date.now() + 20_000);
    expect((await data('createRoom', request)).room_id).not.toBe(first.room_id);
  } finally {
    vi.useRealTimers();
  }
});

test.each(['', 'a'.repeat(256), 'ключ', 'two words', 'tab\there'])('rejects the key %j', async (key) => {
  const before = await snapshot();
  const reply = await invoke('createRoom', {
    as: newUser(),
    body: { name: 'x' },
    headers: { 'Idempotency-Key': key },
  });
  expect(reply).toMatchObject({ ok: false, code: 'invalid_request', errors: [{ path: 'idempotency-key' }] });
  expect(await snapshot()).toEqual(before);
});

test('accepts the longest key', async () => {
  const request = { as: newUser(), body: { name: 'x' }, headers: { 'Idempotency-Key': '~'.repeat(255) } };
  expect((await data('createRoom', request)).room_id).toBe((await data('createRoom', request)).room_id);
});
