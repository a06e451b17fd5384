import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import * as v from 'valibot';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { hasIdentity, isAllowed } from '../../../local/apigateway/request-authorizer.ts';
import { selectRoute } from '../../../local/apigateway/route-selection.ts';
import type { WebSocketApi } from '../../../local/apigateway/websocket-api.ts';
import { createWebSocketGateway } from '../../../local/apigateway/websocket-gateway.ts';
import type { LocalFunction } from '../../../local/lambda/lambda.ts';
import { listen } from '../../../local/listen.ts';
import { localFunction } from '../../support/local-function.ts';

/*
 * The gateway with functions that a test defines: how it handles their results, like API Gateway. The clients are real.
 */

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const socketEvent = v.looseObject({
  body: v.optional(v.string()),
  isBase64Encoded: v.optional(v.boolean()),
  headers: v.optional(v.record(v.string(), v.string())),
  methodArn: v.optional(v.string()),
  requestContext: v.looseObject({
    routeKey: v.string(),
    eventType: v.string(),
    connectionId: v.string(),
    stage: v.string(),
    authorizer: v.optional(v.record(v.string(), v.string())),
    disconnectStatusCode: v.optional(v.number()),
    disconnectReason: v.optional(v.string()),
  }),
});
type SocketEvent = v.InferOutput<typeof socketEvent>;
type Act = (event: SocketEvent) => unknown;

const allow = (event: SocketEvent, context: object = {}) => ({
  principalId: 'alice',
  policyDocument: { Statement: [{ Effect: 'Allow', Action: 'execute-api:Invoke', Resource: event.methodArn }] },
  context,
});

/** Starts a gateway with these functions as routes. The function `authorizer` is not a route. Records the events. */
async function serve(acts: Readonly<Record<string, Act>>, api: Partial<WebSocketApi> = {}) {
  const events: Record<string, SocketEvent[]> = {};
  const functions = new Map<string, LocalFunction>();
  for (const [name, act] of Object.entries(acts)) {
    const seen: SocketEvent[] = [];
    events[name] = seen;
    functions.set(
      name,
      localFunction(name, (text) => {
        const event = v.parse(socketEvent, text);
        seen.push(event);
        return act(event);
      }),
    );
  }
  const routes = Object.keys(acts).filter((name) => name !== 'authorizer');
  const gateway = createWebSocketGateway(
    {
      id: 'api',
      stage: 'v1',
      routeSelectionExpression: '$request.body.action',
      routes: new Map(routes.map((name) => [name, { functionArn: name, twoWay: !name.startsWith('oneway') }])),
      authorizer: acts.authorizer && { functionArn: 'authorizer', identitySources: [] },
      throttles: new Map(),
      ...api,
    },
    { functions, log: () => {} },
  );
  const server = await listen(gateway.handle, 0, gateway.upgrade);
  closers.push(server.close, gateway.close);
  const management = new ApiGatewayManagementApiClient({
    endpoint: `${server.url}/v1`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    maxAttempts: 1,
  });
  return { url: `${server.url.replace('http', 'ws')}/v1`, management, events };
}

/** An open socket, or the status and body of the rejection. */
async function connect(url: string, protocols: string[] = []) {
  const socket = new WebSocket(url, protocols);
  const frames: string[] = [];
  socket.on('message', (data) => frames.push(String(data)));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  socket.on('error', () => {});
  const refusal = await new Promise<{ status: number; body: string } | undefined>((resolve) => {
    socket.on('open', () => resolve(undefined));
    socket.on('unexpected-response', async (_request, response) => {
      let body = '';
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode ?? 0, body });
    });
  });
  if (!refusal)
    closers.push(async () => {
      if (socket.readyState === WebSocket.CLOSED) return;
      socket.terminate();
      await once(socket, 'close');
    });
  return { socket, frames, closed, refusal };
}

const ok = () => ({ statusCode: 200 });

