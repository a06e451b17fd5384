import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RoomsApiError, RoomsClient, type RoomsClientOptions, type TokenRequest } from '../../client/src/index.ts';
import { allRoutes, routes } from '../../core/contract/index.ts';
import { ANSWER_EXAMPLES } from '../../tools/generate/openapi-texts.ts';
import {
  failure,
  gateway,
  hangUp,
  other,
  type ScriptedServer,
  silence,
  startScriptedServer,
  success,
} from './scripted-server.ts';
import { collect, until } from './until.ts';
import { unsignedToken } from './wire-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await startScriptedServer();
});
afterEach(() => server.close());

const clientOf = (options: Partial<RoomsClientOptions> = {}) =>
  new RoomsClient({ url: server.url, token: () => 'token-1', retryInitialMs: 1, ...options });

const {
  room,
  myRoom,
  roomDetails,
  participant,
  listedParticipant,
  profile,
  message,
  download,
  removedParticipant,
  readMark,
} = ANSWER_EXAMPLES;
const MESSAGE = message.message_id;
const ROOM = room.room_id;
const BOB = 'auth0|bob';

const failed = async (call: Promise<unknown>): Promise<RoomsApiError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RoomsApiError)) throw new Error(`No RoomsApiError, but ${String(error)}`, { cause: error });
  return error;
};

