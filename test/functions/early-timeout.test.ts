import { randomUUID } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ActionName } from '../../core/contract/realtime.ts';
import { canceled, exception, type FaultyDynamoDb, startFaultyDynamoDb } from '../support/faulty-dynamodb.ts';
import { data, type Operation, type Request, refused, runningOut, succeed } from '../support/invoke.ts';
import { act, joined, newSocket, type Socket } from '../support/socket.ts';
import { newRoom, newUser, snapshot, type World } from '../support/world.ts';

/*
 * What an invocation still has under way when its caller is told to try again. Lambda freezes the process then and resumes it for the
 * next invocation, so whatever is not aborted happens later, over what others have written meanwhile.
 */

let faults: FaultyDynamoDb;
beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // Before the client's first request, which is when it reads this.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
});
afterEach(() => {
  vi.restoreAllMocks();
  faults.release();
  faults.reset();
});
afterAll(() => faults.close());

/** An invocation whose caller gets an answer after 300 ms. */
const soonOver = () => runningOut(800);
/** In milliseconds: what is not aborted has sent its next request by then. The longest wait between two attempts is 500. */
const RESUMED_MS = { request: 250, wait: 1_000 };

describe('a write that was answered with try_again does not happen later', () => {
  type Held = 'BatchGetItem' | 'GetItem' | 'UpdateItem' | 'DeleteItem' | 'TransactWriteItems';
  const of = ({ room_id }: World, more: object = {}) => ({ room_id, ...more });

  /** Holds the requests of an action, has the invocation run out of time, and lets DynamoDB have what is still on its way. */
  async function frozen(held: Held, invocation: () => Promise<unknown>): Promise<void> {
    faults.reset();
    faults.always(held, 'hold');
    await invocation();
    expect(faults.reset()[held], `${held} was not under way`).toBeGreaterThan(0);
    // What comes before the held request is done, and stays: the frame is counted, a leaving participant's item is changed.
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
      expect(await act(action, socket, frame, soonOver())).toMatchObject({ ok: false, code: 'try_again' });
    });
  });
});

describe('of two writes, the acknowledged one stays', () => {
  const conflict = canceled('TransactionConflict', 'None');
  test.each([
    ['waits for another attempt after a conflict', conflict],
    ['is repeated by the SDK after a server error', exception('InternalServerError', {}, 500)],
    ['is on its way to DynamoDB', 'hold'],
  ] as const)('while the other one %s', async (_, fault) => {
    const { room_id, member } = await newRoom();
    const rename = (username: string) => ({ as: member, params: { room_id }, body: { username } });
    // The longest waits.
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    faults.reset();
    faults.always('TransactWriteItems', fault);
    const answer = await refused('updateProfile', rename('A'), runningOut(560));
    expect(answer).toMatchObject({ status: 503, code: 'try_again' });
    // It was answered half a second before the function's end, so after 60 ms.
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
    // A request that was sent at the last moment may still be on its way.
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
  // For middy, which imports it as an ES module.
  syncBuiltinESMExports();
  try {
    await data('getRoom', { as: member, params: { room_id } }, runningOut(10_000));
    await act('ping', newSocket(member), {}, runningOut(7_000));
  } finally {
    recording.mockRestore();
    syncBuiltinESMExports();
  }
  expect(delays).toEqual([9_500, 6_500]);
});

test('an invocation that starts with less than that responds at once', async () => {
  const { room_id, member } = await newRoom();
  faults.reset();
  faults.always('BatchGetItem', 'hold');
  const answer = await refused('getRoom', { as: member, params: { room_id } }, runningOut(400));
  expect(answer).toMatchObject({ status: 503, code: 'try_again' });
});

test('the end of one invocation does not affect another in the same process', async () => {
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