describe('a handshake', () => {
  const message = (text: string) => ({
    message: text,
    connectionId: expect.stringMatching(/=$/),
    requestId: expect.stringMatching(/=$/),
  });
  test.each<[string, Act, number, string]>([
    ['throws "Unauthorized"', () => Promise.reject(new Error('Unauthorized')), 401, 'Unauthorized'],
    ['throws anything else', () => Promise.reject(new Error('unauthorized')), 500, 'Internal server error'],
    ['returns nothing', () => null, 500, 'Internal server error'],
    ['returns an object in the context', (event) => allow(event, { user: {} }), 500, 'Internal server error'],
    [
      'denies',
      () => ({
        principalId: 'a',
        policyDocument: { Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] },
      }),
      403,
      'Forbidden',
    ],
    ['allows another resource', (event) => allow({ ...event, methodArn: 'arn:other' }), 403, 'Forbidden'],
  ])('is rejected if the authorizer %s', async (_what, authorizer, status, text) => {
    const { url, events } = await serve({ authorizer, $connect: ok });
    const { refusal } = await connect(url);
    expect(refusal?.status).toBe(status);
    expect(JSON.parse(refusal?.body ?? '')).toEqual(message(text));
    expect(events.$connect).toEqual([]);
  });

  test.each<[string, Act, number]>([
    ['returns an error status', () => ({ statusCode: 418 }), 418],
    ['fails', () => Promise.reject(new Error('down')), 502],
    ['returns no valid response', () => 'welcome', 502],
  ])('is rejected if $connect %s', async (_what, $connect, status) => {
    const { url, events } = await serve({ $connect, $disconnect: ok });
    expect((await connect(url)).refusal?.status).toBe(status);
    expect(events.$disconnect).toEqual([]);
  });

  test('is rejected at an unknown path, and above the rate', async () => {
    const throttles = new Map([['$default', { rate: 0, burst: 1 }]]);
    const { url } = await serve({ $connect: ok }, { throttles });
    expect((await connect(`${url}/x`)).refusal?.status).toBe(403);
    expect((await connect(url)).refusal).toBeUndefined();
    expect((await connect(url)).refusal?.status).toBe(429);
  });

  test('may be reset by its client, also while it is being rejected', async () => {
    const uncaught = vi.fn();
    process.on('uncaughtExceptionMonitor', uncaught);
    let admit = (): void => {};
    const waiting = new Promise<void>((resolve) => {
      admit = resolve;
    });
    const { url } = await serve({
      authorizer: () => waiting.then(() => Promise.reject(new Error('down'))),
      $connect: ok,
    });
    const { port } = new URL(url);
    const handshake = (path: string) =>
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    // The gateway rejects one path immediately, and the other one after the authorizer's response.
    const sockets = ['/x', '/v1'].map((path) => {
      const socket = createConnection(Number(port), '127.0.0.1');
      socket.on('error', () => {});
      socket.write(handshake(path));
      return socket;
    });
    const [refused, pending] = sockets;
    if (refused) await once(refused, 'data');
    admit();
    if (pending) await once(pending, 'data');
    for (const socket of sockets) socket.resetAndDestroy();
    await sleep(100);
    process.off('uncaughtExceptionMonitor', uncaught);
    expect(uncaught).not.toHaveBeenCalled();
  });

  test('is rejected without an invocation if an identity source is missing', async () => {
    const { url, events } = await serve(
      { authorizer: (event) => allow(event), $connect: ok },
      { authorizer: { functionArn: 'authorizer', identitySources: ['route.request.querystring.token'] } },
    );
    expect((await connect(url)).refusal?.status).toBe(401);
    expect(events.authorizer).toEqual([]);
    expect((await connect(`${url}?token=1`)).refusal).toBeUndefined();
  });

  test('has the sub-protocol that $connect chooses', async () => {
    const { url } = await serve({ $connect: () => ({ statusCode: 200, headers: { 'sec-websocket-PROTOCOL': 'b' } }) });
    expect((await connect(url, ['a', 'b'])).socket.protocol).toBe('b');
    const silent = await serve({ $connect: ok });
    // A client that offers sub-protocols fails if the server chooses none.
    const { closed } = await connect(silent.url, []);
    const strict = new WebSocket(silent.url, ['a']);
    const [error] = await once(strict, 'error');
    expect(String(error)).toContain('Server sent no subprotocol');
    expect(closed).toBeDefined();
  });

  test("adds the authorizer's context to every later event of the connection, as strings", async () => {
    const { url, events } = await serve({
      authorizer: (event) => allow(event, { user_id: 'alice', expires: 7 }),
      $connect: ok,
      $disconnect: ok,
      ping: () => ({ statusCode: 200, body: 'pong' }),
    });
    const { socket, frames } = await connect(url, []);
    socket.send('{"action":"ping"}');
    await expect.poll(() => frames).toEqual(['pong']);
    socket.close(4_000, 'bye');
    await expect.poll(() => events.$disconnect).toHaveLength(1);
    const authorizer = { principalId: 'alice', user_id: 'alice', expires: '7' };
    for (const route of ['$connect', 'ping', '$disconnect'])
      expect(events[route]).toMatchObject([{ requestContext: { routeKey: route, authorizer, stage: 'v1' } }]);
    expect(events.authorizer?.[0]?.methodArn).toBe('arn:aws:execute-api:us-east-1:000000000000:api/v1/$connect');
    expect(events.$disconnect?.[0]?.requestContext).toMatchObject({
      disconnectStatusCode: 4_000,
      disconnectReason: 'bye',
    });
  });
});

