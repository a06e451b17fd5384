import { describe, expect, test } from 'vitest';
import { isPreflight, preflight, withCors } from '../../../local/apigateway/cors.ts';
import { claimText } from '../../../local/apigateway/jwt-authorizer.ts';
import { eventOf, isTextType, type Request, responseOf } from '../../../local/apigateway/payload.ts';
import { matchRoute } from '../../../local/apigateway/route-match.ts';
import { createTokenBucket } from '../../../local/apigateway/throttle.ts';

describe('the choice of a route', () => {
  const routes = [
    '$default',
    'ANY /pets',
    'GET /pets',
    'GET /pets/{id}',
    'ANY /pets/special',
    'GET /pets/{id}/toys',
    'GET /pets/{proxy+}',
    'ANY /{proxy+}',
  ].map((routeKey) => ({ routeKey, target: routeKey }));
  test.each([
    ['GET', '/pets', 'GET /pets', {}],
    ['POST', '/pets', 'ANY /pets', {}],
    ['GET', '/pets/7', 'GET /pets/{id}', { id: '7' }],
    ['GET', '/pets/special', 'ANY /pets/special', {}],
    ['GET', '/pets/7/toys', 'GET /pets/{id}/toys', { id: '7' }],
    ['GET', '/pets/7/food', 'GET /pets/{proxy+}', { proxy: '7/food' }],
    ['DELETE', '/pets/7', 'ANY /{proxy+}', { proxy: 'pets/7' }],
    ['GET', '/pets/', 'ANY /{proxy+}', { proxy: 'pets/' }],
    ['GET', '/', '$default', {}],
  ])('%s %s goes to %s', (method, path, routeKey, pathParameters) => {
    expect(matchRoute(routes, method, path)).toEqual({ routeKey, target: routeKey, pathParameters });
  });

  test('finds none for an empty parameter, a trailing slash or another method', () => {
    const strict = [{ routeKey: 'GET /room/{id}', target: 1 }];
    for (const [method, path] of [
      ['GET', '/room/'],
      ['GET', '/room/1/'],
      ['GET', '//1'],
      ['POST', '/room/1'],
    ] as const)
      expect(matchRoute(strict, method, path)).toBeUndefined();
  });
});

const request: Request = {
  method: 'POST',
  path: '/room/ä b',
  rawQuery: 'a=1&b=%C3%A4+x&a=2&empty=',
  headers: {
    host: ['127.0.0.1:4000'],
    'content-type': ['application/json'],
    'x-many': ['1', '2'],
    cookie: ['a=1; b=2'],
    'user-agent': ['test'],
    connection: ['keep-alive'],
  },
  body: Buffer.from('{"a":"ä"}'),
  protocol: 'HTTP/1.1',
  sourceIp: '127.0.0.1',
};
const routed = {
  routeKey: 'POST /room/{name}',
  pathParameters: { name: 'ä b' },
  apiId: 'api',
  stage: '$default',
  requestId: 'id',
  identity: { claims: { sub: 'alice' }, scopes: null },
};
const now = new Date('2020-03-12T19:03:58.390Z');
const event = (changes: Partial<Request> = {}) => JSON.parse(eventOf({ ...request, ...changes }, routed, now));