describe('calls', () => {
  /** Each method: the call, the result, and the HTTP method, path and body that it must send. */
  const calls: Record<string, [(client: RoomsClient) => Promise<unknown>, unknown, string, string, unknown]> = {
    createRoom: [(c) => c.createRoom({ name: 'Stand-up' }), room, 'POST', '/room', { name: 'Stand-up' }],
    changeRoom: [
      (c) => c.updateRoom(ROOM, { description: null }),
      room,
      'POST',
      `/admin/room/${ROOM}`,
      { description: null },
    ],
    leaveRoom: [(c) => c.leaveRoom(ROOM), removedParticipant, 'DELETE', `/participant/room/${ROOM}`, ''],
    setRole: [
      (c) => c.setRole(ROOM, BOB, 'observer'),
      participant,
      'PATCH',
      `/admin/room/${ROOM}/participant/auth0%7Cbob`,
      { role: 'observer' },
    ],
    editMessage: [
      (c) => c.editMessage(ROOM, MESSAGE, 'Better'),
      message,
      'PATCH',
      `/participant/room/${ROOM}/chat/${MESSAGE}`,
      { text: 'Better' },
    ],
    deleteMessage: [
      (c) => c.deleteMessage(ROOM, MESSAGE),
      message,
      'DELETE',
      `/participant/room/${ROOM}/chat/${MESSAGE}`,
      '',
    ],
    markRead: [
      (c) => c.markRead(ROOM, MESSAGE),
      readMark,
      'PUT',
      `/participant/room/${ROOM}/read`,
      { message_id: MESSAGE },
    ],
    endRoom: [(c) => c.endRoom(ROOM, { reason: 'Done' }), room, 'DELETE', `/admin/room/${ROOM}`, { reason: 'Done' }],
    addParticipants: [
      (c) => c.addParticipants(ROOM, [BOB]),
      [participant],
      'POST',
      `/admin/room/${ROOM}/participant`,
      { participant_ids: [BOB] },
    ],
    removeParticipants: [
      (c) => c.removeParticipants(ROOM, [BOB]),
      [removedParticipant],
      'DELETE',
      `/admin/room/${ROOM}/participant`,
      { participant_ids: [BOB] },
    ],
    grantAdmin: [
      (c) => c.grantAdmin(ROOM, BOB),
      participant,
      'POST',
      `/admin/room/${ROOM}/participant/auth0%7Cbob/admin`,
      '',
    ],
    revokeAdmin: [
      (c) => c.revokeAdmin(ROOM, BOB),
      participant,
      'DELETE',
      `/admin/room/${ROOM}/participant/auth0%7Cbob/admin`,
      '',
    ],
    getRoom: [(c) => c.getRoom(ROOM), roomDetails, 'GET', `/participant/room/${ROOM}`, ''],
    updateProfile: [
      (c) => c.updateProfile(ROOM, { username: 'Bob' }),
      profile,
      'PATCH',
      `/participant/room/${ROOM}/userprofile`,
      { username: 'Bob' },
    ],
    createDownload: [
      (c) => c.downloadUrl(ROOM, { message_id: message.message_id }),
      download,
      'GET',
      `/participant/room/${ROOM}/download?message_id=${message.message_id}`,
      '',
    ],
  };

  test.each(Object.entries(calls))('%s', async (_, [call, data, method, path, body]) => {
    server.play(success(data));
    expect(await call(clientOf())).toEqual(data);
    expect(server.received).toMatchObject([{ method, path, body, headers: { authorization: 'Bearer token-1' } }]);
    expect(server.received[0]?.headers['content-type']).toBe(body === '' ? undefined : 'application/json');
  });

  const lists: Record<string, [(client: RoomsClient) => AsyncIterable<unknown>, unknown, string]> = {
    listRooms: [
      (c) => c.allRooms({ status: 'started', archived: false, order: 'asc', limit: 2 }),
      myRoom,
      '/participant/room?status=started&archived=false&order=asc&limit=2',
    ],
    listParticipants: [
      (c) => c.allParticipants(ROOM, { limit: 2 }),
      listedParticipant,
      `/participant/room/${ROOM}/participant?limit=2`,
    ],
    listMessages: [
      (c) => c.allMessages(ROOM, { order: 'asc', limit: 2 }),
      message,
      `/participant/room/${ROOM}/chat?order=asc&limit=2`,
    ],
  };

  test.each(Object.entries(lists))('%s, page by page', async (_, [iterate, item, path]) => {
    // A page can be empty although more pages follow.
    server.play(success([item, item], 'c1/+='), success([], 'c2'), success([item], null));
    expect(await collect(iterate(clientOf()))).toEqual([item, item, item]);
    expect(server.received.map((request) => request.path)).toEqual([
      path,
      `${path}&cursor=c1%2F%2B%3D`,
      `${path}&cursor=c2`,
    ]);
  });

  test('returns a page as it is', async () => {
    server.play(success([myRoom], 'next'));
    expect(await clientOf().listRooms()).toEqual({ items: [myRoom], next_cursor: 'next' });
  });

  test('has a method for every route of the contract', () => {
    // files.test.ts tests uploads.
    const tested = [...Object.keys(calls), ...Object.keys(lists), 'createUpload', 'listMessageChanges'];
    expect(allRoutes.map(({ operation }) => operation).filter((operation) => !tested.includes(operation))).toEqual([]);
    expect(routes.createUpload.path).toBe('/participant/room/{room_id}/upload');
  });

  test('listMessageChanges returns a page after a change', async () => {
    server.play(success([message], 'more'));
    const page = await clientOf().listMessageChanges(ROOM, { after: 5, limit: 1 });
    expect(page).toEqual({ items: [message], next_cursor: 'more' });
    expect(server.received[0]?.path).toBe(`/participant/room/${ROOM}/chat/change?after=5&limit=1`);
  });

  test('adds participants with a role, and rooms with all settings', async () => {
    server.play(success([participant]));
    await clientOf().addParticipants(ROOM, [BOB], { role: 'observer' });
    const settings = {
      posting: 'admins',
      metadata: { ticket: 7 },
      end_warnings_seconds: [60],
      announcements: [{ announcement_id: 'a', message: 'Soon', relative_time_in_seconds: -60 }],
    } as const;
    server.play(success(room));
    await clientOf().createRoom({ name: 'One', ...settings });
    await clientOf().updateRoom(ROOM, { ...settings, metadata: null });
    expect(server.received.map(({ body }) => body)).toEqual([
      { participant_ids: [BOB], role: 'observer' },
      { name: 'One', ...settings },
      { ...settings, metadata: null },
    ]);
  });

  test('sends the given idempotency key, or makes one for the call', async () => {
    server.play(success(room));
    await clientOf().createRoom({ name: 'One' }, { idempotencyKey: 'mine' });
    await clientOf().createRoom({ name: 'Two' });
    await clientOf().createRoom({ name: 'Two' });
    const [given, ...made] = server.received.map(({ headers }) => headers['idempotency-key']);
    expect(given).toBe('mine');
    expect(made).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(new Set(made).size).toBe(2);
  });

  test('rejects an update without fields, which would end the room', async () => {
    await expect(clientOf().updateRoom(ROOM, { name: undefined })).rejects.toThrow('at least one field');
    expect(server.received).toEqual([]);
  });
});

