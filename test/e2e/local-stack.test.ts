import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { DeleteScheduleCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { decodeJwt } from 'jose';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RoomsClient } from '../../client/src/index.ts';
import { REGION } from '../../local/cloudformation/template.ts';
import { listen } from '../../local/listen.ts';
import { requestToken } from '../../local/oidc/oidc-issuer.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';
import {
  ALICE,
  BOB,
  callersOf,
  createRoom,
  forgedTokens,
  session,
  transfer,
  UNACCEPTABLE_CLAIMS,
} from '../support/scenario.ts';
import {
  npm,
  npmStart,
  npmWith,
  processTree,
  ROOT,
  type RunningStack,
  restartablePort,
  stillRunning,
} from './npm-start.ts';

const START_MS = 120_000;

let stack: RunningStack;
beforeAll(async () => {
  stack = await npmStart();
}, START_MS);
afterAll(async () => {
  await stack?.close();
}, START_MS);

const callers = callersOf(() => stack);
const { call, tokenOf } = callers;

describe('npm run reschedule', () => {
  test('creates the missing schedules of a room', async () => {
    const reschedule = async (...args: string[]) => {
      const options = ['--env', 'local', '--state-dir', stack.stateDirectory, ...args];
      const { code, stdout, stderr } = await npm('run', '-s', 'reschedule', '--', ...options).ended;
      expect(code, stderr).toBe(0);
      return stdout;
    };
    const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
    const body = { name: 'Later', start_time: inHours(1), end_time: inHours(2) };
    const { data } = await call(ALICE, 'POST', '/room', body);
    const { room_id } = v.parse(v.object({ room_id: v.string() }), data);
    await expect
      .poll(() => reschedule(), { timeout: 60_000, interval: 1_000 })
      .toMatch(/schedules: 3 right, 0 missing/);

    const scheduler = new SchedulerClient({ endpoint: stack.aws ?? '', region: REGION, credentials: CREDENTIALS });
    for (const moment of ['start', 'end'])
      await scheduler.send(
        new DeleteScheduleCommand({ GroupName: 'rooms-local-schedules', Name: `${room_id}-${moment}` }),
      );
    expect(await reschedule()).toMatch(/1 right, 2 missing.*\nNothing was written: add --apply\./);
    expect(await reschedule('--apply')).toMatch(/1 right, 2 created/);
    expect(await reschedule()).toMatch(/3 right, 0 missing/);
  });
});

describe('npm run verify', () => {
  test('passes on the local stack', async () => {
    const report = v.object({
      results: v.array(v.object({ name: v.string(), outcome: v.string(), detail: v.string() })),
      rooms: v.object({ created: v.number(), ended: v.number() }),
    });
    const only = 'cors-*,websocket-*,sub-protocol-echo,frame-*,message-*,upload-once';
    const options = ['--env', 'local', '--state-dir', stack.stateDirectory, '--json', '--only', only];
    const { code, stdout, stderr } = await npm('run', '-s', 'verify', '--', ...options).ended;
    expect(stderr).toBe('');
    const { results, rooms } = v.parse(v.pipe(v.string(), v.parseJson(), report), stdout);
    expect(Object.fromEntries(results.map(({ name, outcome }) => [name, outcome]))).toEqual({
      'cors-401': 'passed',
      'cors-429': 'passed',
      'websocket-authorizer': 'passed',
      'websocket-401': 'passed',
      'sub-protocol-echo': 'passed',
      'frame-32-kb': 'passed',
      'frame-over-32-kb': 'not_shown',
      'message-128-kb': 'passed',
      'message-over-128-kb': 'passed',
      'upload-once': 'passed',
    });
    expect(code).toBe(0);
    expect(rooms).toEqual({ created: 1, ended: 1 });
  });
});

