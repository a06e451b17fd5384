import { ulid } from 'ulid';
import { describe, expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { type Operation, type Request, refused, succeed } from '../support/invoke.ts';
import { requests, roomOf } from '../support/requests.ts';

/** Sequential round trips to DynamoDB of a successful request. */
const TRIPS: Readonly<Record<string, number>> = {
  listRooms: 2,
  createUpload: 2,
  // 1 for a room without unread messages.
  getRoom: 2,
  editMessage: 2,
  deleteMessage: 2,
  listMessageChanges: 2,
};
const tripsOf = (operation: Operation): number => TRIPS[operation] ?? 1;

describe.each([2, 50, 200])('with %i participants, rooms and messages', (size) => {
  test('every call stays within its budget of round trips', async () => {
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

test('no call sends more requests for a large room than for a small one, except for a page of 200 rooms', async () => {
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

test('a room without unread messages is read with one request', async () => {
  const { room_id, admin, member } = await roomOf(2);
  const params = { room_id };
  const trace = async (as: string) => (await succeed('getRoom', { as, params })).trace.requests;
  expect(await trace(member)).toEqual(['BatchGetItem', 'Query']);
  expect(await trace(admin)).toEqual(['BatchGetItem']);
  await succeed('markRead', { as: member, params, body: { message_id: ulid() } });
  expect(await trace(member)).toEqual(['BatchGetItem']);
});

test('a 403, 404 or 409 costs a participant at most one more round trip', async () => {
  const world = await roomOf(2);
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