describe('the event', () => {
  test('is in payload format 2.0', () => {
    expect(event()).toEqual({
      version: '2.0',
      routeKey: 'POST /room/{name}',
      rawPath: '/room/ä b',
      rawQueryString: 'a=1&b=%C3%A4+x&a=2&empty=',
      cookies: ['a=1', 'b=2'],
      headers: {
        host: '127.0.0.1:4000',
        'content-type': 'application/json',
        'user-agent': 'test',
        'x-many': '1,2',
        'x-amzn-trace-id': expect.stringMatching(/^Root=1-5e6a879e-[0-9a-f]{24}$/),
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-port': '4000',
        'x-forwarded-proto': 'http',
      },
      queryStringParameters: { a: '1,2', b: 'ä x', empty: '' },
      requestContext: {
        accountId: '000000000000',
        apiId: 'api',
        authorizer: { jwt: { claims: { sub: 'alice' }, scopes: null } },
        domainName: '127.0.0.1',
        domainPrefix: '127',
        http: { method: 'POST', path: '/room/ä b', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
        requestId: 'id',
        routeKey: 'POST /room/{name}',
        stage: '$default',
        time: '12/Mar/2020:19:03:58 +0000',
        timeEpoch: 1_584_039_838_390,
      },
      pathParameters: { name: 'ä b' },
      body: '{"a":"ä"}',
      isBase64Encoded: false,
    });
  });

  test('omits empty fields', () => {
    const bare = event({ rawQuery: '', headers: {}, body: Buffer.alloc(0) });
    for (const key of ['cookies', 'queryStringParameters', 'body']) expect(bare).not.toHaveProperty(key);
    expect(bare.isBase64Encoded).toBe(false);
  });

  test('has the body in base64 unless its type is text', () => {
    const bytes = Buffer.from([0, 255, 128]);
    const binary = event({ headers: { 'content-type': ['application/octet-stream'] }, body: bytes });
    expect(binary).toMatchObject({ body: bytes.toString('base64'), isBase64Encoded: true });
    for (const type of ['text/plain', 'application/json; charset=utf-8', 'application/problem+json', 'application/xml'])
      expect(isTextType(type), type).toBe(true);
    for (const type of ['', 'application/x-www-form-urlencoded', 'multipart/form-data', 'image/png', 'image/svg+xml'])
      expect(isTextType(type), type).toBe(false);
  });
});

test('formats claims like API Gateway', () => {
  expect([1_584_039_838, true, 'a', ['a', 'b'], null, { roles: ['x', 'y'], a: 1 }].map(claimText)).toEqual([
    '1584039838',
    'true',
    'a',
    '[a b]',
    'null',
    'map[a:1 roles:[x y]]',
  ]);
});

describe('the response', () => {
  const of = (result: unknown) => {
    const { body, ...rest } = responseOf({ ok: true, payload: JSON.stringify(result) ?? 'null' });
    return { ...rest, body: body.toString() };
  };
  const error = {
    status: 500,
    headers: { 'content-type': 'application/json' },
    body: '{"message":"Internal Server Error"}',
  };

  test('is a structured result', () => {
    const result = {
      statusCode: 201,
      headers: { 'Content-Type': 'text/html', 'X-Count': 3, Connection: 'close' },
      cookies: ['a=1', 'b=2'],
      body: Buffer.from('hallo').toString('base64'),
      isBase64Encoded: true,
    };
    expect(of(result)).toEqual({
      status: 201,
      headers: { 'content-type': 'text/html', 'x-count': '3', 'set-cookie': ['a=1', 'b=2'] },
      body: 'hallo',
    });
    expect(of({ statusCode: '204' })).toEqual({
      status: 204,
      headers: { 'content-type': 'text/plain;charset=UTF-8' },
      body: '',
    });
  });

  test('contains a result without a status code as its body', () => {
    const json = { 'content-type': 'application/json' };
    expect(of({ a: 1 })).toEqual({ status: 200, headers: json, body: '{"a":1}' });
    expect(of('text')).toEqual({ status: 200, headers: json, body: 'text' });
    expect(of(null)).toEqual({ status: 200, headers: json, body: 'null' });
  });

  test.each([
    [{ statusCode: 'x' }],
    [{ statusCode: 200, body: { a: 1 } }],
    [{ statusCode: 20 }],
    [{ statusCode: 200.5 }],
  ])('is a 500 for the malformed result %j', (result) => {
    expect(of(result)).toEqual(error);
  });

  test('is a 500 for a function that failed, without the reason', () => {
    const { body, ...rest } = responseOf({ ok: false, payload: '{"errorType":"Error","errorMessage":"secret"}' });
    expect({ ...rest, body: body.toString() }).toEqual(error);
  });
});

describe('CORS', () => {
  const cors = {
    AllowOrigins: ['https://ops.example', 'http://*'],
    AllowMethods: ['GET', 'POST'],
    AllowHeaders: ['authorization'],
    ExposeHeaders: ['retry-after'],
    AllowCredentials: true,
    MaxAge: 60,
  };
  const from = (origin: string | undefined, method = 'OPTIONS'): Request => ({
    ...request,
    method,
    headers: { ...(origin && { origin: [origin] }), 'access-control-request-method': ['POST'] },
  });

  test('answers a preflight', () => {
    expect(isPreflight(from('https://ops.example'))).toBe(true);
    expect(isPreflight(from(undefined))).toBe(false);
    expect(isPreflight(from('https://ops.example', 'GET'))).toBe(false);
    expect(preflight(cors, from('https://ops.example'))).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': 'https://ops.example',
        'access-control-allow-methods': 'GET,POST',
        'access-control-allow-headers': 'authorization',
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'retry-after',
        'access-control-max-age': '60',
      },
    });
  });

  test('has no CORS headers for an origin that is not allowed', () => {
    for (const headers of [
      preflight(cors, from('https://evil.example')).headers,
      withCors(cors, from('https://ops.example.evil'), responseOf({ ok: true, payload: '1' })).headers,
    ])
      expect(Object.keys(headers)).not.toContain('access-control-allow-origin');
    expect(preflight(cors, from('http://anything')).headers).toMatchObject({
      'access-control-allow-origin': 'http://anything',
    });
  });

  test("replaces an integration's own headers", () => {
    const response = responseOf({
      ok: true,
      payload: JSON.stringify({ statusCode: 200, headers: { 'Access-Control-Allow-Origin': '*', etag: 'x' } }),
    });
    expect(withCors(cors, from('https://ops.example'), response).headers).toMatchObject({
      'access-control-allow-origin': 'https://ops.example',
      etag: 'x',
    });
    expect(withCors(cors, from(undefined), response).headers).not.toHaveProperty('access-control-allow-origin');
  });
});

test('accepts a burst, and then as many requests as the rate allows', () => {
  let now = 0;
  const mayPass = createTokenBucket({ rate: 2, burst: 3 }, () => now);
  const passed = (tries: number): number => Array.from({ length: tries }, mayPass).filter(Boolean).length;
  expect(passed(5)).toBe(3);
  now += 500;
  expect(passed(5)).toBe(1);
  now += 60_000;
  expect(passed(5)).toBe(3);
});
