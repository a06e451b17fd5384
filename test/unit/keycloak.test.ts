import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { RoomsError } from '../../core/contract/errors.ts';
import { getRoom as route } from '../../core/contract/routes.ts';
import { parseRequest } from '../../core/http/parse.ts';
import { chosenEnvironment } from '../../lib/environments.ts';
import { createJwtAuthorizer } from '../../local/apigateway/jwt-authorizer.ts';
import { eventOf, type Request } from '../../local/apigateway/payload.ts';
import { type Issuer, startIssuer } from '../support/issuer.ts';
import { accessToken, lightweightToken, serviceAccountToken, USER } from '../support/keycloak.ts';
import { newSocket, socketEvent } from '../support/socket.ts';

/*
 * Checks Keycloak's tokens with both APIs: the JWT authorizer of the HTTP API, and the authorizer of the WebSocket API.
 * Both must accept the same tokens for the same user.
 */

let issuer: Issuer;
/** Loads the authorizer again, without cached keys, as in a new execution environment. */
async function freshStart() {
  vi.resetModules();
  ({ handler: webSocketAuthorizer } = await import('../../functions/realtime/authorizer.ts'));
}
let webSocketAuthorizer: typeof import('../../functions/realtime/authorizer.ts').handler;
beforeAll(async () => {
  issuer = await startIssuer();
  vi.stubEnv('ISSUER', issuer.url);
  vi.stubEnv('AUDIENCE', 'rooms');
  await freshStart();
});
afterAll(() => issuer.close());

const params = { room_id: '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01' };

/** The user whom the HTTP API identifies by a token, or the status of the rejection. */
async function overHttp(token: string): Promise<string | number> {
  const authorize = createJwtAuthorizer({
    AuthorizerType: 'JWT',
    IdentitySource: ['$request.header.Authorization'],
    JwtConfiguration: { Issuer: issuer.url, Audience: ['rooms'] },
  });
  const request: Request = {
    method: route.method,
    path: route.path,
    rawQuery: '',
    headers: { authorization: [`Bearer ${token}`] },
    body: Buffer.alloc(0),
    protocol: 'HTTP/1.1',
    sourceIp: '203.0.113.7',
  };
  const outcome = await authorize(request, []);
  if ('refusal' in outcome) return outcome.refusal.status;
  const { identity } = outcome;
  const routed = { routeKey: `${route.method} ${route.path}`, pathParameters: params, apiId: 'a', stage: '$default' };
  const event = JSON.parse(eventOf(request, { ...routed, requestId: randomUUID(), identity }, new Date()));
  try {
    return parseRequest(route, event, new Date().toISOString()).caller;
  } catch (error) {
    if (error instanceof RoomsError && error.code === 'invalid_token') return 401;
    throw error;
  }
}

/** The same for the WebSocket API. */
async function overWebSocket(token: string): Promise<string | number> {
  const { requestContext } = socketEvent('$connect', newSocket('nobody'));
  const event = {
    type: 'REQUEST',
    methodArn: 'arn:aws:execute-api:us-east-1:000000000000:abc/v1/$connect',
    headers: { 'Sec-WebSocket-Protocol': `rooms.v1, bearer.${token}` },
    requestContext,
  } as unknown as APIGatewayRequestAuthorizerEvent;
  try {
    return (await webSocketAuthorizer(event)).context.user_id;
  } catch (error) {
    if (error instanceof Error && error.message === 'Unauthorized') return 401;
    throw error;
  }
}

const both = async (claims: Record<string, unknown>, header: Record<string, unknown> = {}) => {
  const token = await issuer.token(claims, header);
  return [await overHttp(token), await overWebSocket(token)];
};

test('the issuer is a realm', () => {
  expect(issuer.url).toMatch(/\/realms\/test$/);
});

describe('accepted by both APIs, as the user in `sub`:', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an access token for several audiences', accessToken(), USER],
    ['an access token whose only audience is a string', accessToken({ aud: 'rooms' }), USER],
    ['an access token of a user without any role', accessToken({ realm_access: undefined, resource_access: {} }), USER],
    ['an access token of another client with the mapper', accessToken({ azp: 'agil-ops-hub' }), USER],
    ['a lightweight access token', lightweightToken(), USER],
    [
      'a service account',
      serviceAccountToken({ sub: 'c1b6c1ab-3f5e-4f0e-9d55-2b9d3c6a7e10' }),
      'c1b6c1ab-3f5e-4f0e-9d55-2b9d3c6a7e10',
    ],
    [
      'a user of a federated store',
      accessToken({ sub: 'f:1b4e28ba-2fa1-11d2-883f-0016d3cca427:alice@example.com' }),
      'f:1b4e28ba-2fa1-11d2-883f-0016d3cca427:alice@example.com',
    ],
    ['an access token with `nbf`', accessToken({ nbf: 0 }), USER],
    ['a user ID that is a number', accessToken({ sub: 42 }), '42'],
    ['a user ID that is the largest safe integer', accessToken({ sub: Number.MAX_SAFE_INTEGER }), '9007199254740991'],
  ])('%s', async (_, claims, user) => {
    expect(await both(claims)).toEqual([user, user]);
  });
});

