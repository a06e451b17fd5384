import { describe, expect, test } from 'vitest';
import { data, refusal, refused, succeed } from '../support/invoke.ts';
import { at, newRoom, snapshot } from '../support/world.ts';

const HOUR = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();

describe('POST /admin/room/{room_id} with update fields', () => {
  test('changes the given fields and keeps the rest', async () => {
    const { room_id, admin, member } = await newRoom({
      body: { description: 'old', end_time: iso(Date.now() + HOUR) },
    });
    const params = { room_id };
    const before = await data('getRoom', { as: member, params });
    const { status, data: room } = await succeed('changeRoom', { as: admin, params, body: { name: 'New 名前' } });
    expect(status).toBe(200);
    expect({ ...before, ...room }).toEqual({ ...before, name: 'New 名前', updated_at: room.updated_at });
    expect(room.updated_at >= before.updated_at).toBe(true);
    expect(await data('getRoom', { as: member, params })).toMatchObject({ name: 'New 名前', description: 'old' });
  });

  test('accepts all fields at once', async () => {
    const { room_id, admin } = await newRoom();
    const body = {
      name: 'n',
      description: 'd',
      start_time: iso(Date.now() + HOUR),
      end_time: iso(Date.now() + 2 * HOUR),
    };
    expect(await data('changeRoom', { as: admin, params: { room_id }, body })).toMatchObject({
      ...body,
      status: 'booked',
    });
  });

  test('null clears description and end; an empty description is stored as null', async () => {
    const { room_id, admin } = await newRoom({ body: { description: 'd', end_time: iso(Date.now() + HOUR) } });
    const request = { as: admin, params: { room_id } };
    expect(await data('changeRoom', { ...request, body: { description: null, end_time: null } })).toMatchObject({
      description: null,
      end_time: null,
    });
    await data('changeRoom', { ...request, body: { description: 'again' } });
    expect(await data('changeRoom', { ...request, body: { description: '' } })).toMatchObject({ description: null });
  });

  test('checks one time against the other stored time', async () => {
    const now = Date.now();
    const { room_id, admin } = await newRoom({
      body: { start_time: iso(now + HOUR), end_time: iso(now + 2 * HOUR) },
    });
    const request = { as: admin, params: { room_id } };
    const before = await snapshot();
    for (const body of [
      { end_time: iso(now + HOUR) },
      { end_time: iso(now + HOUR / 2) },
      { start_time: iso(now + 2 * HOUR) },
      { start_time: iso(now + 3 * HOUR) },
      { start_time: iso(now + 4 * HOUR), end_time: iso(now + 3 * HOUR) },
    ])
      expect(await refused('changeRoom', { ...request, body })).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'end_time' }],
      });
    expect(await snapshot()).toEqual(before);
    // Both times can move together to where neither could move alone. A room without an end accepts any start.
    const both = { start_time: iso(now + 3 * HOUR), end_time: iso(now + 4 * HOUR) };
    expect(await data('changeRoom', { ...request, body: both })).toMatchObject(both);
    const open = { start_time: iso(now + 9 * HOUR), end_time: null };
    expect(await data('changeRoom', { ...request, body: open })).toMatchObject(open);
    expect(await data('changeRoom', { ...request, body: { start_time: iso(now + HOUR) } })).toMatchObject({
      end_time: null,
    });
    expect(await data('changeRoom', { ...request, body: { end_time: iso(now + HOUR + 1) } })).toMatchObject({
      end_time: iso(now + HOUR + 1),
    });
  });

  test('accepts a start in the past if it is the stored start', async () => {
    const { room_id, admin } = await newRoom();
    const request = { as: admin, params: { room_id } };
    const { start_time } = await data('getRoom', request);
    await at(Date.now() + HOUR, async () => {
      expect(await data('changeRoom', { ...request, body: { name: 'form', start_time } })).toMatchObject({
        name: 'form',
        start_time,
      });
      const other = iso(Date.parse(start_time) + 1);
      expect(await refused('changeRoom', { ...request, body: { name: 'no', start_time: other } })).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'start_time' }],
      });
      expect(await data('getRoom', request)).toMatchObject({ name: 'form' });
    });
  });

  test('rejects an end in the past, because another call ends a room', async () => {
    const { room_id, admin } = await newRoom();
    const body = { end_time: iso(Date.now() - 1) };
    expect(await refused('changeRoom', { as: admin, params: { room_id }, body })).toMatchObject({
      errors: [{ path: 'end_time' }],
    });
  });
});

