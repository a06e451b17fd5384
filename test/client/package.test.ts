import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_STATUS } from '../../client/src/contract.ts';
import { settingsOf } from '../../client/src/options.ts';
import { browserBundle, bundleOf, CLIENT } from './bundle.ts';
import { startWireServer, unsignedToken } from './wire-server.ts';

const run = promisify(execFile);
const ROOT = resolve(CLIENT, '..');
const TSC = resolve(ROOT, 'node_modules/typescript/bin/tsc');

/**
 * Maximum size of the client without its optional parts, minified and compressed. It has grown with these features:
 * - from 9.5 KB to 13.3 KB: exact catch-up (message-log.ts), time limits, pending messages, subscriptions, the reconnect policy;
 * - by 2.3 KB for `rooms.v2`: sequence numbers (sequence.ts), reads after a gap (follow.ts, room-feeds.ts), adaptive pings (ping-schedule.ts);
 * - by 2.4 KB for contract 1.2: edits and deletions (change-log.ts), typing (typing.ts), several files (sender.ts), read marks, six calls;
 * - by 0.8 KB for the state machine of a room (room-machine.ts), and the division of the room into parts.
 */
const MAX_GZIP_BYTES = 19_000;
/** Maximum size with live lists and the send queue. Bundlers omit both if they are not imported. */
const MAX_WHOLE_GZIP_BYTES = 21_200;

const packageFile = v.object({
  exports: v.looseObject({ '.': v.object({ types: v.string(), default: v.string() }) }),
  dependencies: v.optional(v.record(v.string(), v.string()), {}),
  peerDependencies: v.optional(v.record(v.string(), v.string()), {}),
  peerDependenciesMeta: v.optional(v.unknown()),
});

let directory: string;
// Creates a project in which the package is installed as npm would.
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rooms-client-'));
  const installed = join(directory, 'node_modules/@rooms/client');
  await mkdir(installed, { recursive: true });
  await run(process.execPath, [TSC, '-p', CLIENT, '--outDir', join(installed, 'dist')]);
  await writeFile(join(installed, 'package.json'), await readFile(join(CLIENT, 'package.json')));
  await mkdir(join(directory, 'node_modules/@types'));
  for (const types of ['@types/node', 'undici-types', '@types/react', 'csstype'])
    await symlink(resolve(ROOT, 'node_modules', types), join(directory, 'node_modules', types));
  await writeFile(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('contract.ts matches the contract (otherwise run "npm run client:generate")', async () => {
  const { stdout } = await run(process.execPath, [resolve(ROOT, 'tools/generate/commands/client.ts'), '--check']);
  expect(stdout).toBe('Up to date.\n');
});

test('reports a stale contract.ts and how to renew it', async () => {
  const stale = join(directory, 'contract.ts');
  await writeFile(stale, 'export const OPERATIONS = {};\n');
  await expect(
    run(process.execPath, [resolve(ROOT, 'tools/generate/commands/client.ts'), '--check', stale]),
  ).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Run "npm run client:generate" and commit the output.'),
  });
});

test('has no dependencies, but for React where the hooks are used', async () => {
  const { dependencies, peerDependencies, peerDependenciesMeta } = v.parse(
    packageFile,
    JSON.parse(await readFile(join(CLIENT, 'package.json'), 'utf8')),
  );
  expect(dependencies).toEqual({});
  expect(Object.keys(peerDependencies)).toEqual(['react']);
  expect(peerDependenciesMeta).toEqual({ react: { optional: true } });
});

const gzipped = (bundle: Uint8Array): number => gzipSync(bundle, { level: 9 }).length;

test(`the client is at most ${MAX_GZIP_BYTES} bytes, and ${MAX_WHOLE_GZIP_BYTES} with all optional parts`, async () => {
  expect(gzipped(await bundleOf('RoomsClient', 'RoomsApiError'))).toBeLessThanOrEqual(MAX_GZIP_BYTES);
  expect(gzipped(await browserBundle())).toBeLessThanOrEqual(MAX_WHOLE_GZIP_BYTES);
});

const CONSUMER = `
import { type Message, RoomsApiError, RoomsClient } from '@rooms/client';
const rooms = new RoomsClient({ url: 'http://127.0.0.1:9', token: async () => 'x', retries: 0, fetch, WebSocket });
export async function talk(id: string): Promise<Message> {
  const room = await rooms.join(id, { history: 50 });
  room.on('message', ({ text, attachment }) => console.log(text?.length, attachment?.name));
  room.on('peer_joined', ({ participant_id, username }, { sent_at }) => console.log(participant_id, username, sent_at));
  room.on('closed', ({ reason }) => console.log(reason));
  // @ts-expect-error there is no such event
  room.on('massage', () => {});
  // @ts-expect-error no text is no number
  return room.send({ text: 5 }).catch(() => room.send({ text: 'five', attachment: new Blob(['5']) }));
}
// @ts-expect-error ending is another call
() => rooms.updateRoom('x', { reason: 'y' });
try {
  await rooms.createRoom({ name: 'x' });
} catch (error) {
  console.log(error instanceof RoomsApiError && error.code);
}
`;

