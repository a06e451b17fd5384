import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { addFile } from '../../core/store/files.ts';
import {
  canceled,
  exception,
  type FaultyDynamoDb,
  refusedBy,
  startFaultyDynamoDb,
} from '../support/faulty-dynamodb.ts';
import { data, invoke, type Operation, type Request, refused, succeed } from '../support/invoke.ts';
import { newRoom, newUser, snapshot, type World } from '../support/world.ts';

let faults: FaultyDynamoDb;
let world: World;

beforeAll(async () => {
  faults = await startFaultyDynamoDb(process.env.AWS_ENDPOINT_URL_DYNAMODB ?? '');
  // The client reads this variable at its first request.
  process.env.AWS_ENDPOINT_URL_DYNAMODB = faults.url;
  world = await newRoom();
});
afterEach(() => {
  faults.reset();
  vi.restoreAllMocks();
});
afterAll(() => faults.close());

const conflict = exception('TransactionConflictException');
const canceledByConflict = canceled('None', 'TransactionConflict');

describe('a conflict with another transaction', () => {
  const grant = () => ({ as: world.admin, params: { room_id: world.room_id, participant_id: world.member } });
  const rename = () => ({ as: world.admin, params: { room_id: world.room_id }, body: { name: 'again' } });

  test('is retried until the transaction succeeds, with a different wait each time', async () => {
    const random = vi.spyOn(Math, 'random');
    faults.reset();
    faults.next('TransactWriteItems', ...Array(7).fill(canceledByConflict));
    expect(await data('grantAdmin', grant())).toMatchObject({ is_admin: true });
    expect(faults.reset()).toMatchObject({ TransactWriteItems: 8 });
    expect(random.mock.calls.length).toBeGreaterThanOrEqual(7);
  });

  test('is retried for a single write, too', async () => {
    faults.reset();
    faults.next('UpdateItem', conflict, conflict, conflict);
    expect(await data('changeRoom', rename())).toMatchObject({ name: 'again' });
    expect(faults.reset()).toEqual({ UpdateItem: 4 });
  });

  test.each<[string, Operation, () => Request, string, typeof conflict]>([
    ['transaction', 'grantAdmin', grant, 'TransactWriteItems', canceledByConflict],
    ['single write', 'changeRoom', rename, 'UpdateItem', conflict],
  ])('of a %s that persists for 3 seconds becomes try_again', async (_, operation, request, action, fault) => {
    faults.reset();
    faults.always(action, fault);
    const started = performance.now();
    const { status, code, headers, log } = await refused(operation, request());
    expect(performance.now() - started).toBeGreaterThan(3_000);
    expect([status, code, headers['retry-after']]).toEqual([503, 'try_again', '2']);
    expect(log).toMatchObject({ level: 'error', entry: { operation, status: 503, code: 'try_again' } });
    expect(faults.reset()[action]).toBeGreaterThan(8);
  });
});

test('an admin who leaves while the other admins keep changing gets try_again', async () => {
  const { room_id, admin } = world;
  const start = { S: '2026-03-01T09:30:00.000Z' };
  const item = { room_id: { S: room_id }, start_time: start, admins: { SS: [admin, newUser('admin')] } };
  const request = { as: admin, params: { room_id }, body: { participant_ids: [admin] } };
  faults.reset();
  faults.next('TransactWriteItems', ...Array(20).fill(refusedBy(item)));
  expect(await refused('removeParticipants', request)).toMatchObject({ status: 503, code: 'try_again' });
  expect(faults.reset()).toMatchObject({ TransactWriteItems: 8 });
});

describe('an upload during other uploads of the same user', () => {
  const file = () => ({ room_id: world.room_id, name: 'a', size: 1, content_type: 'a/b', caller: world.member });
  /** Simulates that the user was removed between two requests. */
  const withoutParticipant = (answer: object) => {
    const { Responses } = v.parse(
      v.object({ Responses: v.record(v.string(), v.array(v.looseObject({ SK: v.object({ S: v.string() }) }))) }),
      answer,
    );
    const rooms = Object.entries(Responses).map(([table, items]) => [table, items.filter(({ SK }) => SK.S === 'ROOM')]);
    return { ...answer, Responses: Object.fromEntries(rooms) };
  };

  test('is recorded without waiting for the others', async () => {
    faults.next('TransactWriteItems', canceledByConflict);
    const { file_id } = await addFile({ ...file(), now: new Date().toISOString() });
    await data('createDownload', { as: world.member, params: { room_id: world.room_id }, query: { file_id } });
  });

  test('is rejected if the user is removed before it is recorded', async () => {
    faults.next('TransactWriteItems', canceledByConflict);
    faults.next('BatchGetItem', undefined, withoutParticipant);
    await expect(addFile({ ...file(), now: new Date().toISOString() })).rejects.toMatchObject({
      code: 'not_a_participant',
    });
  });
});