describe('an update or an end', () => {
  test.each([
    ['a mix of fields of an update and an end', { name: 'x', reason: 'y' }],
    ['a mix of fields of an update and an end', { end_time: null, time_left_in_seconds: 0 }],
    ['a mix of fields of an update and an end', { description: null, reason: '' }],
    ['a typo', { nmae: 'x' }],
    ['a typo and a valid field', { name: 'x', resaon: 'y' }],
    ['another route’s field', { participant_ids: ['x'] }],
    ['null as the body', 'null'],
    ['an array', []],
    ['a string', '"end"'],
    ['__proto__', '{"__proto__": {"name": "x"}}'],
    ['constructor', '{"constructor": "x"}'],
  ])('%s is rejected, and nothing changes', async (_, body) => {
    const { room_id, admin } = await newRoom();
    const before = await snapshot();
    expect(await refusal('changeRoom', { as: admin, params: { room_id }, body })).toBe('invalid_request');
    expect(await snapshot()).toEqual(before);
  });

  test.each([
    ['POST without a body', 'changeRoom', undefined],
    ['POST with {}', 'changeRoom', {}],
    ['POST with only white space', 'changeRoom', ' \n'],
    ['DELETE without a body', 'endRoom', undefined],
    ['DELETE with {}', 'endRoom', {}],
  ] as const)('%s ends the room at once', async (_, operation, body) => {
    const { room_id, admin, member } = await newRoom();
    const now = Date.now();
    await at(now, async () => {
      expect(await data(operation, { as: admin, params: { room_id }, body })).toMatchObject({
        status: 'ended',
        end_time: iso(now),
        updated_at: iso(now),
        end_reason: null,
      });
      expect(await data('getRoom', { as: member, params: { room_id } })).toMatchObject({ status: 'ended' });
    });
  });
});

describe.each(['changeRoom', 'endRoom'] as const)('ending by %s', (operation) => {
  test('in n seconds: the status changes at exactly that time', async () => {
    const { room_id, admin, member } = await newRoom();
    const now = Date.now();
    const body = { time_left_in_seconds: 90, reason: 'Shift is over' };
    const room = await at(now, () => data(operation, { as: admin, params: { room_id }, body }));
    expect(room).toMatchObject({ status: 'started', end_time: iso(now + 90_000), end_reason: 'Shift is over' });
    const status = (moment: number) =>
      at(moment, async () => (await data('getRoom', { as: member, params: { room_id } })).status);
    expect(await status(now + 89_999)).toBe('started');
    expect(await status(now + 90_000)).toBe('ended');
  });

  test('with only a reason: at once', async () => {
    const { room_id, admin } = await newRoom();
    const room = await data(operation, { as: admin, params: { room_id }, body: { reason: 'الوردية انتهت' } });
    expect(room).toMatchObject({ status: 'ended', end_reason: 'الوردية انتهت' });
  });

  test('a room that is about to end can end sooner, later, or not at all', async () => {
    const { room_id, admin } = await newRoom();
    const now = Date.now();
    const end = (time_left_in_seconds: number, moment: number) =>
      at(moment, () =>
        data(operation, { as: admin, params: { room_id }, body: { time_left_in_seconds, reason: 'r' } }),
      );
    expect(await end(60, now)).toMatchObject({ end_time: iso(now + 60_000) });
    expect(await end(3_600, now + 1_000)).toMatchObject({ end_time: iso(now + 3_601_000) });
    expect(await end(5, now + 2_000)).toMatchObject({ end_time: iso(now + 7_000) });
    await at(now + 6_999, async () => {
      const body = { end_time: null };
      expect(await data('changeRoom', { as: admin, params: { room_id }, body })).toMatchObject({
        end_time: null,
        end_reason: null,
      });
    });
    expect(await end(5, now + 7_000)).toMatchObject({ end_time: iso(now + 12_000) });
    await expect(end(5, now + 11_999)).resolves.toMatchObject({ end_time: iso(now + 16_999) });
    await at(now + 16_999, async () => {
      expect(await refusal(operation, { as: admin, params: { room_id }, body: { time_left_in_seconds: 60 } })).toBe(
        'room_ended',
      );
      expect(await refusal('changeRoom', { as: admin, params: { room_id }, body: { end_time: null } })).toBe(
        'room_ended',
      );
    });
  });

  test('a later end without a reason clears the reason of the earlier end', async () => {
    const { room_id, admin } = await newRoom();
    const request = { as: admin, params: { room_id } };
    await data(operation, { ...request, body: { time_left_in_seconds: 60, reason: 'r' } });
    expect(await data(operation, { ...request, body: { time_left_in_seconds: 30 } })).toMatchObject({
      end_reason: null,
    });
  });

  test('a booked room that is ended at once has the status ended, not booked', async () => {
    const { room_id, admin, member } = await newRoom({ body: { start_time: iso(Date.now() + HOUR) } });
    expect(await data(operation, { as: admin, params: { room_id } })).toMatchObject({ status: 'ended' });
    const later = await at(Date.now() + 2 * HOUR, () => data('getRoom', { as: member, params: { room_id } }));
    expect(later.status).toBe('ended');
  });

  test.each([-1, 0.5, 31_536_001, 1e300, '60', null, true, [1], {}])('%j seconds is rejected', async (value) => {
    const { room_id, admin } = await newRoom();
    const before = await snapshot();
    const body = { time_left_in_seconds: value };
    expect(await refused(operation, { as: admin, params: { room_id }, body })).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'time_left_in_seconds' }],
    });
    expect(await snapshot()).toEqual(before);
  });
});

test('rejects ending a room in the same millisecond in which it was ended', async () => {
  const { room_id, admin, member } = await newRoom();
  const now = Date.now();
  await at(now, () => data('endRoom', { as: admin, params: { room_id } }));
  for (const as of [admin, member])
    await at(now, async () => expect(await refusal('endRoom', { as, params: { room_id } })).not.toBe('try_again'));
});

test('DELETE accepts no update fields', async () => {
  const { room_id, admin } = await newRoom();
  expect(await refused('endRoom', { as: admin, params: { room_id }, body: { name: 'x' } })).toMatchObject({
    code: 'invalid_request',
    errors: [{ path: 'name' }],
  });
});