describe('npm start', () => {
  test('prints the addresses of the stack', async () => {
    expect(stack.http).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const discovery = await fetch(`${stack.issuer}/.well-known/openid-configuration`);
    expect(await discovery.json()).toMatchObject({ issuer: stack.issuer, jwks_uri: `${stack.issuer}/jwks` });
    expect(processTree(stack.command.pid)).toContain(stack.pid);
  });

  test('gets a token for a user with npm run token, and prints nothing else on standard output', async () => {
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

  test('rejects an invalid user id', async () => {
    const { code, stdout, stderr } = await npm('run', '-s', 'token', '--', 'a b').ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('"a b" is not a user id');
  });

  test('reports that no stack is running', async () => {
    const { code, stderr } = await npm('run', '-s', 'token', '--', ALICE, '--state-dir', '/nowhere').ended;
    expect(code).toBe(1);
    expect(stderr).toContain('No local stack is running');
  });

  test.each([['start'], ['token']])('prints its usage: npm run %s -- --help', async (script) => {
    const { code, stdout, stderr } = await npm('run', '-s', script, '--', '--help').ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^Usage: npm /);
  });

  test.each([
    [['--bogus'], "Unknown option '--bogus'"],
    [['--port', 'eighty'], '--port must be a number'],
    [['--port', '65531'], '--port must be a number'],
    [['--port', '-1'], "Option '--port' argument is ambiguous; "],
    [['extra'], 'Unexpected argument'],
    [['--issuer', 'keycloak:8180'], '--issuer must be an http or https URL'],
    [['--audience', 'rooms'], '--audience and --client-id need --issuer'],
  ])('rejects the options %j with one sentence', async (options, sentence) => {
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

  test('reports that the requested port is in use', async () => {
    const { port, close } = await listen(() => {}, 0);
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

  test('reports that Java is missing', async () => {
    const { code, stderr } = await npmWith(
      { variables: { JAVA_HOME: '/nowhere' } },
      ...['run', '-s', 'start', '--', '--port', '0', '--state-dir', `${stack.stateDirectory}/no-java`],
    ).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('There is no Java in JAVA_HOME, /nowhere. DynamoDB Local needs Java');
  });
});

describe('the documents', () => {
  /** Returns the code blocks of a document, from the first command with a token to the last response. */
  const sessionOf = (document: string) => {
    const text = readFileSync(new URL(`../../${document}`, import.meta.url), 'utf8');
    const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({
      language,
      code,
    }));
    const first = blocks.findIndex(({ code }) => code.startsWith('TOKEN='));
    return blocks.slice(first, blocks.findLastIndex(({ language }) => language === 'json') + 1);
  };

  /** Replaces the values of an object by their types. */
  const shapeOf = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shapeOf)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]))
        : typeof value;

  test.each([
    ['README.md', 1],
    ['docs/guides/call-the-api.md', 3],
  ])('%s shows the responses to its commands', async (document, count) => {
    const session = sessionOf(document);
    // Only the ports and the state directory differ from the document.
    const script = session
      .filter(({ language }) => language === 'sh')
      .map(({ code }) => `${code.trim()}\necho; echo ====`)
      .join('\n')
      .replaceAll('http://127.0.0.1:4000', stack.http)
      .replaceAll(/npm run -s token -- (\w+)/g, `npm run -s token -- $1 --state-dir ${stack.stateDirectory}`);
    // Node gives bash a socket as standard input. Without --norc, bash would then read the user's startup files.
    const { stdout, stderr } = await promisify(execFile)('bash', ['--norc', '-eu', '-o', 'pipefail', '-c', script], {
      cwd: ROOT,
    });
    expect(stderr).toBe('');
    const answers = stdout.split('====').slice(0, -1);
    const documented = session.filter(({ language }) => language === 'json');
    expect(answers).toHaveLength(count);
    expect(documented).toHaveLength(count);
    for (const [n, answer] of answers.entries())
      expect(shapeOf(JSON.parse(answer))).toEqual(shapeOf(JSON.parse(documented[n]?.code ?? '')));
  });
});

describe('a session of two users', () => {
  test('goes from creating a room to its end', async () => {
    await session(callers);
  });

  test('uploads a file and downloads the same bytes', async () => {
    await transfer(callers);
  });

  test('uploads a browser recording with the client', async () => {
    const client = new RoomsClient({ url: stack.http, token: () => tokenOf(ALICE) });
    const { room_id } = await client.createRoom({ name: 'Recordings' });
    for (const type of ['video/webm;codecs=vp9,opus', 'video/webm;codecs="vp8, opus"', 'text/plain; charset=utf-8']) {
      const { file_id, content_type } = await client.uploadFile(room_id, new File(['recorded'], 'a', { type }));
      expect(content_type).toBe(type);
      const { blob } = await client.downloadFile(room_id, { file_id });
      expect([blob.type, await blob.text()]).toEqual([type, 'recorded']);
    }
  });

  test('allows uploads from browsers: the bucket has the CORS rules of the template', async () => {
    const room = await createRoom(callers);
    const { data } = await call(ALICE, 'GET', `/participant/room/${room}/upload?size=3&content_type=text/plain`);
    const { upload_url } = v.parse(v.object({ upload_url: v.string() }), data);
    const preflight = await fetch(upload_url, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:5173',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'content-type,if-none-match',
      },
    });
    expect(preflight.status).toBe(200);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-headers')).toBe('content-type, if-none-match');
  });
});