describe('errors', () => {
  test('have a code, a status, and one entry for each issue', async () => {
    const faults = [
      { message: 'must be a UUID', path: 'room_id' },
      { message: 'must be at most 200', path: 'limit' },
    ];
    server.play(failure('invalid_request', { 'apigw-requestid': 'Zx8v=' }, ...faults));
    const error = await failed(clientOf().getRoom('nonsense'));
    expect(error).toMatchObject({
      name: 'RoomsApiError',
      code: 'invalid_request',
      status: 400,
      message: 'room_id must be a UUID; limit must be at most 200',
      errors: faults.map((fault) => ({ code: 'invalid_request', ...fault })),
      requestId: 'Zx8v=',
      retryable: false,
    });
    expect(server.received).toHaveLength(1);
  });

  test.each(['not_a_participant', 'not_an_admin', 'room_not_found', 'last_admin', 'room_ended'] as const)(
    'does not retry after %s',
    async (code) => {
      server.play(failure(code));
      expect(await failed(clientOf().revokeAdmin(ROOM, BOB))).toMatchObject({ code, retryable: false });
      expect(server.received).toHaveLength(1);
    },
  );

  test.each([
    [413, 'Request Entity Too Large', 'payload_too_large'],
    [429, 'Too Many Requests', 'too_many_requests'],
    [500, 'Internal Server Error', 'internal'],
    [503, 'Service Unavailable', 'try_again'],
  ])('maps a %i response of API Gateway itself to the right code', async (status, said, code) => {
    server.play(gateway(status, said));
    expect(await failed(clientOf({ retries: 0 }).getRoom(ROOM))).toMatchObject({ code, status, message: said });
  });

  test.each([
    ['an HTML page of a proxy', other(200, '<html>Please log in</html>')],
    ['JSON of another service', other(200, { hello: 'world' })],
    ['an HTML page about a 404', other(404, '<html>Not Found</html>')],
  ])('reports %s as a response of another server', async (_, reaction) => {
    server.play(reaction);
    expect(await failed(clientOf().getRoom(ROOM))).toMatchObject({ code: 'unexpected_answer', retryable: false });
    expect(server.received).toHaveLength(1);
  });

  test('accepts a code that is newer than the client', async () => {
    server.play(other(409, { message: 'New.', errors: [{ code: 'brand_new', message: 'New.' }] }));
    expect(await failed(clientOf().getRoom(ROOM))).toMatchObject({
      code: 'unexpected_answer',
      status: 409,
      message: 'New.',
    });
  });

  test('reports a server that cannot be reached', async () => {
    await server.close();
    const error = await failed(clientOf({ retries: 1 }).getRoom(ROOM));
    expect(error).toMatchObject({ code: 'network_error', status: 0, retryable: true });
    expect(error.message).toMatch('The network failed');
    server = await startScriptedServer();
  });
});

