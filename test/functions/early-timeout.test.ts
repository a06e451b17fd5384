import { randomUUID } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ActionName } from '../../core/contract/realtime.ts';
import { canceled, exception, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { data, type Operation, type Request, refused, runningOut, succeed } from '../support/invoke.ts';
import { invokeAction, joined, newSocket, type Socket } from '../support/socket.ts';
import { newRoom, newUser, snapshot, type World } from '../support/world.ts';

/*
 * Requests that are still pending when the caller receives `try_again`. Lambda freezes the process then, and resumes it
 * for the next invocation. A request that was not aborted would then overwrite newer data.
 */

let faults: FaultyDynamoDb;
beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // The client reads this variable at its first request.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
});
afterEach(() => {
  vi.restoreAllMocks();
  faults.release();
  faults.reset();
});
afterAll(() => faults.close());

/** The context of an invocation whose caller gets a response after 300 ms. */
const soonOver = () => runningOut(800);
/** How long to wait for further requests, in milliseconds. The longest wait between two attempts is 500 ms. */
const RESUMED_MS = { request: 250, wait: 1_000 };

describe('a write whose caller received try_again is not applied later', () => {
  type Held = 'BatchGetItem' | 'GetItem' | 'UpdateItem' | 'DeleteItem' | 'TransactWriteItems';
  const of = ({ room_id }: World, more: object = {}) => ({ room_id, ...more });

  /**
   * Holds the requests of an action until the invocation times out, then releases the requests that are still pending.
   */
  async function frozen(held: Held, invocation: () => Promise<unknown>): Promise<void> {
    faults.reset();
    faults.always(held, 'hold');
    await invocation();
    expect(faults.reset()[held], `${held} was not under way`).toBeGreaterThan(0);
    // Writes before the held request are kept: the frame is counted, and the item of a leaving participant is changed.
    const before = await snapshot();
    faults.reset();
    faults.release();
    await sleep(RESUMED_MS.request);
    expect(faults.reset(), 'requests after the answer').toEqual({});
    expect(await snapshot()).toEqual(before);
  }

  test.each<[Operation, Held, (world: World) => Request]>([
    ['createRoom', 'TransactWriteItems', ({ admin }) => ({ as: admin, body: { name: 'late' } })],
    ['changeRoom', 'UpdateItem', (world) => ({ as: world.admin, params: of(world), body: { name: 'late' } })],
    ['endRoom', 'UpdateItem', (world) => ({ as: world.admin, params: of(world) })],
    [
      'addParticipants',
      'TransactWriteItems',
      (world) => ({ as: world.admin, params: of(world), body: { participant_ids: [newUser()] } }),
    ],
    [
      'removeParticipants',
      'TransactWriteItems',
      (world) => ({ as: world.admin, params: of(world), body: { participant_ids: [world.member] } }),
    ],
    [
      'grantAdmin',
      'TransactWriteItems',
      (world) => ({ as: world.admin, params: of(world, { participant_id: world.member }) }),
    ],
    [
      'revokeAdmin',
      'UpdateItem',
      (world) => ({ as: world.admin, params: of(world, { participant_id: world.member }) }),
    ],
    [
      'updateProfile',
      'TransactWriteItems',
      (world) => ({ as: world.member, params: of(world), body: { username: 'late' } }),
    ],
    [
      'createUpload',
      'TransactWriteItems',
      (world) => ({ as: world.member, params: of(world), query: { size: 1, content_type: 'a/b' } }),
    ],
  ])('%s, while its %s hangs', async (operation, held, request) => {
    const world = await newRoom();
    await frozen(held, async () => {
      expect(await refused(operation, request(world), soonOver())).toMatchObject({
        status: 503,
        code: 'try_again',
        headers: { 'retry-after': '2' },
      });
    });
  });

  test.each<[ActionName, Held]>([
    ['join', 'BatchGetItem'],
    ['join', 'TransactWriteItems'],
    ['leave', 'UpdateItem'],
    ['leave', 'DeleteItem'],
    ['message', 'BatchGetItem'],
    ['message', 'TransactWriteItems'],
  ])('%s, while its %s hangs', async (action, held) => {
    const { room_id, member } = await newRoom();
    const socket: Socket = action === 'leave' ? await joined(room_id, member) : newSocket(member);
    const frame = { room_id, ...(action === 'message' && { client_message_id: randomUUID(), text: 'late' }) };
    await frozen(held, async () => {
      expect(await invokeAction(action, socket, frame, soonOver())).toMatchObject({ ok: false, code: 'try_again' });
    });
  });
});

