import type { APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { handler as connect } from '../../functions/realtime/connect.ts';
import { claimsOf, type Health, type Issuer, startIssuer } from '../support/issuer.ts';
import { newSocket, socketEvent } from '../support/socket.ts';

let issuer: Issuer;
let authorizer: typeof import('../../functions/realtime/authorizer.ts').handler;

/** Loads the authorizer again, without cached keys, as in a new execution environment. */
async function freshStart() {
  vi.resetModules();
  ({ handler: authorizer } = await import('../../functions/realtime/authorizer.ts'));
  Object.assign(issuer.requests, { discovery: 0, keys: 0 });
}

beforeAll(async () => {
  issuer = await startIssuer();
  vi.stubEnv('ISSUER', issuer.url);
  vi.stubEnv('AUDIENCE', 'rooms,rooms-web');
});
beforeEach(freshStart);
afterEach(() => {
  vi.useRealTimers();
  Object.assign(issuer.health, { discovery: 'well', keys: 'well' });
});
afterAll(() => issuer.close());

const ARN = 'arn:aws:execute-api:us-east-1:000000000000:abc/v1/$connect';

/** The relevant part of a handshake's event. */
const handshake = (headers: Record<string, string>) =>
  ({
    type: 'REQUEST',
    methodArn: ARN,
    headers,
    requestContext: { requestId: 'ZxY=', connectionId: 'AbC=' },
  }) as unknown as APIGatewayRequestAuthorizerEvent;
const authorize = (headers: Record<string, string>) => authorizer(handshake(headers));
const authorizeToken = (token: string) => authorize({ Authorization: `Bearer ${token}` });
const seconds = () => Math.floor(Date.now() / 1_000);

/** The function throws exactly this text for an invalid token, and API Gateway then responds with 401. */
const UNAUTHORIZED = /^Unauthorized$/;

describe('a valid token', () => {
  test('is accepted, and its user and expiry are passed on as strings', async () => {
    const exp = seconds() + 600;
    expect(await authorizeToken(await issuer.token({ sub: 'bob', exp }))).toEqual({
      principalId: 'bob',
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: ARN }],
      },
      context: { user_id: 'bob', token_expires_at: String(exp), protocol: 'rooms.v1' },
    });
  });

  test.each([
    ['the newest one offered', 'rooms.v1, rooms.v2, bearer.x', 'rooms.v2'],
    ['the only one offered', 'rooms.v2', 'rooms.v2'],
    ['rooms.v1, if only that is offered', 'bearer.x,rooms.v1', 'rooms.v1'],
    ['rooms.v1, if it is offered with an unknown one', 'rooms.v3, rooms.v1', 'rooms.v1'],
    ['rooms.v1, if only unknown ones are offered', 'chat', 'rooms.v1'],
    ['rooms.v1, if none is offered', undefined, 'rooms.v1'],
  ])('selects the version of the protocol that is %s', async (_, offered, protocol) => {
    const headers = {
      Authorization: `Bearer ${await issuer.token()}`,
      ...(offered !== undefined && { 'Sec-WebSocket-Protocol': offered }),
    };
    expect(await authorize(headers)).toMatchObject({ context: { protocol } });
  });

  test.each<[string, (token: string) => Record<string, string>]>([
    ['in Authorization', (token) => ({ Authorization: `Bearer ${token}` })],
    ['in authorization, in lower case', (token) => ({ authorization: `bearer ${token}` })],
    ['as a sub-protocol', (token) => ({ 'Sec-WebSocket-Protocol': `rooms.v1, bearer.${token}` })],
    ['as a sub-protocol, without spaces', (token) => ({ 'sec-websocket-protocol': `bearer.${token},rooms.v1` })],
    [
      'in Authorization, even with another token as a sub-protocol',
      (token) => ({ Authorization: `Bearer ${token}`, 'Sec-WebSocket-Protocol': 'rooms.v1, bearer.nonsense' }),
    ],
  ])('may be sent %s', async (_, headers) => {
    expect(await authorize(headers(await issuer.token()))).toMatchObject({ principalId: 'alice' });
  });

  test.each([
    ['the second configured audience', { aud: 'rooms-web' }],
    ['several audiences, one of them configured', { aud: ['account', 'rooms'] }],
    ['a client_id instead of an aud', { aud: undefined, client_id: 'rooms' }],
    ['no iat', { iat: undefined }],
    ['an nbf in the past', { nbf: seconds() - 1 }],
    ['a sub with every kind of valid character', { sub: 'aZ09._:@|-' }],
  ])('may have %s', async (_, claims) => {
    expect(await authorizeToken(await issuer.token(claims))).toMatchObject({ principalId: expect.any(String) });
  });

  test.each(['iat', 'nbf'])('may come from an issuer whose clock is up to 10 seconds ahead: %s', async (claim) => {
    // A full second, because times in tokens are in seconds.
    vi.useFakeTimers({ toFake: ['Date'], now: seconds() * 1_000 });
    expect(await authorizeToken(await issuer.token({ [claim]: seconds() + 10 }))).toMatchObject({
      principalId: 'alice',
    });
    await expect(authorizeToken(await issuer.token({ [claim]: seconds() + 11 }))).rejects.toThrow(UNAUTHORIZED);
  });

  test('is valid until the second in which it expires, and no longer', async () => {
    const start = seconds();
    const token = await issuer.token({ exp: start + 60 });
    vi.useFakeTimers({ toFake: ['Date'], now: (start + 60) * 1_000 - 1 });
    expect(await authorizeToken(token)).toMatchObject({ principalId: 'alice' });
    const log = vi.spyOn(console, 'info');
    vi.setSystemTime((start + 60) * 1_000);
    await expect(authorizeToken(token)).rejects.toThrow(UNAUTHORIZED);
    expect(log).toHaveBeenCalledWith(expect.objectContaining({ refused: 'ERR_JWT_EXPIRED' }));
    vi.setSystemTime((start + 600) * 1_000);
    await expect(authorizeToken(token)).rejects.toThrow(UNAUTHORIZED);
    expect(log).toHaveBeenLastCalledWith(expect.objectContaining({ refused: 'ERR_JWT_EXPIRED' }));
    log.mockRestore();
  });

  test.each(['PS256', 'ES256', 'EdDSA'])('may be signed with %s', async (alg) => {
    await issuer.rotate({ alg });
    try {
      expect(await authorizeToken(await issuer.token())).toMatchObject({ principalId: 'alice' });
    } finally {
      await issuer.rotate();
    }
  });
});

