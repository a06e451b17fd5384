import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { RoomsClient } from '../../../client/src/index.ts';
import { RoomsError } from '../../../core/contract/errors.ts';
import { failure, success } from '../../../core/http/response.ts';
import { createHttpGateway } from '../../../local/apigateway/http-gateway.ts';
import type { Throttle } from '../../../local/apigateway/throttle.ts';
import { listen } from '../../../local/listen.ts';
import { localFunction } from '../../support/local-function.ts';

const ROOM = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
const ORIGIN = 'https://ops.test.example';
const UPLOAD = 'GET /participant/room/{room_id}/upload';
const GET = 'GET /participant/room/{room_id}';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A gateway with two routes, whose functions return `answer` and count their invocations. */
async function serve(
  throttles: Readonly<Record<string, Throttle>>,
  answer: () => object = () => success(200, { data: {} }),
) {
  const invoked: string[] = [];
  const functionOf = (name: string) =>
    localFunction(name, () => {
      invoked.push(name);
      return answer();
    });
  const routes = [UPLOAD, GET].map((routeKey) => ({
    routeKey,
    target: { functionArn: routeKey, authorize: undefined, scopes: [] },
  }));
  const handler = createHttpGateway(
    {
      id: 'api',
      stage: '$default',
      cors: {
        AllowOrigins: [ORIGIN],
        AllowMethods: ['*'],
        AllowHeaders: [],
        AllowCredentials: false,
        ExposeHeaders: ['retry-after'],
      },
      routes,
      throttles: new Map(Object.entries(throttles)),
    },
    { functions: new Map([UPLOAD, GET].map((name) => [name, functionOf(name)])), localRoutes: {}, log: () => {} },
  );
  const server = await listen(handler, 0);
  closers.push(server.close);
  const request = (path: string) =>
    fetch(`${server.url}/participant/room/${ROOM}${path}`, { headers: { origin: ORIGIN } });
  return { url: server.url, invoked, request };
}

describe('a route above its throttle', () => {
  test('returns 429 like API Gateway, and does not invoke its function; other routes are not affected', async () => {
    const { request, invoked } = await serve({ $default: { rate: 100, burst: 100 }, [UPLOAD]: { rate: 0, burst: 3 } });
    const answers = await Promise.all(Array.from({ length: 8 }, () => request('/upload')));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 429, 429, 429, 429, 429]);
    for (const answer of answers.filter(({ status }) => status === 429)) {
      expect(await answer.json()).toEqual({ message: 'Too Many Requests' });
      // Like API Gateway, the response has no Retry-After: clients wait longer after each attempt.
      expect(answer.headers.get('retry-after')).toBeNull();
      // Without this header, the browser would hide the status from the client.
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    }
    const others = await Promise.all(Array.from({ length: 5 }, () => request('')));
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(invoked.filter((name) => name === UPLOAD)).toHaveLength(3);
  });

  test('accepts requests again at its rate', async () => {
    const { request } = await serve({ [UPLOAD]: { rate: 10, burst: 1 } });
    expect((await request('/upload')).status).toBe(200);
    expect((await request('/upload')).status).toBe(429);
    await sleep(120);
    expect((await request('/upload')).status).toBe(200);
  });

  test('is retried by the client SDK, which finally fails with too_many_requests', async () => {
    const { url, invoked } = await serve({ [GET]: { rate: 10, burst: 1 } });
    const client = new RoomsClient({ url, token: () => 'token', retryInitialMs: 400 });
    await client.getRoom(ROOM);
    await client.getRoom(ROOM);
    expect(invoked).toEqual([GET, GET]);

    const closed = await serve({ [GET]: { rate: 0, burst: 0 } });
    const refused = new RoomsClient({ url: closed.url, token: () => 'token', retryInitialMs: 1, retries: 2 });
    await expect(refused.getRoom(ROOM)).rejects.toMatchObject({ code: 'too_many_requests', status: 429 });
    expect(closed.invoked).toEqual([]);
  });
});

test('the 429 of a limit per user keeps its body and its Retry-After when it passes the gateway', async () => {
  const error = new RoomsError('too_many_requests', [{ message: 'You can request 600 uploads per hour.' }], {
    retryAfter: 1_234,
  });
  const { request } = await serve({}, () => failure(error, 'r'));
  const answer = await request('/upload');
  expect(answer.status).toBe(429);
  expect(answer.headers.get('retry-after')).toBe('1234');
  expect(answer.headers.get('access-control-expose-headers')).toBe('retry-after');
  expect(await answer.json()).toMatchObject({
    message: 'Too many requests. Wait, then try again.',
    errors: [{ code: 'too_many_requests', message: 'You can request 600 uploads per hour.' }],
  });
});
