import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import * as v from 'valibot';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { allRoutes, routes } from '../../core/contract/index.ts';
import { actions } from '../../core/contract/realtime.ts';
import type { HttpHandler } from '../../core/http/http-event.ts';
import { rehearsalEvent } from '../../core/http/rehearsal.ts';
import { type Primed, primed, rehearse } from '../../core/platform/prime.ts';
import {
  fanOutRehearsal,
  laneRehearsal,
  rehearsalEvent as socketRehearsal,
  streamRehearsal,
} from '../../core/realtime/rehearsal.ts';
import type { SocketHandler } from '../../core/realtime/socket-event.ts';
import { context, handlerOf, httpEvent } from '../fixtures/event.ts';

/* What a function does in INIT, before its first request. A server stands in for DynamoDB and records the requests. */

const asked: string[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => void;
const healthy: typeof answer = (_, response) => response.end('healthy');
const server = createServer((request, response) => {
  asked.push(`${request.method} ${request.url} ${request.headers['x-amz-target'] ?? ''}`.trim());
  answer(request, response);
});

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('The server has no port.');
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${address.port}`,
    TABLE_NAME: 'rooms',
    BUCKET_NAME: 'files',
    MAX_UPLOAD_BYTES: '1000000',
    CURSOR_KEY: 'key',
    METRICS_ENVIRONMENT: 'test',
  });
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
afterEach(() => {
  asked.length = 0;
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** Spies on everything to which a handler could log. Priming must not log. */
const silence = () => [
  vi.spyOn(console, 'info'),
  vi.spyOn(console, 'error'),
  vi.spyOn(console, 'warn'),
  vi.spyOn(process.stdout, 'write'),
];

/** Functions that send two requests to the table at the same time, and so open two connections in INIT. */
const TWO_AT_A_TIME = new Set([
  ...[
    'addParticipants',
    'setRole',
    'grantAdmin',
    'revokeAdmin',
    'listParticipants',
    'updateProfile',
    'listMessages',
    'editMessage',
    'deleteMessage',
    'listMessageChanges',
    'createUpload',
  ],
  ...['join', 'message', 'typing'],
]);
const connectionsOf = (name: string): number => (TWO_AT_A_TIME.has(name) ? 2 : 1);

describe('priming', () => {
  test.each(allRoutes)(
    '$operation opens one connection per simultaneous request, and does not read, write, log or count',
    async (route) => {
      answer = healthy;
      const lines = silence();
      const { result, connections } = await rehearse(await handlerOf(route), rehearsalEvent(route));
      expect(result.statusCode, result.body).toBe(route.status);
      expect(connections).toBe(connectionsOf(route.operation));
      expect(asked).toEqual(Array(connections).fill('GET /'));
      for (const line of lines) expect(line).not.toHaveBeenCalled();
    },
  );

  test.each(Object.values(actions))(
    'the action $action opens one connection per simultaneous request, and does not read, write, log or count',
    async (row) => {
      answer = healthy;
      const { handler }: { handler: SocketHandler } = await import(`../../functions/realtime/${row.action}.ts`);
      const lines = silence();
      const { result, connections } = await rehearse(handler, socketRehearsal(row));
      expect(JSON.parse(result.body ?? '')).toMatchObject({ ok: true });
      expect(connections).toBe(connectionsOf(row.action));
      expect(asked).toEqual(Array(connections).fill('GET /'));
      for (const line of lines) expect(line).not.toHaveBeenCalled();
    },
  );

  test('$disconnect opens one connection, and does not read, write, log or count', async () => {
    answer = healthy;
    const lines = silence();
    vi.stubEnv('AWS_LAMBDA_INITIALIZATION_TYPE', 'on-demand');
    const { handler } = await import('../../functions/realtime/disconnect.ts');
    await handler.ready;
    expect(lines[2]?.mock.calls).toEqual([]);
    expect(asked).toEqual(['GET /']);
    for (const line of lines) expect(line).not.toHaveBeenCalled();
  });

  test.each([
    ['deliver-messages', streamRehearsal, 9],
    ['fan-out', fanOutRehearsal, 8],
    ['lane', laneRehearsal, 9],
  ] as const)(
    '%s opens connections to the gateway, and does not post, read, log or count',
    async (name, event, most) => {
      answer = healthy;
      vi.stubEnv('CALLBACK_URL', `${process.env.AWS_ENDPOINT_URL_DYNAMODB}/v1`);
      const lines = silence();
      const { handler } = await import(`../../functions/events/${name}.ts`);
      const { result, connections } = await rehearse<unknown, unknown>(handler, event());
      expect(result).toEqual(
        name === 'fan-out' ? expect.objectContaining({ sent: 8, failed: 0 }) : { batchItemFailures: [] },
      );
      expect(connections).toBe(most);
      expect(asked).toEqual(Array(most).fill('GET /'));
      for (const line of lines) expect(line).not.toHaveBeenCalled();
    },
  );

  test('does not affect real requests at the same time', async () => {
    const [route] = allRoutes.filter(({ operation }) => operation === 'getRoom');
    if (!route) throw new Error('There is no getRoom.');
    answer = (request, response) =>
      request.method === 'GET' ? healthy(request, response) : response.end(JSON.stringify({ Responses: {} }));
    vi.spyOn(console, 'info').mockReturnValue();
    const handler = await handlerOf(route);
    const params = { room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01' };
    const [{ result }, real] = await Promise.all([
      rehearse(handler, rehearsalEvent(route)),
      handler(httpEvent(route, { as: 'alice', params }), context),
    ]);
    expect(result.statusCode).toBe(200);
    expect(real.statusCode).toBe(404);
    expect(asked).toContain('POST / DynamoDB_20120810.BatchGetItem');
  });
});

describe('a handler that Lambda loads', () => {
  const lambda = () => vi.stubEnv('AWS_LAMBDA_INITIALIZATION_TYPE', 'on-demand');

  test('is ready after one run', async () => {
    lambda();
    const handler = vi.fn(async (_event: string) => 'done');
    const { ready } = primed(handler, () => 'event');
    await ready;
    expect(handler).toHaveBeenCalledExactlyOnceWith('event', expect.anything());
  });

  test('works after priming has failed', async () => {
    lambda();
    const warned = vi.spyOn(console, 'warn').mockReturnValue();
    const handler = primed(
      async (event: string) => {
        if (event === 'rehearsal') throw new Error('no room');
        return event;
      },
      () => 'rehearsal',
    );
    await handler.ready;
    expect(warned).toHaveBeenCalledExactlyOnceWith({
      action: 'prime',
      error: expect.objectContaining({ message: 'no room' }),
    });
    await expect(handler('real')).resolves.toBe('real');
  });

  test('works if its priming event cannot be created', async () => {
    lambda();
    const warned = vi.spyOn(console, 'warn').mockReturnValue();
    const handler = primed(
      async (event: string) => event,
      () => {
        throw new Error('no event');
      },
    );
    await handler.ready;
    expect(warned).toHaveBeenCalledExactlyOnceWith({
      action: 'prime',
      error: expect.objectContaining({ message: 'no event' }),
    });
    await expect(handler('real')).resolves.toBe('real');
  });

  /** Loads getRoom again with new connections, as Lambda does in a new environment. */
  async function loadGetRoom() {
    const route = routes.getRoom;
    vi.resetModules();
    vi.spyOn(console, 'info').mockReturnValue();
    const warned = vi.spyOn(console, 'warn').mockReturnValue();
    lambda();
    const file = new URL('../../functions/http/participant/get-room.ts', import.meta.url).href;
    const { handler }: { handler: Primed<HttpHandler> } = await import(file);
    const params = { room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01' };
    return { warned, handler, request: () => handler(httpEvent(route, { as: 'alice', params }), context) };
  }

  /** A table without rooms. `inInit` answers the request that opens a connection in INIT. */
  const withoutRooms =
    (inInit: typeof answer): typeof answer =>
    (request, response) =>
      request.method === 'GET' ? inInit(request, response) : response.end(JSON.stringify({ Responses: {} }));

  test('works after 300 ms if the table does not respond in INIT', async () => {
    answer = withoutRooms(() => {});
    const start = performance.now();
    const { handler, request, warned } = await loadGetRoom();
    await handler.ready;
    expect(asked).toEqual(['GET /']);
    expect(performance.now() - start).toBeGreaterThanOrEqual(295);
    // The request that opens a connection is aborted too, so that the first invocation does not wait for it.
    await vi.waitFor(() =>
      expect(warned).toHaveBeenCalledWith({
        action: 'prime',
        error: expect.objectContaining({ message: expect.any(String) }),
      }),
    );
    expect(await request()).toMatchObject({ statusCode: 404 });
    expect(asked).toEqual(['GET /', 'POST / DynamoDB_20120810.BatchGetItem']);
  });

  test('works if the table closes the connection in INIT', async () => {
    answer = withoutRooms((request) => request.socket.destroy());
    const { handler, request, warned } = await loadGetRoom();
    await handler.ready;
    expect(warned).toHaveBeenCalledExactlyOnceWith({
      action: 'prime',
      error: expect.objectContaining({ message: expect.any(String) }),
    });
    expect(await request()).toMatchObject({ statusCode: 404 });
  });

  test('works if nothing listens at the address of the table in INIT', async () => {
    const later = createServer((_, response) => response.end(JSON.stringify({ Responses: {} })));
    later.listen(0, '127.0.0.1');
    await once(later, 'listening');
    const { port } = v.parse(v.object({ port: v.number() }), later.address());
    await new Promise((resolve) => later.close(resolve));
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', `http://127.0.0.1:${port}`);
    const { handler, request, warned } = await loadGetRoom();
    await handler.ready;
    expect(warned).toHaveBeenCalledExactlyOnceWith({
      action: 'prime',
      error: expect.objectContaining({ message: expect.stringContaining('ECONNREFUSED') }),
    });
    later.listen(port, '127.0.0.1');
    await once(later, 'listening');
    onTestFinished(() => {
      later.closeAllConnections();
      later.close();
    });
    expect(await request()).toMatchObject({ statusCode: 404 });
  });

  test('has fetched the keys of the issuer before the first handshake', async () => {
    answer = (request, response) => {
      const jwks_uri = `http://${request.headers.host}/keys`;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(request.url === '/keys' ? { keys: [] } : { jwks_uri }));
    };
    lambda();
    vi.stubEnv('ISSUER', process.env.AWS_ENDPOINT_URL_DYNAMODB);
    const { handler } = await import('../../functions/realtime/authorizer.ts');
    await handler.ready;
    expect(asked).toEqual(['GET /.well-known/openid-configuration', 'GET /keys']);
  });

  test('does not run before its first request if it is not on Lambda', () => {
    const handler = vi.fn(async (_event: string) => 'done');
    expect(primed(handler, () => 'event').ready).toBeUndefined();
    expect(handler).not.toHaveBeenCalled();
  });
});
