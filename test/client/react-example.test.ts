import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { Window } from 'happy-dom';
import { expect, test } from 'vitest';
import { CLIENT } from './bundle.ts';
import { wireServers } from './meeting.ts';
import { until } from './until.ts';
import { unsignedToken } from './wire-server.ts';

const run = promisify(execFile);
const EXAMPLE = resolve(CLIENT, '../examples/react');
const PATHS = {
  '@rooms/client': [resolve(CLIENT, 'src/index.ts')],
  '@rooms/client/react': [resolve(CLIENT, 'src/react/index.ts')],
};
const wire = wireServers();

test('the example in React has correct types, and at most 60 lines', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'rooms-react-'));
  const config = {
    extends: resolve(EXAMPLE, 'tsconfig.json'),
    compilerOptions: { paths: PATHS, allowImportingTsExtensions: true },
    files: [resolve(EXAMPLE, 'app.tsx')],
  };
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(config));
  const tsc = resolve(CLIENT, '../node_modules/typescript/bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '-p', directory]).catch((error: { stdout: string }) => error);
  await rm(directory, { recursive: true });
  expect(stdout).toBe('');
  expect((await readFile(resolve(EXAMPLE, 'app.tsx'), 'utf8')).trim().split('\n').length).toBeLessThanOrEqual(60);
});

test('the example in React shows rooms, messages and presence, and sends', async () => {
  const { bobs, room_id } = await wire.meeting();
  const bobsRoom = await bobs.join(room_id);
  await bobsRoom.send({ text: 'Hello' });
  const { outputFiles } = await build({
    entryPoints: [resolve(EXAMPLE, 'app.tsx')],
    bundle: true,
    write: false,
    jsx: 'automatic',
    format: 'iife',
    alias: Object.fromEntries(Object.entries(PATHS).map(([name, [file]]) => [name, file ?? ''])),
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const program = (outputFiles[0]?.text ?? '')
    .replaceAll('http://127.0.0.1:4000', wire.server.url)
    .replaceAll('ws://127.0.0.1:4004/v1', wire.server.wsUrl);
  const window = new Window({ url: `${wire.server.url}/page?token=${unsignedToken('alice')}` });
  const { document } = window;
  const names = ['window', 'document', 'location', 'FormData', 'HTMLElement', 'HTMLIFrameElement', 'Node'] as const;
  new Function(...names, program)(window, ...names.slice(1).map((name) => Reflect.get(window, name)));
  const text = () => document.body.textContent;
  await until('the room is listed', () => document.querySelector('button') !== null);
  document.querySelector('button')?.click();
  await until('the message is shown', () => text().includes('bob: Hello'));
  await until('both are online', () => text().includes('Online: alice, bob'));
  const input = document.querySelector('input');
  if (input) input.value = 'Hi bob';
  document.querySelector('form')?.requestSubmit();
  await until('the own message is delivered', () => text().includes('alice: Hi bob'));
  bobsRoom.setTyping(true);
  await until('bob types', () => text().includes('bob is typing'));
  await window.happyDOM.close();
});