describe('an acknowledged write is not overwritten', () => {
  const conflict = canceled('TransactionConflict', 'None');
  test.each([
    ['waits for another attempt after a conflict', conflict],
    ['is repeated by the SDK after a server error', exception('InternalServerError', {}, 500)],
    ['reaches DynamoDB late', 'hold'],
  ] as const)('by an earlier write that %s', async (_, fault) => {
    const { room_id, member } = await newRoom();
    const rename = (username: string) => ({ as: member, params: { room_id }, body: { username } });
    // Makes the waits between attempts as long as possible.
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    faults.reset();
    faults.always('TransactWriteItems', fault);
    const answer = await refused('updateProfile', rename('A'), runningOut(560));
    expect(answer).toMatchObject({ status: 503, code: 'try_again' });
    // The response comes 500 ms before the end of the available time, so after 60 ms.
    expect(Object(answer.log.entry).duration_ms).toBeGreaterThanOrEqual(50);
    faults.reset();
    await data('updateProfile', rename('B'));
    faults.release();
    await sleep(RESUMED_MS.wait);
    const all = await data('listParticipants', { as: member, params: { room_id } });
    expect(all.find(({ participant_id }) => participant_id === member)?.username).toBe('B');
  });

  test('keys that DynamoDB leaves unprocessed are not requested again', async () => {
    const { room_id, member } = await newRoom();
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    faults.reset();
    faults.always('BatchGetItem', (answer) => {
      const [[table, items] = ['', []]] = Object.entries(
        Object(answer).Responses as Record<string, { PK: object; SK: object }[]>,
      );
      return {
        Responses: { [table]: [] },
        UnprocessedKeys: { [table]: { Keys: items.map(({ PK, SK }) => ({ PK, SK })) } },
      };
    });
    await refused('getRoom', { as: member, params: { room_id } }, runningOut(560));
    // The last request may still be in transit.
    await sleep(100);
    faults.reset();
    await sleep(RESUMED_MS.wait);
    expect(faults.reset()).toEqual({});
  });
});

test('the response leaves the function 500 ms to log and return', async () => {
  const { room_id, member } = await newRoom();
  const delays: unknown[] = [];
  const { setTimeout } = timers;
  const recording = vi.spyOn(timers, 'setTimeout').mockImplementation((callback, delay) => {
    delays.push(delay);
    return setTimeout(callback, delay);
  });
  // Makes the change visible to middy, which imports this as an ES module.
  syncBuiltinESMExports();
  try {
    await data('getRoom', { as: member, params: { room_id } }, runningOut(10_000));
    await invokeAction('ping', newSocket(member), {}, runningOut(7_000));
  } finally {
    recording.mockRestore();
    syncBuiltinESMExports();
  }
  expect(delays).toEqual([9_500, 6_500]);
});

test('an invocation that starts with less than 500 ms responds at once', async () => {
  const { room_id, member } = await newRoom();
  faults.reset();
  faults.always('BatchGetItem', 'hold');
  const answer = await refused('getRoom', { as: member, params: { room_id } }, runningOut(400));
  expect(answer).toMatchObject({ status: 503, code: 'try_again' });
});

test('the time-out of one invocation does not affect another in the same process', async () => {
  const { room_id, admin, member } = await newRoom();
  faults.next('TransactWriteItems', 'hold', 'hold');
  const [short, long] = [
    refused('updateProfile', { as: admin, params: { room_id }, body: { username: 'short' } }, soonOver()),
    succeed('updateProfile', { as: member, params: { room_id }, body: { username: 'long' } }),
  ];
  expect(await short).toMatchObject({ code: 'try_again' });
  faults.release();
  expect(await long).toMatchObject({ data: { username: 'long' } });
});