describe('retries', () => {
  test.each([
    ['a connection that is cut off', hangUp],
    ['a 500', failure('internal')],
    ['a 503', failure('try_again')],
    ['a 429', failure('too_many_requests')],
    ['a 502 of a proxy', other(502, '<html>Bad Gateway</html>')],
    ['a response that is cut off', other(200, '{"data": {', { 'content-length': '5000' })],
  ])('retries after %s', async (name, reaction) => {
    server.play(
      name.includes('response')
        ? (response, request) => {
            reaction(response, request);
            setTimeout(() => response.socket?.destroy(), 20);
          }
        : reaction,
      success(myRoom),
    );
    expect(await clientOf().getRoom(ROOM)).toEqual(myRoom);
    expect(server.received).toHaveLength(2);
  });

  test('stop after the last attempt', async () => {
    server.play(failure('try_again'));
    expect(await failed(clientOf().getRoom(ROOM))).toMatchObject({ code: 'try_again', retryable: true });
    expect(server.received).toHaveLength(4);
    await failed(clientOf({ retries: 0 }).getRoom(ROOM));
    expect(server.received).toHaveLength(5);
  });

  test('repeat the creation of a room with the same key', async () => {
    server.play(hangUp, failure('try_again'), success(room));
    await clientOf().createRoom({ name: 'One' });
    const keys = server.received.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  test('treat room_ended as success when ending a room', async () => {
    const ended = { ...myRoom, status: 'ended' };
    server.play(hangUp, failure('room_ended'), success(ended));
    expect(await clientOf().endRoom(ROOM)).toEqual(ended);
    expect(server.received.map(({ method }) => method)).toEqual(['DELETE', 'DELETE', 'GET']);
    server.play(failure('room_ended'));
    expect(await failed(clientOf().endRoom(ROOM))).toMatchObject({ code: 'room_ended' });
  });

  test('wait as long as Retry-After says', async () => {
    const started = Date.now();
    server.play(failure('try_again', { 'retry-after': '1' }), success(myRoom));
    await clientOf().getRoom(ROOM);
    // No upper bound: a busy machine can take longer.
    expect(Date.now() - started).toBeGreaterThanOrEqual(990);
  });

  test('stop if Retry-After is too long', async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    server.play(failure('try_again', { 'retry-after': date }));
    const error = await failed(clientOf().getRoom(ROOM));
    expect(error.retryAfter).toBeGreaterThan(3_500_000);
    expect(server.received).toHaveLength(1);
  });

  test('abort an attempt that takes too long, and make another', async () => {
    server.play(silence, success(myRoom));
    expect(await clientOf({ timeoutMs: 100 }).getRoom(ROOM)).toEqual(myRoom);
    server.play(silence);
    expect(await failed(clientOf({ timeoutMs: 20, retries: 1 }).getRoom(ROOM))).toMatchObject({
      code: 'timeout',
      message: 'getRoom took longer than 0.02 seconds (option timeoutMs).',
    });
  });

  test('can be aborted before, during and between attempts', async () => {
    const reason = new Error('changed my mind');
    await expect(clientOf().getRoom(ROOM, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.received).toEqual([]);

    server.play(silence);
    const during = new AbortController();
    const tried = clientOf().getRoom(ROOM, { signal: during.signal });
    await until('the request is there', () => server.received.length === 1);
    during.abort(reason);
    await expect(tried).rejects.toBe(reason);

    server.play(failure('try_again', { 'retry-after': '20' }));
    const between = new AbortController();
    const waiting = clientOf().getRoom(ROOM, { signal: between.signal });
    await until('the request is there', () => server.received.length === 2);
    between.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

describe('a change that removes the permission it needs', () => {
  const alice = () => unsignedToken('alice');

  test("succeeds if the response was lost: revoking the caller's own right", async () => {
    server.play(hangUp, failure('not_an_admin'), success({ ...myRoom, username: 'Al', is_admin: false }));
    const revoked = await clientOf({ token: alice }).revokeAdmin(ROOM, 'alice');
    expect(revoked).toEqual({
      participant_id: 'alice',
      username: 'Al',
      archive_room: false,
      role: 'member',
      is_admin: false,
    });
  });

  test('succeeds if the response was lost: leaving a room', async () => {
    server.play(hangUp, failure('not_a_participant'));
    expect(await clientOf({ token: alice }).leaveRoom(ROOM)).toEqual({ participant_id: 'alice' });
    server.play(failure('not_a_participant'));
    expect(await failed(clientOf({ token: alice }).leaveRoom(ROOM))).toMatchObject({ code: 'not_a_participant' });
    server.play(hangUp, failure('last_admin'));
    expect(await failed(clientOf({ token: alice }).leaveRoom(ROOM))).toMatchObject({ code: 'last_admin' });
  });

  test('succeeds if the response was lost: removing the caller', async () => {
    server.play(hangUp, failure('not_a_participant'));
    const removed = await clientOf({ token: alice }).removeParticipants(ROOM, ['bob', 'alice']);
    expect(removed).toEqual([{ participant_id: 'bob' }, { participant_id: 'alice' }]);
  });

  test.each<[string, 'not_an_admin' | 'not_a_participant', (client: RoomsClient) => Promise<unknown>]>([
    ['another participant’s right', 'not_an_admin', (client) => client.revokeAdmin(ROOM, 'bob')],
    ['another', 'not_a_participant', (client) => client.removeParticipants(ROOM, ['bob'])],
    [
      'the caller’s own right, without the permission',
      'not_an_admin',
      (client) => client.removeParticipants(ROOM, ['alice']),
    ],
  ])('fails if it concerns %s', async (_, code, call) => {
    server.play(hangUp, failure(code));
    expect(await failed(call(clientOf({ token: alice })))).toMatchObject({ code });
  });

  test('fails if the first attempt is rejected', async () => {
    server.play(failure('not_an_admin'));
    expect(await failed(clientOf({ token: alice }).revokeAdmin(ROOM, 'alice'))).toMatchObject({ code: 'not_an_admin' });
    server.play(failure('not_a_participant'));
    const removing = clientOf({ token: alice }).removeParticipants(ROOM, ['alice']);
    expect(await failed(removing)).toMatchObject({ code: 'not_a_participant' });
  });
});

describe('tokens', () => {
  test('are not cached if new: the callback is called before each request, and again after a rejection', async () => {
    const token = vi.fn(({ refresh }: TokenRequest) => (refresh ? `new-${token.mock.calls.length}` : 'old'));
    const client = clientOf({ token });
    server.play(gateway(401, 'Unauthorized'), success(myRoom));
    await client.getRoom(ROOM);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5_001 });
    server.play(gateway(401, 'Unauthorized'), success(myRoom));
    await client.getRoom(ROOM);
    vi.useRealTimers();
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer old',
      'Bearer new-2',
      'Bearer old',
      'Bearer new-4',
    ]);
  });

  test('are renewed once after a 401', async () => {
    const token = vi.fn(({ refresh }: TokenRequest) => (refresh ? 'new' : 'old'));
    server.play(gateway(401, 'Unauthorized'), success(myRoom));
    await clientOf({ token }).getRoom(ROOM);
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new']);

    server.play(gateway(401, 'Unauthorized'));
    expect(await failed(clientOf({ token }).getRoom(ROOM))).toMatchObject({ code: 'invalid_token', status: 401 });
    expect(server.received).toHaveLength(4);
  });

  test('are renewed once for requests that are rejected together', async () => {
    let refreshes = 0;
    let current = 'old';
    const token = async ({ refresh }: TokenRequest) => {
      if (refresh) {
        refreshes++;
        await new Promise((resolve) => setTimeout(resolve, 50));
        current = 'new';
      }
      return current;
    };
    server.play((response, request) =>
      request.headers.authorization === 'Bearer new'
        ? success(myRoom)(response, request)
        : gateway(401, 'Unauthorized')(response, request),
    );
    const client = clientOf({ token });
    await Promise.all(Array.from({ length: 5 }, () => client.getRoom(ROOM)));
    expect(refreshes).toBe(1);
  });

  test('fail with the error that the callback throws', async () => {
    const down = new Error('logged out');
    await expect(clientOf({ token: () => Promise.reject(down) }).getRoom(ROOM)).rejects.toBe(down);
  });
});