describe('rejected with a 401:', () => {
  test.each<[string, () => Record<string, string> | Promise<Record<string, string>>]>([
    ['no token', () => ({})],
    ['no relevant headers', () => ({ Host: 'x' })],
    ['an empty Authorization', () => ({ Authorization: '' })],
    ['another scheme', () => ({ Authorization: 'Basic YTpi' })],
    ['only the version as sub-protocol', () => ({ 'Sec-WebSocket-Protocol': 'rooms.v1' })],
    ['an empty bearer sub-protocol', () => ({ 'Sec-WebSocket-Protocol': 'rooms.v1, bearer.' })],
    ['a token that is not a JWT', () => ({ Authorization: 'Bearer abc' })],
    ['a JWT with invalid parts', () => ({ Authorization: 'Bearer a.b.c' })],
    ['a token in another header', async () => ({ 'X-Token': `Bearer ${await issuer.token()}` })],
  ])('%s', async (_, headers) => {
    await expect(authorize(await headers())).rejects.toThrow(UNAUTHORIZED);
  });

  test.each<[string, Record<string, unknown>]>([
    ['expired', { exp: seconds() - 1 }],
    ['without an expiry', { exp: undefined }],
    ['not valid yet', { nbf: seconds() + 60 }],
    ['issued in the future', { iat: seconds() + 60 }],
    ['of another issuer', { iss: 'https://elsewhere.example' }],
    ['of an issuer whose URL only starts the same', { iss: 'http://127.0.0.1' }],
    ['without an issuer', { iss: undefined }],
    ['for another audience', { aud: 'account' }],
    ['for other audiences', { aud: ['account', 'roomsx'] }],
    ['without an audience', { aud: undefined }],
    ['without an audience, but with our azp', { aud: undefined, azp: 'rooms' }],
    ['for another audience, but with our client_id and azp', { aud: 'x', azp: 'rooms', client_id: 'rooms' }],
    ['whose audiences are in one string', { aud: 'rooms,rooms-web' }],
    ['without a sub', { sub: undefined }],
    ['with an empty sub', { sub: '' }],
    ['with a sub that contains the separator of keys', { sub: 'a#b' }],
    ['with a space in its sub', { sub: 'a b' }],
    ['with a sub that is too long', { sub: 'x'.repeat(129) }],
    ['whose sub is a fraction', { sub: 7.5 }],
    ['whose sub is above the largest safe integer', { sub: 2 ** 53 }],
  ])('a token %s', async (_, claims) => {
    await expect(authorizeToken(await issuer.token(claims))).rejects.toThrow(UNAUTHORIZED);
  });

  test('a token without a signature (alg none)', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const alg of ['none', 'None', 'NONE'])
      for (const signature of ['', 'x'])
        await expect(
          authorizeToken(`${part({ alg, typ: 'JWT' })}.${part(claimsOf(issuer.url, {}))}.${signature}`),
        ).rejects.toThrow(UNAUTHORIZED);
  });

  test('a token signed with the public key as a shared secret (HS256)', async () => {
    await expect(authorizeToken(await issuer.confusedToken())).rejects.toThrow(UNAUTHORIZED);
  });

  test('a token signed with a key that the issuer does not have, with or without a key id', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    const kid = JSON.parse(Buffer.from((await issuer.token()).split('.')[0] ?? '', 'base64url').toString()).kid;
    for (const header of [{ kid }, { kid: 'mine' }]) {
      const forged = await new SignJWT(claimsOf(issuer.url, {}))
        .setProtectedHeader({ alg: 'RS256', ...header })
        .sign(privateKey);
      await expect(authorizeToken(forged)).rejects.toThrow(UNAUTHORIZED);
    }
  });

  test('a token with changed claims', async () => {
    const [header, , signature] = (await issuer.token()).split('.');
    const claims = Buffer.from(JSON.stringify(claimsOf(issuer.url, { sub: 'mallory' }))).toString('base64url');
    await expect(authorizeToken(`${header}.${claims}.${signature}`)).rejects.toThrow(UNAUTHORIZED);
  });

  test('a rejected token is not in the log', async () => {
    const log = vi.spyOn(console, 'info');
    const token = await issuer.token({ exp: seconds() - 1 });
    await expect(authorizeToken(token)).rejects.toThrow(UNAUTHORIZED);
    expect(JSON.stringify(log.mock.calls)).not.toContain(token.split('.')[2]);
    log.mockRestore();
  });
});

