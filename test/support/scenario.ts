import { randomBytes } from 'node:crypto';
import { decodeJwt, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import * as v from 'valibot';
import { expect } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';

/* User actions over the HTTP API, for the local stack and for deployed environments. */

export const ALICE = 'alice';
export const BOB = '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f';

/** The addresses of an API, without a slash at the end. */
export interface Served {
  readonly http: string;
  readonly issuer: string;
}

const answer = v.object({
  data: v.optional(v.unknown()),
  errors: v.optional(v.array(v.object({ code: v.string(), path: v.optional(v.string()) }))),
  message: v.optional(v.string()),
});

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly data: unknown;
  readonly codes: string[] | undefined;
  readonly message: string | undefined;
}

export interface Callers {
  /** Calls the API as a user, or without a token if `user` is undefined. */
  call(user: string | undefined, method: string, path: string, body?: unknown): Promise<Answered>;
  tokenOf(user: string): Promise<string>;
  /** The operations that have succeeded so far. */
  readonly succeeded: ReadonlySet<string>;
}

/** Users of an API. Its addresses are read only when needed, because the API may not have started yet. */
export function callersOf(served: () => Served): Callers {
  const tokens = new Map<string, Promise<string>>();
  const succeeded = new Set<string>();
  const tokenOf = (user: string): Promise<string> => {
    const token = tokens.get(user) ?? requestToken(served().issuer, user);
    tokens.set(user, token);
    return token;
  };
  return {
    tokenOf,
    succeeded,
    async call(user, method, path, body) {
      const response = await fetch(served().http + path, {
        method,
        headers: {
          ...(user !== undefined && { authorization: `Bearer ${await tokenOf(user)}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const { data, errors, message } = v.parse(answer, await response.json());
      const operation = operationOf(method, path);
      if (response.ok && operation !== undefined) succeeded.add(operation);
      return {
        status: response.status,
        headers: response.headers,
        data,
        codes: errors?.map(({ code }) => code),
        message,
      };
    },
  };
}

function operationOf(method: string, path: string): string | undefined {
  const [called = ''] = path.split('?');
  const fits = (template: string): boolean => new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(called);
  return allRoutes.find((route) => route.method === method && fits(route.path))?.operation;
}

const roomData = v.object({ room_id: v.string(), status: v.string() });

/** Creates a room as Alice, and returns its ID. */
export async function createRoom({ call }: Callers, participants: readonly string[] = []): Promise<string> {
  const created = await call(ALICE, 'POST', '/room', { name: 'Stand-up', participant_ids: participants });
  expect(created.status).toBe(201);
  return v.parse(roomData, created.data).room_id;
}

/** Two users in a room, from its creation to its end. Uses every route except those for files and single messages. */
export async function session(callers: Callers): Promise<void> {
  const { call } = callers;
  const room = await createRoom(callers);
  expect(await call(BOB, 'GET', `/participant/room/${room}`)).toMatchObject({
    status: 403,
    codes: ['not_a_participant'],
  });

  const added = await call(ALICE, 'POST', `/admin/room/${room}/participant`, { participant_ids: [BOB] });
  expect(added).toMatchObject({ status: 200, data: [{ participant_id: BOB, is_admin: false }] });

  const listed = await call(BOB, 'GET', '/participant/room?status=started');
  expect(listed).toMatchObject({ status: 200, data: [{ room_id: room, is_admin: false }] });
  expect(await call(BOB, 'GET', `/participant/room/${room}`)).toMatchObject({ status: 200, data: { room_id: room } });

  const profile = await call(BOB, 'PATCH', `/participant/room/${room}/userprofile`, { username: 'Bob 🦊' });
  expect(profile).toMatchObject({
    status: 200,
    data: { participant_id: BOB, username: 'Bob 🦊', archive_room: false },
  });

  const rename = { name: 'Stand-up, team Blue' };
  expect(await call(BOB, 'POST', `/admin/room/${room}`, rename)).toMatchObject({
    status: 403,
    codes: ['not_an_admin'],
  });
  const granted = await call(ALICE, 'POST', `/admin/room/${room}/participant/${BOB}/admin`);
  expect(granted).toMatchObject({ status: 200, data: { participant_id: BOB, is_admin: true } });
  expect(await call(BOB, 'POST', `/admin/room/${room}`, rename)).toMatchObject({ status: 200, data: rename });

  const revoked = await call(BOB, 'DELETE', `/admin/room/${room}/participant/${ALICE}/admin`);
  expect(revoked).toMatchObject({ status: 200, data: { is_admin: false } });
  const last = await call(BOB, 'DELETE', `/admin/room/${room}/participant/${BOB}/admin`);
  expect(last).toMatchObject({ status: 409, codes: ['last_admin'] });

  const participants = await call(ALICE, 'GET', `/participant/room/${room}/participant`);
  expect(participants).toMatchObject({
    status: 200,
    data: [
      { participant_id: BOB, username: 'Bob 🦊', is_admin: true },
      { participant_id: ALICE, username: null, is_admin: false },
    ],
  });
  const read_to = '01KJPWK0F03YV98J9N016TWRVK';
  expect(await call(ALICE, 'PUT', `/participant/room/${room}/read`, { message_id: read_to })).toMatchObject({
    status: 200,
    data: { participant_id: ALICE, read_to },
  });
  expect(await call(ALICE, 'GET', `/participant/room/${room}/chat`)).toMatchObject({ status: 200, data: [] });
  expect(await call(ALICE, 'GET', `/participant/room/${room}/chat/change`)).toMatchObject({ status: 200, data: [] });

  const observer = await call(BOB, 'PATCH', `/admin/room/${room}/participant/${ALICE}`, { role: 'observer' });
  expect(observer).toMatchObject({ status: 200, data: { participant_id: ALICE, role: 'observer' } });
  const uploading = `/participant/room/${room}/upload?size=1&content_type=text/plain`;
  expect(await call(ALICE, 'GET', uploading)).toMatchObject({ status: 403, codes: ['read_only'] });
  const left = await call(ALICE, 'DELETE', `/participant/room/${room}`);
  expect(left).toMatchObject({ status: 200, data: { participant_id: ALICE } });
  expect(await call(BOB, 'DELETE', `/participant/room/${room}`)).toMatchObject({ status: 409, codes: ['last_admin'] });
  const again = await call(BOB, 'POST', `/admin/room/${room}/participant`, { participant_ids: [ALICE] });
  expect(again).toMatchObject({ status: 200, data: [{ participant_id: ALICE, role: 'member' }] });

  const removed = await call(BOB, 'DELETE', `/admin/room/${room}/participant?participant_id=${ALICE}`);
  expect(removed).toMatchObject({ status: 200, data: [{ participant_id: ALICE }] });
  expect(await call(ALICE, 'GET', `/participant/room/${room}`)).toMatchObject({ status: 403 });

  const ended = await call(BOB, 'DELETE', `/admin/room/${room}`, { reason: 'Shift is over' });
  expect(ended).toMatchObject({ status: 200, data: { status: 'ended', end_reason: 'Shift is over' } });
  expect(await call(BOB, 'POST', `/admin/room/${room}`, rename)).toMatchObject({
    status: 409,
    codes: ['room_ended'],
  });
}

/** One user uploads a file, and another one downloads it. Requests without a valid signature are rejected. */
export async function transfer(callers: Callers): Promise<void> {
  const { call } = callers;
  const room = await createRoom(callers, [BOB]);
  const file = randomBytes(300_000);
  const name = 'Übersicht "Q3" 📈.png';
  const query = new URLSearchParams({ name, size: String(file.length), content_type: 'image/png' });
  const uploading = await call(ALICE, 'GET', `/participant/room/${room}/upload?${query}`);
  expect(uploading.status).toBe(200);
  const upload = v.parse(
    v.object({ file_id: v.string(), upload_url: v.string(), headers: v.record(v.string(), v.string()) }),
    uploading.data,
  );

  const put = (body: Buffer, headers = upload.headers) =>
    fetch(upload.upload_url, { method: 'PUT', headers, body: new Uint8Array(body) });
  expect((await put(file.subarray(1))).status, 'another length').toBe(403);
  expect((await put(file, { ...upload.headers, 'content-type': 'text/html' })).status, 'another type').toBe(403);
  expect((await put(file)).status).toBe(200);
  expect((await put(file)).status, 'a second time').toBe(412);

  const downloading = await call(BOB, 'GET', `/participant/room/${room}/download?file_id=${upload.file_id}`);
  expect(downloading).toMatchObject({ status: 200, data: { name, size: file.length, content_type: 'image/png' } });
  const { download_url } = v.parse(v.object({ download_url: v.string() }), downloading.data);
  const got = await fetch(download_url);
  expect(got.status).toBe(200);
  expect(got.headers.get('content-type')).toBe('image/png');
  expect(got.headers.get('content-disposition')).toContain(
    `filename*=UTF-8''%C3%9Cbersicht%20%22Q3%22%20%F0%9F%93%88.png`,
  );
  expect(Buffer.from(await got.arrayBuffer()).equals(file)).toBe(true);
  const signature = new URL(download_url);
  const signed = signature.searchParams.get('X-Amz-Signature') ?? '';
  signature.searchParams.set(
    'X-Amz-Signature',
    signed.replace(/^./, (first) => (first === '0' ? '1' : '0')),
  );
  expect((await fetch(signature)).status, 'forged').toBe(403);
}

/**
 * Signed tokens with unacceptable claims. Each entry has a description, the claims, and API Gateway's error message.
 */
export const UNACCEPTABLE_CLAIMS: readonly (readonly [
  what: string,
  claims: Record<string, unknown>,
  reason: string,
])[] = [
  ['expired', { exp: 1_700_000_000 }, 'the token has expired'],
  ['without an expiry', { exp: null }, 'the token does not have a valid exp'],
  ['not valid yet', { nbf: 4_000_000_000, exp: 4_000_003_600 }, 'the token is not valid yet'],
  ['issued in the future', { iat: 4_000_000_000, exp: 4_000_003_600 }, 'the token was issued in the future'],
  ['of another issuer', { iss: 'https://iams.example/realms/other' }, 'the token does not have a valid issuer'],
  ['for another audience', { aud: ['account'] }, 'the token does not have a valid audience'],
  ['for no audience', { aud: null }, 'the token does not have a valid audience'],
];

/** Tokens with valid claims that must be rejected for another reason, by that reason. */
export async function forgedTokens(issuer: string, good: string): Promise<Readonly<Record<string, string>>> {
  const [header = '', payload = '', signature = ''] = good.split('.');
  const { kid } = v.parse(v.object({ kid: v.string() }), JSON.parse(Buffer.from(header, 'base64url').toString()));
  const claims: JWTPayload = decodeJwt(good);
  const { privateKey } = await generateKeyPair('RS256');
  const jwks = v.parse(
    v.object({ keys: v.array(v.looseObject({ n: v.string() })) }),
    await (await fetch(`${issuer}/jwks`)).json(),
  );
  const sign = (alg: string, key: Parameters<SignJWT['sign']>[0], id = kid) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid: id, typ: 'JWT' }).sign(key);
  const none = `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT', kid })).toString('base64url')}.${payload}.`;
  const otherClaims = Buffer.from(JSON.stringify({ ...claims, sub: BOB })).toString('base64url');
  return {
    'another key under the same id': await sign('RS256', privateKey),
    'an unknown key': await sign('RS256', privateKey, 'unknown'),
    'the public key as a secret': await sign('HS256', Buffer.from(jwks.keys[0]?.n ?? '', 'base64url')),
    'alg none': none,
    'alg none, with a signature': none + signature,
    'changed claims': `${header}.${otherClaims}.${signature}`,
    'no signature': `${header}.${payload}.`,
    'a part missing': `${header}.${payload}`,
    nonsense: 'nonsense',
    nothing: '',
  };
}
