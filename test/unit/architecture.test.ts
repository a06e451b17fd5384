import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

/* Rules about the code that no linter can check. biome.json has the rules on imports between folders. */

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDERS = ['bench', 'bin', 'client', 'core', 'demo', 'functions', 'lib', 'local', 'tools', 'web'];

const files = globSync(`{${FOLDERS.join(',')}}/**/*.{ts,tsx}`, {
  cwd: ROOT,
  exclude: ['**/node_modules', 'client/dist'],
}).sort();
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
test('there are files to check', () => {
  expect(files.length).toBeGreaterThan(50);
});

test('every SDK client and every wait ends with its invocation', () => {
  // Only asynchronous functions use these files. Lambda ends their process at the time-out, and they have their own
  // time limits.
  const others = ['core/realtime/gateway.ts', 'core/realtime/fan-out-invoke.ts', 'core/platform/deadline.ts'];
  const core = files.filter((file) => file.startsWith('core/') && !others.includes(file));
  const clients = core.flatMap((file) =>
    [...textOf(file).matchAll(/(?:abortable\(\s*)?\bnew \w+Client\(/g)].map(([text]) => text),
  );
  expect(clients.length).toBeGreaterThan(3);
  expect(clients.filter((text) => !text.startsWith('abortable('))).toEqual([]);
  const waiting = core.filter((file) => /from 'node:timers/.test(textOf(file)) || /\bsetTimeout\(/.test(textOf(file)));
  // Priming runs in INIT, outside of an invocation, and has its own time limit.
  expect(waiting).toEqual(['core/platform/abort.ts', 'core/platform/prime.ts']);
  expect(textOf('core/files/attachment.ts')).toContain('invocationSignal()');
});

test('every file of core is in a folder, whose imports Biome checks', () => {
  expect(files.filter((file) => /^core\/[^/]+$/.test(file))).toEqual([]);
  const { overrides } = JSON.parse(textOf('biome.json')) as { overrides: { includes: string[] }[] };
  const checked = overrides.flatMap(({ includes }) => includes);
  const folders = new Set(files.filter((file) => file.startsWith('core/')).map((file) => file.split('/')[1]));
  expect([...folders].filter((folder) => !checked.includes(`core/${folder}/**`))).toEqual([]);
});

test('keys are only in core/store/keys.ts', () => {
  const KEY = /['"`](ROOM|CHAT|USER|PARTICIPANT|MESSAGE|SENT|FILE|IDEMPOTENCY|CONNECTION|FRAMES)#/;
  expect(textOf('core/store/keys.ts')).toMatch(KEY);
  expect(files.filter((file) => file !== 'core/store/keys.ts' && KEY.test(textOf(file)))).toEqual([]);
});

test('nothing reads the whole table', () => {
  expect(files.filter((file) => /^(core|functions)\//.test(file) && /\bScanCommand\b/.test(textOf(file)))).toEqual([]);
});

test('documents and style sheets, which no compiler reads, contain no merge conflict markers', () => {
  const texts = globSync('{*,{client,docs}/**/*,web/**/*}.{md,css,html,json}', {
    cwd: ROOT,
    exclude: ['**/node_modules'],
  });
  expect(texts).toEqual(expect.arrayContaining(['README.md', 'client/README.md', 'web/styles/base.css']));
  expect(texts.filter((file) => /^(<{7}|>{7}) /m.test(textOf(file)))).toEqual([]);
});
