import type * as v from 'valibot';
import { expect, test } from 'vitest';
import type { changeRoom, createRoom } from '../../core/contract/routes.ts';
import { data } from '../support/invoke.ts';
import { newRoom, newUser } from '../support/world.ts';

const inMinutes = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString();

/** A value for each field of a room that users can set, other than its default. The compiler requires one for each new field. */
const FIELDS = {
  name: 'Night shift',
  description: 'Line 4',
  start_time: inMinutes(60),
  end_time: inMinutes(120),
  posting: 'admins',
  metadata: { line: 4 },
  end_warnings_seconds: [120],
  announcements: [
    { announcement_id: 'a', message: 'Hand over', relative_from: 'end', relative_time_in_seconds: -60 } as const,
  ],
} satisfies Record<
  | Exclude<keyof v.InferInput<typeof createRoom.body>, 'participant_ids'>
  | Exclude<keyof v.InferInput<typeof changeRoom.body>, 'time_left_in_seconds' | 'reason'>,
  unknown
>;

test('POST /room stores every field', async () => {
  const as = newUser();
  const room = await data('createRoom', { as, body: FIELDS });
  expect(room).toMatchObject(FIELDS);
  expect(await data('getRoom', { as, params: { room_id: room.room_id } })).toMatchObject(FIELDS);
});

test.each(Object.entries(FIELDS))('POST /admin/room/{room_id} stores the field %s', async (name, value) => {
  const { room_id, admin: as } = await newRoom({ body: { start_time: inMinutes(30) } });
  const request = { as, params: { room_id } };
  expect(await data('changeRoom', { ...request, body: { [name]: value } })).toMatchObject({ [name]: value });
  expect(await data('getRoom', request)).toMatchObject({ [name]: value });
});
