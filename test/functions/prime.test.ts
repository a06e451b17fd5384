import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { primed, rehearse } from '../../core/aws/prime.ts';
import { allRoutes } from '../../core/contract/index.ts';
import { actions } from '../../core/contract/realtime.ts';
import { rehearsalEvent } from '../../core/http/rehearsal.ts';
import type { SocketHandler } from '../../core/realtime/action.ts';
import { rehearsalEvent as socketRehearsal } from '../../core/realtime/rehearsal.ts';
import { context, handlerOf, httpEvent } from '../support/event.ts';

/*
 * What a function does in INIT, before its first request: against a server that stands in for DynamoDB and records what it is asked.
 */

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

/** What a handler could write to, and must not in a rehearsal. */
const silence = () => [
  vi.spyOn(console, 'info'),
  vi.spyOn(console, 'error'),
  vi.spyOn(console, 'warn'),
  vi.spyOn(process.stdout, 'write'),
];

describe('a rehearsal', () => {
  test.each(allRoutes)(
    'of $operation succeeds, opens at most two connections, and neither reads, writes, logs, nor counts',
    async (route) => {
      answer = healthy;
      const lines = silence();
      const { result, connections } = await rehearse(await handlerOf(route), rehearsalEvent(route));
      expect(result.statusCode, result.body).toBe(route.status);
      expect(connections).toBeGreaterThanOrEqual(1);
      expect(connections).toBeLessThanOrEqual(2);
      expect(asked).toEqual(Array(connections).fill('GET /'));
      for (const line of lines) expect(line).not.toHaveBeenCalled();
    },
  );

  test.each(Object.values(actions))(
    'of the action $action succeeds, opens at most two connections, and neither reads, writes, logs, nor counts',
    async (row) => {
      answer = healthy;
      const { handler }: { handler: SocketHandler } = await import(`../../functions/realtime/${row.action}.ts`);
      const lines = silence();
      const { result, connections } = await rehearse(handler, socketRehearsal(row));
      expect(JSON.parse(result.body ?? '')).toMatchObject({ ok: true });
      expect(connections).toBeGreaterThanOrEqual(1);
      expect(connections).toBeLessThanOrEqual(2);
      expect(asked).toEqual(Array(connections).fill('GET /'));
      for (const line of lines) expect(line).not.toHaveBeenCalled();
    },
  );

  test('of $disconnect opens one connection, and neither reads, writes, logs, nor counts', async () => {
    answer = healthy;
    const lines = silence();
    vi.stubEnv('AWS_LAMBDA_INITIALIZATION_TYPE', 'on-demand');
    const { handler } = await import('../../functions/realtime/disconnect.ts');
    await handler.ready;
    expect(lines[2]?.mock.calls).toEqual([]);
    expect(asked).toEqual(['GET /']);
    for (const line of lines) expect(line).not.toHaveBeenCalled();
  });

  test('leaves real requests alone that are sent meanwhile', async () => {
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

  test('is ready when it has been run once', async () => {
    lambda();
    const handler = vi.fn(async (_event: string) => 'done');
    const { ready } = primed(handler, () => 'event');
    await ready;
    expect(handler).toHaveBeenCalledExactlyOnceWith('event', expect.anything());
  });

  test('is ready, and works, after a rehearsal that fails', async () => {
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
    expect(warned).toHaveBeenCalledExactlyOnceWith({ action: 'prime', error: 'no room' });
    await expect(handler('real')).resolves.toBe('real');
  });

  test('is ready after 300 ms if the table says nothing', async () => {
    const [route] = allRoutes;
    if (!route) throw new Error('There are no routes.');
    answer = () => {};
    lambda();
    const warned = vi.spyOn(console, 'warn').mockReturnValue();
    const handler = await handlerOf(route);
    const start = performance.now();
    await primed(handler, () => rehearsalEvent(route)).ready;
    expect(asked).not.toEqual([]);
    expect(performance.now() - start).toBeGreaterThanOrEqual(295);
    // The request for a connection ends, too, so that nothing of INIT is left for the first request to wait for.
    await vi.waitFor(() => expect(warned).toHaveBeenCalledWith({ action: 'prime', error: expect.any(String) }));
  });

  test('has the keys of the issuer before the first handshake', async () => {
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

  test('is not run before its first request anywhere else', () => {
    const handler = vi.fn(async (_event: string) => 'done');
    expect(primed(handler, () => 'event').ready).toBeUndefined();
    expect(handler).not.toHaveBeenCalled();
  });
});
