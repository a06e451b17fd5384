import { randomBytes } from 'node:crypto';
import { decodeJwt, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestToken } from '../../local/iams.ts';
import { listen } from '../../local/listen.ts';
import { npm, npmStart, npmWith, processTree, type RunningStack, stillRunning } from './npm-start.ts';

const START_MS = 120_000;
const ALICE = 'alice';
const BOB = '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f';

let stack: RunningStack;
beforeAll(async () => {
  stack = await npmStart();
}, START_MS);
afterAll(async () => {
  await stack?.close();
}, START_MS);

const answer = v.object({
  data: v.optional(v.unknown()),
  errors: v.optional(v.array(v.object({ code: v.string(), path: v.optional(v.string()) }))),
  message: v.optional(v.string()),
});

/** Calls the API as a user; without one, without a token. */
async function call(user: string | undefined, method: string, path: string, body?: unknown) {
  const response = await fetch(stack.http + path, {
    method,
    headers: {
      ...(user !== undefined && { authorization: `Bearer ${await tokenOf(user)}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const { data, errors, message } = v.parse(answer, await response.json());
  return { status: response.status, headers: response.headers, data, codes: errors?.map(({ code }) => code), message };
}

const tokens = new Map<string, Promise<string>>();
function tokenOf(user: string): Promise<string> {
  const token = tokens.get(user) ?? requestToken(stack.issuer, user);
  tokens.set(user, token);
  return token;
}

const roomData = v.object({ room_id: v.string(), status: v.string() });
async function createRoom(participants: string[] = []): Promise<string> {
  const created = await call(ALICE, 'POST', '/room', { name: 'Stand-up', participant_ids: participants });
  expect(created.status).toBe(201);
  return v.parse(roomData, created.data).room_id;
}

describe('npm start', () => {
  it('says where the stack is', async () => {
    expect(stack.http).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const discovery = await fetch(`${stack.issuer}/.well-known/openid-configuration`);
    expect(await discovery.json()).toMatchObject({ issuer: stack.issuer, jwks_uri: `${stack.issuer}/jwks` });
    expect(processTree(stack.command.pid)).toContain(stack.pid);
  });

  it('gets a token for a user by npm run token, and nothing else on standard output', async () => {
    const { code, stdout, stderr } = await npm('run', '-s', 'token', '--', BOB, '--state-dir', stack.stateDirectory)
      .ended;
    expect(code, stderr).toBe(0);
    const token = stdout.trimEnd();
    expect(stdout).toBe(`${token}\n`);
    const claims = decodeJwt(token);
    expect(claims).toMatchObject({
      sub: BOB,
      iss: stack.issuer,
      typ: 'Bearer',
      azp: 'rooms-web',
      preferred_username: BOB,
    });
    expect(claims.aud).toContain('rooms');
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(3_600);
    const rooms = await fetch(`${stack.http}/participant/room`, { headers: { authorization: `Bearer ${token}` } });
    expect(rooms.status).toBe(200);
  });

  it('refuses what is no user id', async () => {
    const { code, stdout, stderr } = await npm('run', '-s', 'token', '--', 'a b').ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('"a b" is no user id');
  });

  it('says that no stack is running where none is', async () => {
    const { code, stderr } = await npm('run', '-s', 'token', '--', ALICE, '--state-dir', '/nowhere').ended;
    expect(code).toBe(1);
    expect(stderr).toContain('No local stack is running');
  });

  it.each([['start'], ['token']])('explains itself: npm run %s -- --help', async (script) => {
    const { code, stdout, stderr } = await npm('run', '-s', script, '--', '--help').ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^Usage: npm /);
  });

  it.each([
    [['--bogus'], "Unknown option '--bogus'"],
    [['--port', 'eighty'], '--port must be a number'],
    [['--port', '65536'], '--port must be a number'],
    [['extra'], 'Unexpected argument'],
  ])('refuses the options %j in one sentence', async (options, sentence) => {
    const { code, stderr } = await npm('run', '-s', 'start', '--', ...options).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(sentence);
    expect(
      stderr
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('npm ')),
    ).toHaveLength(1);
  });

  it('says so where the port it was told to take is taken', async () => {
    const { port, close } = await listen(() => {}, { exactly: 0 });
    const { code, stderr } = await npm(
      'run',
      '-s',
      'start',
      '--',
      '--port',
      String(port),
      '--state-dir',
      `${stack.stateDirectory}/taken`,
    ).ended;
    await close();
    expect(code).toBe(1);
    expect(stderr).toContain(`Port ${port} is taken by another program`);
  });

  it('says so where there is no Java', async () => {
    const { code, stderr } = await npmWith(
      { variables: { JAVA_HOME: '/nowhere' } },
      ...['run', '-s', 'start', '--', '--port', '0', '--state-dir', `${stack.stateDirectory}/no-java`],
    ).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('There is no Java in JAVA_HOME, /nowhere. DynamoDB Local needs Java');
  });
});

describe('a session of two users', () => {
  it('goes from creating a room to its end', async () => {
    const room = await createRoom();
    expect(await call(BOB, 'GET', `/participant/room/${room}`)).toMatchObject({
      status: 403,
      codes: ['not_a_participant'],
    });

    const added = await call(ALICE, 'POST', `/admin/room/${room}/participant`, { participant_ids: [BOB] });
    expect(added).toMatchObject({ status: 200, data: [{ participant_id: BOB, is_admin: false }] });

    const listed = await call(BOB, 'GET', '/participant/room?status=started');
    expect(listed).toMatchObject({ status: 200, data: [{ room_id: room, is_admin: false }] });

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
    expect(await call(ALICE, 'GET', `/participant/room/${room}/chat`)).toMatchObject({ status: 200, data: [] });

    const removed = await call(BOB, 'DELETE', `/admin/room/${room}/participant?participant_id=${ALICE}`);
    expect(removed).toMatchObject({ status: 200, data: [{ participant_id: ALICE }] });
    expect(await call(ALICE, 'GET', `/participant/room/${room}`)).toMatchObject({ status: 403 });

    const ended = await call(BOB, 'DELETE', `/admin/room/${room}`, { reason: 'Shift is over' });
    expect(ended).toMatchObject({ status: 200, data: { status: 'ended', end_reason: 'Shift is over' } });
    expect(await call(BOB, 'POST', `/admin/room/${room}`, rename)).toMatchObject({
      status: 409,
      codes: ['room_ended'],
    });
  });

  it('uploads a file and downloads the same, byte for byte', async () => {
    const room = await createRoom([BOB]);
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
    expect((await put(file, { 'content-type': 'text/html' })).status, 'another type').toBe(403);
    expect((await put(file)).status).toBe(200);

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
    expect((await fetch(download_url.replace(/.$/, (last) => (last === '0' ? '1' : '0')))).status, 'forged').toBe(403);
  });

  it('lets a browser upload: the bucket answers preflights as the template says', async () => {
    const room = await createRoom();
    const { data } = await call(ALICE, 'GET', `/participant/room/${room}/upload?size=3&content_type=text/plain`);
    const { upload_url } = v.parse(v.object({ upload_url: v.string() }), data);
    const preflight = await fetch(upload_url, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:5173',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'content-type',
      },
    });
    expect(preflight.status).toBe(200);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-headers')).toBe('content-type');
  });
});

describe('the gateway', () => {
  const withToken = (token: string | undefined) =>
    fetch(`${stack.http}/participant/room`, { headers: token === undefined ? {} : { authorization: token } });

  it.each<[string, Record<string, unknown>, string]>([
    ['expired', { exp: 1_700_000_000 }, 'the token has expired'],
    ['without an expiry', { exp: null }, 'the token does not have a valid exp'],
    ['not valid yet', { nbf: 4_000_000_000, exp: 4_000_003_600 }, 'the token is not valid yet'],
    ['issued in the future', { iat: 4_000_000_000, exp: 4_000_003_600 }, 'the token was issued in the future'],
    ['of another issuer', { iss: 'https://iams.example/realms/other' }, 'the token does not have a valid issuer'],
    ['for another audience', { aud: ['account'] }, 'the token does not have a valid audience'],
    ['for no audience', { aud: null }, 'the token does not have a valid audience'],
  ])('refuses a token that is %s', async (_what, claims, reason) => {
    const response = await withToken(`Bearer ${await requestToken(stack.issuer, ALICE, claims)}`);
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ message: 'Unauthorized' });
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer scope="" error="invalid_token" error_description="${reason}"`,
    );
  });

  it('refuses a token that is signed with another key, with no key, or not at all', async () => {
    const good = await tokenOf(ALICE);
    const [header = '', payload = '', signature = ''] = good.split('.');
    const { kid } = v.parse(v.object({ kid: v.string() }), JSON.parse(Buffer.from(header, 'base64url').toString()));
    const claims: JWTPayload = decodeJwt(good);
    const { privateKey } = await generateKeyPair('RS256');
    const jwks = v.parse(
      v.object({ keys: v.array(v.looseObject({ n: v.string() })) }),
      await (await fetch(`${stack.issuer}/jwks`)).json(),
    );
    const sign = (alg: string, key: Parameters<SignJWT['sign']>[0], id = kid) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid: id, typ: 'JWT' }).sign(key);
    const none = `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT', kid })).toString('base64url')}.${payload}.`;
    const otherClaims = Buffer.from(JSON.stringify({ ...claims, sub: BOB })).toString('base64url');
    const bad = {
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
    const statuses = Object.entries(bad).map(
      async ([what, token]) => [what, (await withToken(`Bearer ${token}`)).status] as const,
    );
    expect(Object.fromEntries(await Promise.all(statuses))).toEqual(
      Object.fromEntries(Object.keys(bad).map((what) => [what, 401])),
    );
    // They fail for what is wrong with them: the claims themselves, and a token without "Bearer", are good.
    expect((await withToken(good)).status).toBe(200);
  });

  it('asks for a token where there is none', async () => {
    const response = await withToken(undefined);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('lets a token without a usable sub through to the function, which refuses it', async () => {
    for (const sub of [null, '', 'ROOM#1']) {
      const response = await withToken(`Bearer ${await requestToken(stack.issuer, ALICE, { sub })}`);
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ errors: [{ code: 'invalid_token' }] });
    }
  });

  it.each([
    ['GET', '/'],
    ['GET', '/room'],
    ['POST', '/room/'],
    ['POST', '/admin/room/'],
    ['PUT', '/admin/room/0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01'],
    ['GET', '/participant/room/a%2Fb'],
    ['OPTIONS', '/room'],
  ])('knows no route %s %s', async (method, path) => {
    const response = await call(ALICE, method, path);
    expect(response).toMatchObject({ status: 404, message: 'Not Found' });
  });

  it('answers 400 for a path that cannot be decoded', async () => {
    expect(await call(ALICE, 'GET', '/participant/room/%zz')).toMatchObject({ status: 400, message: 'Bad Request' });
  });

  it('refuses a body above 10 MB, and passes on a smaller one', async () => {
    const send = async (bytes: number) =>
      fetch(`${stack.http}/room`, {
        method: 'POST',
        headers: { authorization: `Bearer ${await tokenOf(ALICE)}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'x'.repeat(bytes) }),
      });
    const tooLarge = await send(10 * 1024 * 1024);
    expect(tooLarge.status).toBe(413);
    expect(await tooLarge.json()).toEqual({ message: 'Request Entity Too Large' });
    const large = await send(100_000);
    expect(large.status).toBe(413);
    expect(await large.json()).toMatchObject({ errors: [{ code: 'payload_too_large' }] });
  });

  it('reads a body that comes as a form, which API Gateway hands over in base64', async () => {
    const response = await fetch(`${stack.http}/room`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await tokenOf(ALICE)}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: '{"name":"curl -d without a content type"}',
    });
    expect(response.status).toBe(201);
  });

  it('answers preflights, and tells browsers who may read its answers', async () => {
    const preflight = await fetch(`${stack.http}/room`, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:5173',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-methods')?.split(',')).toEqual(
      expect.arrayContaining(['GET', 'POST', 'PATCH', 'DELETE']),
    );
    expect(preflight.headers.get('access-control-allow-headers')?.split(',')).toEqual(
      expect.arrayContaining(['authorization', 'content-type', 'idempotency-key']),
    );
    const refused = await fetch(`${stack.http}/room`, { method: 'POST', headers: { origin: 'http://localhost:5173' } });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('access-control-allow-origin')).toBe('*');
  });

  it('serves the OpenAPI document and the API reference', async () => {
    const document = await fetch(`${stack.http}/openapi.json`, { headers: { origin: 'http://localhost:5173' } });
    expect(document.status).toBe(200);
    expect(document.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    expect(await document.json()).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./) });
    const page = await fetch(`${stack.http}/docs`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toContain('text/html');
    const foreign = await fetch(`${stack.http}/openapi.json`, { headers: { origin: 'https://localhost.example' } });
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('takes many requests at once', async () => {
    const rooms = await Promise.all(Array.from({ length: 40 }, () => createRoom()));
    expect(new Set(rooms).size).toBe(40);
  });
});

describe('the local IAMS', () => {
  it('gives a browser a token', async () => {
    const response = await fetch(`${stack.issuer}/token`, {
      method: 'POST',
      headers: { origin: 'http://localhost:5173' },
      body: new URLSearchParams({ grant_type: 'password', client_id: 'spa', username: ALICE, password: '-' }),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const { access_token } = v.parse(v.object({ access_token: v.string() }), await response.json());
    expect(decodeJwt(access_token)).toMatchObject({ sub: ALICE, azp: 'spa' });
  });

  it('says what is missing', async () => {
    const ask = (form: Record<string, string>) =>
      fetch(`${stack.issuer}/token`, { method: 'POST', body: new URLSearchParams(form) });
    expect((await ask({ grant_type: 'password' })).status).toBe(400);
    expect((await ask({ grant_type: 'password', username: ALICE, claims: '[' })).status).toBe(400);
  });
});

describe('the end', () => {
  it.each<[string, NodeJS.Signals, (other: RunningStack) => number]>([
    ['SIGTERM to npm', 'SIGTERM', ({ command }) => command.pid],
    ['SIGTERM to node', 'SIGTERM', ({ pid }) => pid],
    // To the whole process group, as a terminal sends it.
    ['Ctrl-C', 'SIGINT', ({ command }) => -command.pid],
  ])('%s leaves no process and no endpoints behind', { timeout: START_MS }, async (_what, signal, target) => {
    const other = await npmStart({ detached: true });
    try {
      const tree = processTree(other.command.pid);
      expect(stillRunning(tree).join('\n')).toContain('DynamoDBLocal.jar');
      process.kill(target(other), signal);
      const { code, stderr } = await other.command.ended;
      if (target(other) === other.pid) expect(code).toBe(0);
      expect(stderr).not.toContain('DynamoDB Local ended');
      await expect.poll(() => stillRunning(tree), { timeout: 20_000 }).toEqual([]);
      const { code: token } = await npm('run', '-s', 'token', '--', ALICE, '--state-dir', other.stateDirectory).ended;
      expect(token).toBe(1);
    } finally {
      await other.close();
    }
  });

  it('keeps rooms and files with --data', { timeout: START_MS }, async () => {
    const data = `${stack.stateDirectory}/data`;
    const first = await npmStart({ args: ['--data', data] });
    const create = await fetch(`${first.http}/room`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await requestToken(first.issuer, ALICE)}` },
      body: JSON.stringify({ name: 'Kept' }),
    });
    expect(create.status).toBe(201);
    await first.close();
    const second = await npmStart({ args: ['--data', data] });
    const list = await fetch(`${second.http}/participant/room`, {
      headers: { authorization: `Bearer ${await requestToken(second.issuer, ALICE)}` },
    });
    expect(await list.json()).toMatchObject({ data: [{ name: 'Kept' }] });
    await second.close();
  });
});