describe('the gateway', () => {
  const withToken = (token: string | undefined) =>
    fetch(`${stack.http}/participant/room`, { headers: token === undefined ? {} : { authorization: token } });

  test.each(UNACCEPTABLE_CLAIMS)('rejects a token that is %s', async (_what, claims, reason) => {
    const response = await withToken(`Bearer ${await requestToken(stack.issuer, ALICE, claims)}`);
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ message: 'Unauthorized' });
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer scope="" error="invalid_token" error_description="${reason}"`,
    );
  });

  test('rejects a token that is signed with another key, with no key, or not at all', async () => {
    const good = await tokenOf(ALICE);
    const bad = await forgedTokens(stack.issuer, good);
    const statuses = Object.entries(bad).map(
      async ([what, token]) => [what, (await withToken(`Bearer ${token}`)).status] as const,
    );
    expect(Object.fromEntries(await Promise.all(statuses))).toEqual(
      Object.fromEntries(Object.keys(bad).map((what) => [what, 401])),
    );
    // The valid token is accepted, also without "Bearer". So only the signatures cause the rejections.
    expect((await withToken(good)).status).toBe(200);
  });

  test('requires a token', async () => {
    const response = await withToken(undefined);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('forwards a token without a usable sub to the function, which rejects it', async () => {
    for (const sub of [null, '', 'ROOM#1']) {
      const response = await withToken(`Bearer ${await requestToken(stack.issuer, ALICE, { sub })}`);
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ errors: [{ code: 'invalid_token' }] });
    }
  });

  test.each([
    ['GET', '/nothing'],
    ['GET', '/room'],
    ['POST', '/room/'],
    ['POST', '/admin/room/'],
    ['PUT', '/admin/room/0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01'],
    ['GET', '/participant/room/a%2Fb'],
    ['OPTIONS', '/room'],
  ])('has no route %s %s', async (method, path) => {
    const response = await call(ALICE, method, path);
    expect(response).toMatchObject({ status: 404, message: 'Not Found' });
  });

  test('responds with 400 to a path that cannot be decoded', async () => {
    expect(await call(ALICE, 'GET', '/participant/room/%zz')).toMatchObject({ status: 400, message: 'Bad Request' });
  });

  test('rejects a body above 10 MB, and forwards a smaller one', async () => {
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

  test('accepts a form, which API Gateway forwards in base64', async () => {
    const response = await fetch(`${stack.http}/room`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await tokenOf(ALICE)}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: '{"name":"curl -d without a content type"}',
    });
    expect(response.status).toBe(201);
  });

  test('responds to preflights, and allows the configured origins to read responses', async () => {
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

  test('serves the OpenAPI document and the API reference', async () => {
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

  test('handles many requests at once', async () => {
    const rooms = await Promise.all(Array.from({ length: 40 }, () => createRoom(callers)));
    expect(new Set(rooms).size).toBe(40);
  });
});

describe('the local issuer', () => {
  test('issues a token to a browser', async () => {
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

  test('reports missing parameters', async () => {
    const ask = (form: Record<string, string>) =>
      fetch(`${stack.issuer}/token`, { method: 'POST', body: new URLSearchParams(form) });
    expect((await ask({ grant_type: 'password' })).status).toBe(400);
    expect((await ask({ grant_type: 'password', username: ALICE, claims: '[' })).status).toBe(400);
  });
});

describe('a stop', () => {
  test.each<[string, NodeJS.Signals, (other: RunningStack) => number]>([
    ['SIGTERM to npm', 'SIGTERM', ({ command }) => command.pid],
    ['SIGTERM to node', 'SIGTERM', ({ pid }) => pid],
    // A terminal sends the signal to the whole process group.
    ['Ctrl-C', 'SIGINT', ({ command }) => -command.pid],
  ])('%s leaves no process and no endpoints', { timeout: START_MS }, async (_what, signal, target) => {
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

  test('SIGKILL leaves no process, and a restart has the same data, addresses and keys', {
    timeout: 2 * START_MS,
  }, async () => {
    const data = `${stack.stateDirectory}/data`;
    const first = await npmStart({ port: restartablePort(), args: ['--data', data] });
    const { stateDirectory } = stack;
    let second: RunningStack | undefined;
    try {
      const tree = processTree(first.pid);
      const authorization = `Bearer ${await requestToken(first.issuer, ALICE)}`;
      const create = await fetch(`${first.http}/room`, {
        method: 'POST',
        headers: { authorization },
        body: JSON.stringify({ name: 'Kept' }),
      });
      expect(create.status).toBe(201);
      process.kill(first.pid, 'SIGKILL');
      await first.command.ended;

      // Restarts at once, as a user would after a crash, and shares the state directory with a running stack.
      second = await npmStart({ args: ['--data', data], port: null, stateDirectory });
      expect(stillRunning(tree)).toEqual([]);
      expect([second.http, second.ws, second.issuer]).toEqual([first.http, first.ws, first.issuer]);
      const list = await fetch(`${second.http}/participant/room`, { headers: { authorization } });
      expect(await list.json()).toMatchObject({ data: [{ name: 'Kept' }] });

      const third = await npm('run', '-s', 'start', '--', '--data', data, '--port', '0', '--state-dir', stateDirectory)
        .ended;
      expect(third).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`Another local stack (process ${second.pid}) keeps its data in ${data}`),
      });

      const token = (...args: string[]) =>
        npm('run', '-s', 'token', '--', ALICE, '--state-dir', stateDirectory, ...args).ended;
      const guess = await token();
      expect(guess).toMatchObject({ code: 2, stderr: expect.stringContaining('Several local stacks are running') });
      for (const each of [stack, second]) {
        const { stdout } = await token('--port', new URL(each.http).port);
        expect(decodeJwt(stdout.trim()).iss).toBe(each.issuer);
      }
      await second.close();
      expect(decodeJwt((await token()).stdout.trim()).iss).toBe(stack.issuer);
    } finally {
      await second?.close();
      await first.close();
    }
  });
});
