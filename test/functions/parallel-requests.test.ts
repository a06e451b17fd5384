import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { limitKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { type ConflictingDynamoDb, startConflictingDynamoDb } from '../support/conflicting-dynamodb.ts';
import { data, invoke, type Operation, type Request } from '../support/invoke.ts';
import { at, newUser } from '../support/world.ts';

/*
 * What one user does at the same time, where transactions on the same item refuse each other, as in DynamoDB.
 */

/** How long a transaction holds its items. */
const HOLD_MS = 20;
const PARALLEL = 10;
/** The beginning of an hour, and so of a minute. */
const NOW = Date.parse('2027-03-01T10:00:00.000Z');

let conflicting: ConflictingDynamoDb;
beforeAll(async () => {
  conflicting = await startConflictingDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '', HOLD_MS);
  // Before the client's first request, which is when it reads this.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = conflicting.url;
});
afterAll(() => conflicting.close());

const all = async (operation: Operation, requests: readonly Request[]): Promise<number[]> => {
  conflicting.conflicts();
  return at(NOW, () => Promise.all(requests.map(async (request) => (await invoke(operation, request)).status)));
};
const usedOf = async (key: ReturnType<typeof limitKey>): Promise<unknown> => Object(await get(key)).used;

describe('10 simultaneous requests of one user succeed, and each is counted once:', () => {
  let user = '';
  let rooms: string[] = [];
  beforeEach(async () => {
    user = newUser();
    rooms = [];
    for (let n = 0; n < PARALLEL; n++) {
      const { room_id } = await data('createRoom', { as: newUser(), body: { name: 'x', participant_ids: [user] } });
      rooms.push(room_id);
    }
  });

  test('createRoom', async () => {
    const request = { as: user, body: { name: 'x' } };
    expect(await all('createRoom', Array(PARALLEL).fill(request))).toEqual(Array(PARALLEL).fill(201));
    expect(conflicting.conflicts().TransactWriteItems).toBeGreaterThan(0);
    expect(await usedOf(limitKey(user, 'roomsPerMinute', NOW / 60_000))).toBe(PARALLEL);
  });

  test('updateProfile, in 10 rooms', async () => {
    const requests = rooms.map((room_id) => ({ as: user, params: { room_id }, body: { username: 'x' } }));
    expect(await all('updateProfile', requests)).toEqual(Array(PARALLEL).fill(200));
    expect(conflicting.conflicts().TransactWriteItems).toBeGreaterThan(0);
    expect(await usedOf(limitKey(user, 'profileChangesPerMinute', NOW / 60_000))).toBe(PARALLEL);
  });

  test('createUpload, in 10 rooms', async () => {
    const query = { size: 1, content_type: 'text/plain' };
    const requests = rooms.map((room_id) => ({ as: user, params: { room_id }, query }));
    expect(await all('createUpload', requests)).toEqual(Array(PARALLEL).fill(200));
    expect(conflicting.conflicts()).toEqual({});
    expect(await usedOf(limitKey(user, 'uploadsPerHour', NOW / 3_600_000))).toBe(PARALLEL);
  });

  test('createUpload, in one room', async () => {
    const [room_id = ''] = rooms;
    const request = { as: user, params: { room_id }, query: { size: 1, content_type: 'text/plain' } };
    expect(await all('createUpload', Array(PARALLEL).fill(request))).toEqual(Array(PARALLEL).fill(200));
    expect(conflicting.conflicts().TransactWriteItems).toBeGreaterThan(0);
  });

  test('addParticipants, to 10 rooms', async () => {
    const own: string[] = [];
    for (let n = 0; n < PARALLEL; n++)
      own.push((await at(NOW - 60_000, () => data('createRoom', { as: user, body: { name: 'x' } }))).room_id);
    const requests = own.map((room_id) => ({
      as: user,
      params: { room_id },
      body: { participant_ids: [newUser(), newUser()] },
    }));
    expect(await all('addParticipants', requests)).toEqual(Array(PARALLEL).fill(200));
    expect(conflicting.conflicts().TransactWriteItems).toBeGreaterThan(0);
    expect(await usedOf(limitKey(user, 'participantsPerHour', NOW / 3_600_000))).toBe(2 * PARALLEL);
  });
});

test('simultaneous requests do not exceed the limit', async () => {
  const user = newUser();
  const request = { as: user, body: { name: 'x' } };
  const statuses: number[] = [];
  for (let n = 0; n < 15; n++) statuses.push(...(await all('createRoom', Array(PARALLEL).fill(request))));
  expect(statuses.filter((status) => status === 201)).toHaveLength(120);
  expect(statuses.filter((status) => status === 429)).toHaveLength(30);
});