/** Compiles files of the project, and throws if there are errors. */
async function compile(files: Readonly<Record<string, string>>, compilerOptions: object): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  const config = join(directory, 'tsconfig.json');
  const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true };
  const modules = { module: 'nodenext', target: 'es2022' };
  await writeFile(
    config,
    JSON.stringify({ compilerOptions: { ...strict, ...modules, ...compilerOptions }, files: Object.keys(files) }),
  );
  await run(process.execPath, [TSC, '-p', config], { cwd: directory }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
}

test.each([
  ['a browser', { lib: ['es2022', 'dom'], types: [] }],
  ['Node', { lib: ['es2022'], types: ['node'] }],
])('has types that compile in a strict project for %s', (_, compilerOptions) =>
  compile({ 'consumer.ts': CONSUMER }, compilerOptions),
);

test('has hooks and the surface of the Ion SDK, as the guides use them', async () => {
  const guide = await readFile(join(ROOT, 'docs/guides/build-a-front-end.md'), 'utf8');
  const [, component = ''] = /^```tsx\n(.*?)^```$/ms.exec(guide) ?? [];
  expect(component).toContain("from '@rooms/client/react'");
  const ion = `
    import * as Ion from '@rooms/client/ion';
    const room = new Ion.Room(new Ion.Connector('https://rooms.example.com wss://ws.example.com/v1', 'token'));
    room.onmessage = ({ data, payload }) => console.log(data.length, payload.length);
    // @ts-expect-error a state is a number
    room.onpeerevent = ({ state }) => state.length;`;
  await compile(
    { 'component.tsx': component, 'ion.ts': ion },
    { lib: ['es2022', 'dom', 'dom.iterable'], types: [], jsx: 'react-jsx' },
  );
});

test('runs after it is built', async () => {
  await writeFile(join(directory, 'consumer.ts'), CONSUMER);
  const { stdout } = await run(process.execPath, [join(directory, 'consumer.ts')], { cwd: directory });
  expect(stdout.trim()).toBe('network_error');
});

describe('the README', () => {
  const readme = readFile(join(CLIENT, 'README.md'), 'utf8');
  const examples = async () => [...(await readme).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);

  test('has examples that compile', async () => {
    const all = await examples();
    expect(all.length).toBeGreaterThan(4);
    const ambient = `
      import type * as Client from '@rooms/client';
      declare global {
        const [rooms, room, roomId, file]: [Client.RoomsClient, Client.LiveRoom, string, File];
        const [url, wsUrl, accessToken]: [string, string, Client.TokenSource];
        function showMessage(sender: string, text: string | null, attachment: Client.Attachment | null): void;
        function showOnline(user: string): void;
        function showOffline(user: string): void;
        function showRoom(name: string): void;
        function showClosed(reason: string): void;
      }`;
    const files = all.map((code, n) => [`example-${n}.ts`, `${code}\nexport {};\n`] as const);
    await compile(
      { 'ambient.d.ts': ambient, ...Object.fromEntries(files) },
      { lib: ['es2022', 'dom'], types: ['node'] },
    );
  });

  test('begins with a program that runs as described', async () => {
    const server = await startWireServer();
    const [first = ''] = await examples();
    const program = first.replace('http://127.0.0.1:4000', server.url).replace('ws://127.0.0.1:4004/v1', server.wsUrl);
    expect(program).toContain(server.wsUrl);
    await writeFile(join(directory, 'hello.mjs'), program);
    const env = { ...process.env, TOKEN: unsignedToken('alice') };
    const { stdout } = await run(process.execPath, [join(directory, 'hello.mjs')], { env });
    await server.close();
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z alice Hello\n$/);
  });

  test('names every option with its default, and every code', async () => {
    const text = await readme;
    const settings = settingsOf({ url: 'http://localhost', token: () => '' });
    const rows = [...text.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)].map(([, name = '', value = '']) => [
      name,
      value.trim(),
    ]);
    const documented = new Map(rows.map(([name = '', value = '']) => [name, value]));
    for (const [name, value] of Object.entries(settings))
      if (typeof value === 'number') expect(documented.get(name), name).toBe(value.toLocaleString('en-US'));
      else expect(documented.has(name), name).toBe(true);
    expect(documented.has('WebSocket')).toBe(true);
    for (const code of Object.keys(ERROR_STATUS)) expect(text).toContain(`\`${code}\``);
  });
});
