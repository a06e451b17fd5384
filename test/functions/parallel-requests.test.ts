import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MAX_ROOM_MESSAGES_PER_SECOND } from '../../core/contract/limits.ts';
import { limitKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { type ConflictingDynamoDb, startConflictingDynamoDb } from '../support/conflicting-dynamodb.ts';
import { data, invoke, type Operation, type Request } from '../support/invoke.ts';
import { invokeAction, newSocket } from '../support/socket.ts';
import { at, newRoom, newUser } from '../support/world.ts';

/* Simultaneous requests of one user, with conflicts between transactions on the same item as in DynamoDB. */

/** How long a transaction holds its items, in milliseconds. */
const HOLD_MS = 20;
const PARALLEL = 10;
/** The start of an hour, and so of a minute. */
const NOW = Date.parse('2027-03-01T10:00:00.000Z');

let conflicting: ConflictingDynamoDb;
beforeAll(async () => {
  conflicting = await startConflictingDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '', HOLD_MS);
  // The client reads this variable at its first request.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = conflicting.url;
});
afterAll(() => conflicting.close());

const all = async (operation: Operation, requests: readonly Request[]): Promise<number[]> => {
  conflicting.conflicts();
  return at(NOW, () => Promise.all(requests.map(async (request) => (await invoke(operation, request)).status)));
};
const usedOf = async (key: ReturnType<typeof limitKey>): Promise<unknown> => Object(await get(key)).used;

describe('10 simultaneous requests of one user succeed, and each counts once:', () => {
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

describe('50 simultaneous messages of one user to a room over two connections', () => {
  test('are all stored, and the user can join at the same time', async () => {
    const { room_id, member } = await newRoom();
    const sockets = [newSocket(member), newSocket(member)] as const;
    conflicting.conflicts();
    const sent = Array.from({ length: MAX_ROOM_MESSAGES_PER_SECOND }, (_, n) =>
      invokeAction('message', sockets[n % 2 ? 0 : 1], { room_id, client_message_id: `m${n}`, text: 'x' }),
    );
    const joining = invokeAction('join', newSocket(member), { room_id });
    expect((await Promise.all(sent)).filter(({ ok }) => !ok)).toEqual([]);
    expect(await joining).toMatchObject({ ok: true });
    expect(conflicting.conflicts().TransactWriteItems).toBeGreaterThan(MAX_ROOM_MESSAGES_PER_SECOND);
    const query = { limit: 200 };
    expect(await data('listMessages', { as: member, params: { room_id }, query })).toHaveLength(sent.length);
  });
});

test('messages of 50 users to one room rarely conflict', async () => {
  const members = Array.from({ length: 49 }, () => newUser());
  const { room_id, member } = await newRoom({ members: members.slice(0, 49) });
  conflicting.conflicts();
  const senders = [member, ...members];
  const answers = await Promise.all(
    senders.map((user) => invokeAction('message', newSocket(user), { room_id, client_message_id: 'x', text: 'x' })),
  );
  expect(answers.filter(({ ok }) => !ok)).toEqual([]);
  // The requests are spread over 16 items. With one item, there would be hundreds of conflicts.
  expect(conflicting.conflicts().TransactWriteItems ?? 0).toBeLessThan(100);
});