describe('a throttled or failing DynamoDB', () => {
  test.each([
    ['ThrottlingException', 400],
    ['ProvisionedThroughputExceededException', 400],
    ['RequestLimitExceeded', 400],
    ['InternalServerError', 500],
    ['ServiceUnavailable', 503],
  ])('%s is retried by the SDK, and then becomes try_again', async (name, status) => {
    const read = { as: world.member, params: { room_id: world.room_id } };
    const update = { as: world.admin, params: { room_id: world.room_id }, body: { name: 'x' } };
    faults.next('UpdateItem', exception(name, {}, status));
    await data('changeRoom', update);

    faults.always('UpdateItem', exception(name, {}, status));
    expect(await refused('changeRoom', update)).toMatchObject({
      status: 503,
      code: 'try_again',
      headers: { 'retry-after': '2' },
      log: { level: 'error', entry: { error: { name } } },
    });
    faults.always('BatchGetItem', exception(name, {}, status));
    expect(await refused('getRoom', read)).toMatchObject({ code: 'try_again' });
  });

  test.each([['ThrottlingError'], ['ProvisionedThroughputExceeded']])(
    'a transaction that is cancelled by %s becomes try_again',
    async (code) => {
      faults.always('TransactWriteItems', canceled('None', code, 'None'));
      const before = await snapshot();
      const body = { participant_ids: [newUser(), newUser()] };
      expect(
        await refused('addParticipants', { as: world.admin, params: { room_id: world.room_id }, body }),
      ).toMatchObject({ code: 'try_again', headers: { 'retry-after': '2' } });
      expect(await snapshot()).toEqual(before);
    },
  );

  test('reconnects after a broken connection', async () => {
    faults.reset();
    faults.next('BatchGetItem', 'hang up', 'hang up');
    expect(await data('getRoom', { as: world.member, params: { room_id: world.room_id } })).toMatchObject({
      room_id: world.room_id,
    });
    expect(faults.reset()).toEqual({ BatchGetItem: 3 });
  });
});