describe('a frame', () => {
  test('invokes its route, and the result is sent back if the route has a response', async () => {
    const { url, events } = await serve({
      $connect: ok,
      $default: () => ({ statusCode: 400, body: 'what?' }),
      ping: () => ({ statusCode: 200, body: 'pong' }),
      oneway: () => ({ statusCode: 200, body: 'nobody reads this' }),
      silent: ok,
      broken: () => Promise.reject(new Error('down')),
      odd: () => ({ body: 'no status' }),
    });
    const { socket, frames } = await connect(url);
    const say = async (data: string | Buffer, count: number): Promise<string | undefined> => {
      socket.send(data);
      await expect.poll(() => frames.length).toBe(count);
      return frames.at(-1);
    };
    for (const action of ['oneway', 'silent']) socket.send(JSON.stringify({ action }));
    await expect.poll(() => [events.oneway?.length, events.silent?.length]).toEqual([1, 1]);
    expect(await say('{"action":"ping"}', 1)).toBe('pong');
    expect(await say('{"action":"nope"}', 2)).toBe('what?');
    expect(await say('{"action":', 3)).toBe('what?');
    expect(await say(Buffer.from('{"action":"ping"}'), 4)).toBe('what?');
    expect(events.$default?.at(-1)).toMatchObject({ isBase64Encoded: true, body: 'eyJhY3Rpb24iOiJwaW5nIn0=' });
    for (const [index, action] of ['broken', 'odd'].entries())
      expect(JSON.parse((await say(JSON.stringify({ action }), 5 + index)) ?? '')).toEqual({
        message: 'Internal server error',
        connectionId: events.$connect?.[0]?.requestContext.connectionId,
        requestId: expect.any(String),
      });
  });

  test('gets `Forbidden` if no route matches', async () => {
    const { url } = await serve({ $connect: ok });
    const { socket, frames } = await connect(url);
    socket.send('hello');
    await expect.poll(() => frames.map((frame) => JSON.parse(frame))).toMatchObject([{ message: 'Forbidden' }]);
  });

  test('of exactly 128 KB is accepted, a larger one closes the connection', async () => {
    const { url, events } = await serve({
      $connect: ok,
      $disconnect: ok,
      $default: () => ({ statusCode: 200, body: 'ok' }),
    });
    const { socket, frames, closed } = await connect(url);
    socket.send('x'.repeat(128 * 1_024));
    await expect.poll(() => frames).toEqual(['ok']);
    socket.send('x'.repeat(128 * 1_024 + 1));
    expect(await closed).toMatchObject({ code: 1_009 });
    await expect.poll(() => events.$disconnect?.length).toBe(1);
  });
});

describe('the end of a connection', () => {
  test('is reported even if the socket is destroyed', async () => {
    const { url, events } = await serve({ $connect: ok, $disconnect: ok });
    const { socket } = await connect(url);
    socket.terminate();
    await expect
      .poll(() => events.$disconnect)
      .toMatchObject([{ requestContext: { eventType: 'DISCONNECT', disconnectStatusCode: 1_006 } }]);
  });
});