describe('the issuer', () => {
  test('is requested once per process, even by simultaneous handshakes', async () => {
    const token = await issuer.token();
    await Promise.all(Array.from({ length: 20 }, () => authorizeToken(token)));
    for (let n = 0; n < 5; n++) await authorizeToken(await issuer.token({ sub: `user${n}` }));
    expect(issuer.requests).toEqual({ discovery: 1, keys: 1 });
  });

  test('is not requested for a handshake without a token', async () => {
    await expect(authorize({})).rejects.toThrow(UNAUTHORIZED);
    expect(issuer.requests).toEqual({ discovery: 0, keys: 0 });
  });

  describe('with a new key', () => {
    const later = (ms: number) => vi.setSystemTime(Date.now() + ms);
    beforeEach(async () => {
      await authorizeToken(await issuer.token());
      vi.useFakeTimers({ toFake: ['Date'] });
    });

    test('requests the key at the first token with it, and accepts the old key while it is published', async () => {
      const old = await issuer.token();
      later(11_000);
      await issuer.rotate();
      expect(await authorizeToken(await issuer.token())).toMatchObject({ principalId: 'alice' });
      expect(await authorizeToken(old)).toMatchObject({ principalId: 'alice' });
      expect(issuer.requests).toEqual({ discovery: 1, keys: 2 });
    });

    test('limits requests for unknown keys', async () => {
      const forged = await issuer.token({}, { kid: 'made-up' });
      for (let n = 0; n < 10; n++) await expect(authorizeToken(forged)).rejects.toThrow(UNAUTHORIZED);
      expect(issuer.requests.keys).toBe(1);
      later(11_000);
      for (let n = 0; n < 10; n++) await expect(authorizeToken(forged)).rejects.toThrow(UNAUTHORIZED);
      expect(issuer.requests.keys).toBe(2);
    });

    test('accepts an old key for at most 10 minutes after it is no longer published', async () => {
      const old = await issuer.token();
      await issuer.rotate({ alone: true });
      later(10 * 60_000 + 1_000);
      await expect(authorizeToken(old)).rejects.toThrow(UNAUTHORIZED);
    });
  });

  describe('that is not reachable causes an error that clients can retry', () => {
    const failing = async (token: string) => {
      const error: unknown = await authorizeToken(token).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).message).not.toMatch(UNAUTHORIZED);
    };

    test.each<[keyof Issuer['health'], Health]>([
      ['discovery', 'down'],
      ['discovery', 'error'],
      ['discovery', 'nonsense'],
      ['keys', 'down'],
      ['keys', 'error'],
      ['keys', 'nonsense'],
      ['keys', 'no keys'],
    ])('%s: %s', async (part, health) => {
      const token = await issuer.token();
      issuer.health[part] = health;
      await failing(token);
      // When the issuer works again, handshakes succeed again.
      issuer.health[part] = 'well';
      expect(await authorizeToken(token)).toMatchObject({ principalId: 'alice' });
    });

    test('a token with a cached key is still accepted', async () => {
      const token = await issuer.token();
      await authorizeToken(token);
      Object.assign(issuer.health, { discovery: 'down', keys: 'down' });
      expect(await authorizeToken(token)).toMatchObject({ principalId: 'alice' });
    });
  });
});

describe('$connect', () => {
  const { requestContext } = socketEvent('$connect', newSocket('alice'));

  test('returns the negotiated sub-protocol, and never the one with the token', async () => {
    for (const name of ['Sec-WebSocket-Protocol', 'sec-websocket-protocol'])
      expect(await connect({ requestContext, headers: { [name]: 'rooms.v1, bearer.x.y.z' } })).toEqual({
        statusCode: 200,
        headers: { 'Sec-WebSocket-Protocol': 'rooms.v1' },
      });
  });

  test('returns no sub-protocol if none was offered', async () => {
    expect(await connect({ requestContext, headers: { Authorization: 'Bearer x' } })).toEqual({ statusCode: 200 });
    expect(await connect({ requestContext })).toEqual({ statusCode: 200 });
  });
});
