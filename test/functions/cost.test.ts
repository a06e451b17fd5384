import { ulid } from 'ulid';
import { describe, expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { sampleCalls } from '../fixtures/samples.ts';
import { type Operation, type Request, refused, succeed } from '../support/invoke.ts';
import { sampleRoomOf } from '../support/sample-room.ts';

describe.each([3, 50, 200])('with %i participants, rooms and messages', (size) => {
  test('every call stays within its budget of round trips', async () => {
    const world = await sampleRoomOf(size);
    const seen = new Set<string>();
    for (const { label, operation, request, trips } of sampleCalls(world)) {
      const { trace } = await succeed(operation, request);
      seen.add(operation);
      expect({ label, trips: trace.trips }).toEqual({ label, trips });
    }
    expect([...seen].sort()).toEqual(allRoutes.map(({ operation }) => operation).sort());
  });
});

test('no call sends more requests for a large room than for a small one, except for a page of 200 rooms', async () => {
  const count = async (size: number) => {
    const counts: [string, number][] = [];
    for (const { label, operation, request } of sampleCalls(await sampleRoomOf(size)))
      counts.push([label, (await succeed(operation, request)).trace.requests.length]);
    return counts;
  };
  const withoutRooms = (counts: [string, number][]) => counts.filter(([label]) => !label.startsWith('listRooms'));
  const [small, large] = [await count(3), await count(150)];
  expect(withoutRooms(large)).toEqual(withoutRooms(small));
});

test('a room without unread messages is read with one request', async () => {
  const { room_id, admin, member } = await sampleRoomOf(3);
  const params = { room_id };
  const trace = async (as: string) => (await succeed('getRoom', { as, params })).trace.requests;
  expect(await trace(admin)).toEqual(['BatchGetItem', 'Query']);
  expect(await trace(member)).toEqual(['BatchGetItem']);
  await succeed('markRead', { as: admin, params, body: { message_id: ulid() } });
  expect(await trace(admin)).toEqual(['BatchGetItem']);
});

test('a 403, 404 or 409 costs a participant at most one more round trip', async () => {
  const world = await sampleRoomOf(3);
  const { room_id, admin, member, outsider } = world;
  const params = { room_id };
  const trips = async (operation: Operation, request: Request) => (await refused(operation, request)).trace.trips;
  expect(await trips('changeRoom', { as: admin, params: { room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01' } })).toBe(1);
  expect(await trips('revokeAdmin', { as: admin, params: { room_id, participant_id: admin } })).toBe(1);
  expect(await trips('changeRoom', { as: member, params })).toBe(2);
  expect(await trips('changeRoom', { as: outsider, params })).toBe(2);
  expect(await trips('getRoom', { as: outsider, params })).toBe(1);
  expect(await trips('markRead', { as: outsider, params, body: { message_id: ulid() } })).toBe(2);
});