describe('the connection management endpoint', () => {
  test('posts, shows and closes; a closed connection is gone', async () => {
    const { url, management, events } = await serve({ $connect: ok, $disconnect: ok });
    const { frames, closed } = await connect(url);
    const ConnectionId = events.$connect?.[0]?.requestContext.connectionId;
    await management.send(new PostToConnectionCommand({ ConnectionId, Data: 'Grüße 🦊' }));
    await expect.poll(() => frames).toEqual(['Grüße 🦊']);
    const shown = await management.send(new GetConnectionCommand({ ConnectionId }));
    expect(shown).toMatchObject({
      ConnectedAt: expect.any(Date),
      LastActiveAt: expect.any(Date),
      Identity: { SourceIp: '127.0.0.1' },
    });
    await management.send(new DeleteConnectionCommand({ ConnectionId }));
    expect(await closed).toMatchObject({ code: 1_000 });
    const gone = { name: 'GoneException', $metadata: { httpStatusCode: 410 } };
    await expect(management.send(new PostToConnectionCommand({ ConnectionId, Data: 'x' }))).rejects.toMatchObject(gone);
    await expect(management.send(new DeleteConnectionCommand({ ConnectionId }))).rejects.toMatchObject(gone);
    await expect.poll(() => events.$disconnect?.length).toBe(1);
  });

  test('keeps posts in order', async () => {
    const { url, management, events } = await serve({ $connect: ok });
    const { frames } = await connect(url);
    const ConnectionId = events.$connect?.[0]?.requestContext.connectionId;
    const texts = Array.from({ length: 50 }, (_, index) => `${index}`);
    for (const Data of texts) await management.send(new PostToConnectionCommand({ ConnectionId, Data }));
    await expect.poll(() => frames).toEqual(texts);
  });
});

describe('the choice of a route', () => {
  const keys = new Set(['$connect', '$disconnect', '$default', 'ping', '1']);
  const expression = '$request.body.action';
  test.each([
    ['{"action":"ping"}', 'ping'],
    ['{"action":1}', '1'],
    ['{"action":"$connect"}', '$default'],
    ['{"action":"$disconnect"}', '$default'],
    ['{"action":["ping"]}', '$default'],
    ['{"action":"toString"}', '$default'],
    ['{"other":"ping"}', '$default'],
    ['"ping"', '$default'],
    ['null', '$default'],
    ['', '$default'],
    [undefined, '$default'],
  ])('for %s is %s', (text, expected) => {
    expect(selectRoute(keys, expression, text)).toBe(expected);
  });

  test('supports nested fields, and finds no route without $default', () => {
    expect(selectRoute(keys, '$request.body.message.action', '{"message":{"action":"ping"}}')).toBe('ping');
    expect(selectRoute(new Set(['ping']), expression, '{}')).toBeUndefined();
    expect(() => selectRoute(keys, '$request.header.x', '{}')).toThrow(
      'does not support the route selection expression',
    );
  });
});

describe('an authorizer’s policy', () => {
  const arn = 'arn:aws:execute-api:us-east-1:000000000000:api/v1/$connect';
  const statement = (Effect: 'Allow' | 'Deny', Resource: string, Action = 'execute-api:Invoke') => ({
    Effect,
    Action: [Action],
    Resource: [Resource],
  });
  test('allows the listed resources, unless it denies them', () => {
    expect(isAllowed([statement('Allow', arn)], arn)).toBe(true);
    expect(isAllowed([statement('Allow', '*')], arn)).toBe(true);
    expect(isAllowed([statement('Allow', 'arn:aws:execute-api:*:*:api/v?/*')], arn)).toBe(true);
    expect(isAllowed([statement('Allow', arn, 'execute-api:*')], arn)).toBe(true);
    expect(isAllowed([statement('Allow', arn, 's3:GetObject')], arn)).toBe(false);
    expect(isAllowed([statement('Allow', `${arn}x`)], arn)).toBe(false);
    expect(isAllowed([statement('Allow', '*'), statement('Deny', arn)], arn)).toBe(false);
    expect(isAllowed([], arn)).toBe(false);
  });

  test('is evaluated only if the identity source is present', () => {
    const request = { headers: { Authorization: 'x', Empty: '' }, query: { token: '1' } };
    expect(hasIdentity('route.request.header.authorization', request)).toBe(true);
    expect(hasIdentity('route.request.header.Empty', request)).toBe(false);
    expect(hasIdentity('route.request.querystring.token', request)).toBe(true);
    expect(hasIdentity('route.request.querystring.other', request)).toBe(false);
    expect(() => hasIdentity('context.x', request)).toThrow('does not support the identity source');
  });
});
