import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { browserBundle, CLIENT } from './bundle.ts';

const run = promisify(execFile);
const ROOT = resolve(CLIENT, '..');
const TSC = resolve(ROOT, 'node_modules/typescript/bin/tsc');

/** The whole client, minified, in bytes. */
const MAX_GZIP_BYTES = 9_500;

const packageFile = v.object({
  exports: v.looseObject({ '.': v.object({ types: v.string(), default: v.string() }) }),
  dependencies: v.optional(v.record(v.string(), v.string()), {}),
  peerDependencies: v.optional(v.record(v.string(), v.string()), {}),
});

let directory: string;
/** A project that has the package installed as npm would. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rooms-client-'));
  const installed = join(directory, 'node_modules/@rooms/client');
  await mkdir(installed, { recursive: true });
  await run(process.execPath, [TSC, '-p', CLIENT, '--outDir', join(installed, 'dist')]);
  await writeFile(join(installed, 'package.json'), await readFile(join(CLIENT, 'package.json')));
  await mkdir(join(directory, 'node_modules/@types'));
  for (const types of ['@types/node', 'undici-types'])
    await symlink(resolve(ROOT, 'node_modules', types), join(directory, 'node_modules', types));
  await writeFile(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('contract.ts is what the contract says (else run "npm run client:generate")', async () => {
  const { stdout } = await run(process.execPath, [resolve(ROOT, 'bin/client.ts'), '--check']);
  expect(stdout).toBe('Up to date.\n');
});

test('a contract.ts that is stale is told, and how to renew it', async () => {
  const stale = join(directory, 'contract.ts');
  await writeFile(stale, 'export const OPERATIONS = {};\n');
  await expect(run(process.execPath, [resolve(ROOT, 'bin/client.ts'), '--check', stale])).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Run "npm run client:generate" and commit what it writes.'),
  });
});

test('the package needs no other', async () => {
  const { dependencies, peerDependencies } = v.parse(
    packageFile,
    JSON.parse(await readFile(join(CLIENT, 'package.json'), 'utf8')),
  );
  expect({ ...dependencies, ...peerDependencies }).toEqual({});
});

test(`the whole client is at most ${MAX_GZIP_BYTES} bytes, minified and gzipped`, async () => {
  const bundle = await browserBundle();
  expect(gzipSync(bundle, { level: 9 }).length).toBeLessThanOrEqual(MAX_GZIP_BYTES);
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

test.each([
  ['a browser', { lib: ['es2022', 'dom'], types: [] }],
  ['Node', { lib: ['es2022'], types: ['node'] }],
])('its types hold in a strict project for %s', async (_, compilerOptions) => {
  await writeFile(join(directory, 'consumer.ts'), CONSUMER);
  const config = join(directory, 'tsconfig.json');
  const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true };
  const modules = { module: 'nodenext', target: 'es2022' };
  await writeFile(
    config,
    JSON.stringify({ compilerOptions: { ...strict, ...modules, ...compilerOptions }, files: ['consumer.ts'] }),
  );
  await run(process.execPath, [TSC, '-p', config], { cwd: directory }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
});

test('the built package runs', async () => {
  await writeFile(join(directory, 'consumer.ts'), CONSUMER);
  const { stdout } = await run(process.execPath, [join(directory, 'consumer.ts')], { cwd: directory });
  expect(stdout.trim()).toBe('network_error');
});