/** The SDK retries a write without a response. The retry then finds the result of the first attempt. */
describe('a lost response of DynamoDB', () => {
  const two = async () => {
    const { room_id, admin, member } = await newRoom();
    await succeed('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    return { admin, member, params: { room_id }, own: { room_id, participant_id: admin } };
  };

  test.each<[Operation, string, (world: Awaited<ReturnType<typeof two>>) => Omit<Request, 'as'>, object]>([
    ['createRoom', 'TransactWriteItems', () => ({ body: { name: 'x' } }), { name: 'x' }],
    ['changeRoom', 'UpdateItem', ({ params }) => ({ params, body: { name: 'x' } }), { name: 'x' }],
    ['changeRoom', 'UpdateItem', ({ params }) => ({ params }), { status: 'ended' }],
    [
      'endRoom',
      'UpdateItem',
      ({ params }) => ({ params, body: { reason: 'x' } }),
      { status: 'ended', end_reason: 'x' },
    ],
    [
      'addParticipants',
      'TransactWriteItems',
      ({ params }) => ({ params, body: { participant_ids: ['x'] } }),
      [{ participant_id: 'x' }],
    ],
    [
      'removeParticipants',
      'TransactWriteItems',
      ({ params, admin }) => ({ params, body: { participant_ids: [admin] } }),
      [{}],
    ],
    ['grantAdmin', 'TransactWriteItems', ({ own }) => ({ params: own }), { is_admin: true }],
    ['revokeAdmin', 'UpdateItem', ({ own }) => ({ params: own }), { is_admin: false }],
    [
      'revokeAdmin',
      'UpdateItem',
      ({ params, member }) => ({ params: { ...params, participant_id: member } }),
      { is_admin: false },
    ],
    ['updateProfile', 'TransactWriteItems', ({ params }) => ({ params, body: { username: 'x' } }), { username: 'x' }],
    [
      'createUpload',
      'UpdateItem',
      ({ params }) => ({ params, query: { size: 1, content_type: 'a/b' } }),
      { method: 'PUT' },
    ],
    [
      'createUpload',
      'TransactWriteItems',
      ({ params }) => ({ params, query: { size: 1, content_type: 'a/b' } }),
      { method: 'PUT' },
    ],
  ])('%s (%s) returns the same response as without the loss', async (operation, action, request, expected) => {
    const made = await two();
    faults.reset();
    faults.next(action, 'lose the answer');
    expect(await data(operation, { as: made.admin, ...request(made) })).toMatchObject(expected);
    expect(faults.reset()).toMatchObject({ [action]: 2 });
  });
});

describe('keys that DynamoDB leaves unprocessed', () => {
  const calls: readonly [Operation, () => Request][] = [
    ['listRooms', () => ({ as: world.member })],
    ['getRoom', () => ({ as: world.member, params: { room_id: world.room_id } })],
  ];
  /** Simulates throttling: DynamoDB returns some keys as unprocessed, and no items for them. */
  const leaveAll = (answer: object) => {
    if (!('Responses' in answer)) throw new Error('This is no answer to BatchGetItem.');
    const [[table, items] = ['', []]] = Object.entries(
      answer.Responses as Record<string, { PK: object; SK: object }[]>,
    );
    return {
      Responses: { [table]: [] },
      UnprocessedKeys: { [table]: { Keys: items.map(({ PK, SK }) => ({ PK, SK })) } },
    };
  };

  test.each(calls)('of %s are requested again', async (operation, request) => {
    const expected = await data(operation, request());
    faults.reset();
    faults.next('BatchGetItem', leaveAll, leaveAll);
    expect(await data(operation, request())).toEqual(expected);
    expect(faults.reset()).toMatchObject({ BatchGetItem: 3 });
  });

  test.each(calls)('of %s become try_again if DynamoDB repeats this', async (operation, request) => {
    faults.reset();
    faults.always('BatchGetItem', leaveAll);
    expect(await refused(operation, request())).toMatchObject({ status: 503, code: 'try_again' });
    expect(faults.reset()).toMatchObject({ BatchGetItem: 5 });
  });
});

describe('an unexpected error', () => {
  test.each([
    [
      'a denied access to DynamoDB',
      exception('AccessDeniedException', { Message: 'arn:aws:iam::1:user/x' }),
      'AccessDeniedException',
    ],
    ['a missing table', exception('ResourceNotFoundException'), 'ResourceNotFoundException'],
    [
      'a bug in a request to DynamoDB',
      exception('ValidationException', { Message: 'Invalid UpdateExpression' }),
      'ValidationException',
    ],
  ])('%s becomes a 500 with the request id and no internal details', async (_, fault, name) => {
    faults.always('TransactWriteItems', fault);
    const secret = 'SECRET-OF-THE-BODY';
    const request = { as: world.member, params: { room_id: world.room_id }, body: { username: secret } };
    const reply = await refused('updateProfile', request);
    expect(reply).toMatchObject({ status: 500, code: 'internal' });
    expect(reply.errors).toEqual([{ code: 'internal', message: expect.stringContaining(reply.requestId) }]);
    expect(JSON.stringify([reply.message, reply.errors, reply.headers])).not.toMatch(/dynamo|arn:|Exception|\.ts/i);

    expect(reply.log).toMatchObject({
      level: 'error',
      entry: {
        operation: 'updateProfile',
        status: 500,
        code: 'internal',
        api_request_id: reply.requestId,
        user: world.member,
        room_id: world.room_id,
        error: { name, stack: expect.stringContaining('core/') },
      },
    });
    expect(JSON.stringify(reply.log)).not.toContain(secret);
  });

  test('a missing environment variable becomes a 500, too', async () => {
    const { CURSOR_KEY } = process.env;
    delete process.env.CURSOR_KEY;
    try {
      const reply = await refused('listRooms', { as: newUser(), query: { cursor: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAA' } });
      expect(reply).toMatchObject({ status: 500, code: 'internal' });
      expect(JSON.stringify(reply.errors)).not.toContain('CURSOR_KEY');
      expect(JSON.stringify(reply.log)).toContain('CURSOR_KEY');
    } finally {
      process.env.CURSOR_KEY = CURSOR_KEY;
    }
  });
});

describe('the log', () => {
  test('has one line for a successful request, without query and body', async () => {
    const { room_id, member } = world;
    const { log, requestId } = await succeed('updateProfile', {
      as: member,
      params: { room_id },
      body: { username: 'SECRET-OF-THE-BODY' },
    });
    expect(log).toEqual({
      level: 'info',
      entry: {
        operation: 'updateProfile',
        route: 'PATCH /participant/room/{room_id}/userprofile',
        status: 200,
        code: undefined,
        api_request_id: requestId,
        user: member,
        room_id,
        duration_ms: expect.any(Number),
      },
    });
  });

  test('has one line for a rejected request, with its code', async () => {
    const reply = await invoke('listRooms', { as: world.member, query: { cursor: 'SECRET-OF-THE-QUERY' } });
    expect(reply.log).toMatchObject({ level: 'info', entry: { status: 400, code: 'invalid_request' } });
    expect(JSON.stringify(reply.log)).not.toContain('SECRET');
  });
});