describe('rejected with a 401 by both APIs:', () => {
  const AGO = Math.floor(Date.now() / 1_000) - 1;
  test.each<[string, Record<string, unknown>]>([
    ['an access token without the audience mapper', accessToken({ aud: 'account' })],
    ['an access token without an audience, of a user without roles', accessToken({ aud: undefined })],
    [
      'an access token for another audience, of a client whose name is the audience',
      accessToken({ aud: 'account', azp: 'rooms' }),
    ],
    [
      'an access token for another audience, of a service account whose name is the audience',
      serviceAccountToken({ aud: 'account', client_id: 'rooms' }),
    ],
    ['an access token without `sub` (client scope `basic` is missing)', accessToken({ sub: undefined })],
    ['a token whose `sub` is a dot, which URL parsers would resolve', accessToken({ sub: '.' })],
    ['a token whose `sub` is two dots, which URL parsers would resolve', accessToken({ sub: '..' })],
    ['a token whose `sub` is a number with an exponent', accessToken({ sub: 1e21 })],
    ['a token whose `sub` is a list', accessToken({ sub: ['alice'] })],
    ['an ID token', accessToken({ typ: 'ID', aud: 'rooms-web', realm_access: undefined, scope: undefined })],
    ['a refresh token', accessToken({ typ: 'Refresh', aud: 'https://iams.example.com/realms/test' })],
    ['an access token that has expired', accessToken({ exp: AGO })],
    ['a token of the master realm', accessToken({ iss: 'http://127.0.0.1/realms/master' })],
    ['a token whose issuer is a cluster-internal URL', accessToken({ iss: 'http://keycloak:8080/realms/test' })],
  ])('%s', async (_, claims) => {
    expect(await both(claims)).toEqual([401, 401]);
  });

  test('a token whose issuer ends in a slash', async () => {
    expect(await both(accessToken({ iss: `${issuer.url}/` }))).toEqual([401, 401]);
  });

  test('a token signed with a key that the realm has removed', async () => {
    expect(await both(accessToken(), { kid: 'of-before' })).toEqual([401, 401]);
  });
});

test('realm roles have no effect, because permissions depend on the room', async () => {
  expect(await both(accessToken({ realm_access: { roles: ['admin'] } }))).toEqual([USER, USER]);
});

test('a realm without RSA signatures is rejected, as by API Gateway', async () => {
  await issuer.rotate({ alg: 'ES256' });
  await freshStart();
  try {
    expect(await both(accessToken())).toEqual([401, USER]);
  } finally {
    await issuer.rotate();
  }
});

describe('the import of docs/guides/keycloak.md', () => {
  const text = readFileSync(resolve(import.meta.dirname, '../../docs/guides/keycloak.md'), 'utf8');
  const blocks = [...text.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, json = '']): unknown => JSON.parse(json));

  test('contains a client scope whose mapper adds the default audience', () => {
    const scope = v.parse(
      v.looseObject({
        name: v.string(),
        protocolMappers: v.tuple([
          v.looseObject({ protocolMapper: v.string(), config: v.record(v.string(), v.string()) }),
        ]),
      }),
      blocks[0],
    );
    const [{ protocolMapper, config }] = scope.protocolMappers;
    expect(protocolMapper).toBe('oidc-audience-mapper');
    const { audience } = chosenEnvironment({ env: 'dev', issuer: 'https://iams.example.com/realms/ucs' });
    expect(config).toMatchObject({
      'included.custom.audience': audience[0],
      'access.token.claim': 'true',
      // ID tokens must not be accepted as access tokens.
      'id.token.claim': 'false',
    });
  });

  test('contains a public client with that scope and the scope of `sub`', () => {
    expect(blocks[1]).toMatchObject({
      clientId: 'rooms-web',
      publicClient: true,
      implicitFlowEnabled: false,
      directAccessGrantsEnabled: false,
      fullScopeAllowed: false,
      attributes: { 'pkce.code.challenge.method': 'S256', 'access.token.signed.response.alg': 'RS256' },
      defaultClientScopes: expect.arrayContaining([
        'basic',
        v.parse(v.looseObject({ name: v.string() }), blocks[0]).name,
      ]),
    });
  });
});
