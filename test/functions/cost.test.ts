import { beforeAll, describe, expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import type { Route } from '../../core/contract/route.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { allowed, data, invoke, type Operation, type Request, refused, succeed } from '../support/invoke.ts';
import { newRoom, newUser, type World } from '../support/world.ts';

/** Sequential round trips to DynamoDB on the path that succeeds. */
const TRIPS: Readonly<Record<string, number>> = { listRooms: 2, createUpload: 2 };
const tripsOf = (operation: Operation): number => TRIPS[operation] ?? 1;

interface Sized extends World {
  readonly file_id: string;
}

/** A room with this many participants, whose admin is in as many rooms, with as many messages, and a file. */
async function roomOf(size: number): Promise<Sized> {
  const members = Array.from({ length: size - 2 }, (_, n) => newUser(`p${n}`));
  const world = await newRoom({ members: members.slice(0, 49) });
  const { room_id, admin } = world;
  for (let n = 49; n < members.length; n += 50)
    await data('addParticipants', {
      as: admin,
      params: { room_id },
      body: { participant_ids: members.slice(n, n + 50) },
    });
  const rooms = Array.from({ length: size - 1 }, () => ({ as: admin, body: { name: 'x' } }));
  for (let n = 0; n < rooms.length; n += 20)
    await Promise.all(rooms.slice(n, n + 20).map((request) => data('createRoom', request)));
  const now = new Date().toISOString();
  for (let n = 0; n < size; n++)
    await appendMessage({ room_id, sender_id: admin, client_message_id: `m${n}`, text: 'x', now });
  const { file_id } = await data('createUpload', {
    as: admin,
    params: { room_id },
    query: { size: 1, content_type: 'text/plain' },
  });
  return { ...world, file_id };
}

/** Good requests of each operation, as good for a large room as for a small one, in an order in which all succeed. */
function requests({ room_id, admin, member, file_id }: Sized): readonly (readonly [Operation, Request])[] {
  const params = { room_id };
  const more = Array.from({ length: 49 }, () => newUser());
  const page = { limit: 200 };
  return [
    ['createRoom', { as: admin, body: { name: 'x' } }],
    [
      'createRoom',
      { as: admin, body: { name: 'x', participant_ids: more }, headers: { 'Idempotency-Key': newUser() } },
    ],
    ['changeRoom', { as: admin, params, body: { name: 'y' } }],
    ['changeRoom', { as: admin, params, body: { time_left_in_seconds: 1_000 } }],
    ['addParticipants', { as: admin, params, body: { participant_ids: more } }],
    ['addParticipants', { as: admin, params, body: { participant_ids: [newUser()] } }],
    ['grantAdmin', { as: admin, params: { room_id, participant_id: member } }],
    ['revokeAdmin', { as: admin, params: { room_id, participant_id: member } }],
    ['removeParticipants', { as: admin, params, body: { participant_ids: more } }],
    ['removeParticipants', { as: admin, params, query: { participant_id: newUser() } }],
    ['listRooms', { as: admin, query: page }],
    ['getRoom', { as: member, params }],
    ['listParticipants', { as: member, params, query: page }],
    ['updateProfile', { as: member, params, body: { username: 'x', archive_room: true } }],
    ['listMessages', { as: member, params, query: page }],
    ['createUpload', { as: member, params, query: { size: 1, content_type: 'text/plain' } }],
    ['createDownload', { as: member, params, query: { file_id } }],
    ['grantAdmin', { as: admin, params: { room_id, participant_id: member } }],
    ['revokeAdmin', { as: admin, params: { room_id, participant_id: admin } }],
    ['endRoom', { as: member, params }],
  ];
}

describe.each([2, 50, 200])('with %i participants, rooms and messages', (size) => {
  test('every call keeps to its budget of round trips', async () => {
    const world = await roomOf(size);
    const seen = new Set<string>();
    for (const [operation, request] of requests(world)) {
      const { trace } = await succeed(operation, request);
      seen.add(operation);
      expect({ operation, trips: trace.trips }).toEqual({ operation, trips: tripsOf(operation) });
    }
    expect([...seen].sort()).toEqual(allRoutes.map(({ operation }) => operation).sort());
  });
});

test('no call sends more requests for a large room than for a small one, but for the page of 200 rooms', async () => {
  const count = async (size: number) => {
    const counts: [string, number][] = [];
    for (const [operation, request] of requests(await roomOf(size)))
      counts.push([operation, (await succeed(operation, request)).trace.requests.length]);
    return counts;
  };
  const withoutRooms = (counts: [string, number][]) => counts.filter(([operation]) => operation !== 'listRooms');
  const [small, large] = [await count(2), await count(150)];
  expect(withoutRooms(large)).toEqual(withoutRooms(small));
});

test('an answer of 404, 409 or 403 for a participant costs at most one trip more', async () => {
  const world = await roomOf(2);
  const { room_id, admin, member, outsider } = world;
  const params = { room_id };
  const trips = async (operation: Operation, request: Request) => (await refused(operation, request)).trace.trips;
  expect(await trips('changeRoom', { as: admin, params: { room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01' } })).toBe(1);
  expect(await trips('revokeAdmin', { as: admin, params: { room_id, participant_id: admin } })).toBe(1);
  expect(await trips('changeRoom', { as: member, params })).toBe(2);
  expect(await trips('changeRoom', { as: outsider, params })).toBe(2);
  expect(await trips('getRoom', { as: outsider, params })).toBe(1);
});

describe('the permissions of each function', () => {
  const used = new Map<string, Set<string>>(allRoutes.map(({ operation }) => [operation, new Set()]));

  beforeAll(async () => {
    const world = await roomOf(2);
    const { room_id, admin, member, outsider } = world;
    const note = async (operation: Operation, request: Request) => {
      const reply = await invoke(operation, request);
      for (const action of reply.trace.actions) used.get(operation)?.add(action);
      if (reply.ok && 'upload_url' in reply.data) used.get(operation)?.add('PutObject');
      if (reply.ok && 'download_url' in reply.data) used.get(operation)?.add('GetObject');
    };
    for (const [operation, request] of requests(world)) {
      // As somebody who may, and as those who may not: to tell why takes reading.
      for (const as of [outsider, request.as === admin ? member : admin])
        if (operation !== 'createRoom' && operation !== 'listRooms') await note(operation, { ...request, as });
      await note(operation, request);
    }
    expect(room_id).toEqual(expect.any(String));
  });

  test.each(allRoutes.map((route) => [route.operation, route] as const))(
    '%s uses all that it has',
    (operation, route: Route) => {
      const granted = [...allowed(route), ...(route.access.bucket ?? [])];
      expect([...(used.get(operation) ?? [])].sort()).toEqual(granted.sort());
    },
  );
});
