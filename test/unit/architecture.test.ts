import { globSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDERS = ['bench', 'bin', 'client', 'core', 'demo', 'functions', 'lib', 'local', 'tools', 'web'];

const IMPORT =
  /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

interface Import {
  /** The file that imports, from the root of the repository. */
  readonly from: string;
  /** A file from the root of the repository, or a package. */
  readonly to: string;
}

const files = globSync(`{${FOLDERS.join(',')}}/**/*.{ts,tsx}`, {
  cwd: ROOT,
  exclude: ['**/node_modules', 'client/dist'],
}).sort();
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const imports: readonly Import[] = files.flatMap((from) =>
  [...textOf(from).matchAll(IMPORT)].map((match) => {
    const to = match[1] ?? match[2] ?? match[3] ?? '';
    return { from, to: to.startsWith('.') ? relative(ROOT, resolve(ROOT, from, '..', to)) : to };
  }),
);

/** Imports from files that begin with `from` to what begins with any of `to`, as text. */
const found = (from: string, to: readonly string[], except: readonly string[] = []): string[] =>
  imports
    .filter((each) => each.from.startsWith(from))
    .filter(
      (each) => to.some((start) => each.to.startsWith(start)) && !except.some((start) => each.to.startsWith(start)),
    )
    .map((each) => `${each.from} imports ${each.to}`);

test('there is something to look at', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(found('functions/', ['core/'])).not.toEqual([]);
  expect(found('core/store/', ['@aws-sdk/'])).not.toEqual([]);
});

describe('imports run one way', () => {
  test('core imports nothing of this repository but core', () => {
    const own = ['bench/', 'bin/', 'client/', 'functions/', 'lib/', 'local/', 'test/', 'tools/', 'web/'];
    expect(found('core/', own)).toEqual([]);
  });

  test('functions import nothing of this repository but core', () => {
    expect(
      found('functions/', ['bench/', 'bin/', 'client/', 'functions/', 'lib/', 'local/', 'test/', 'tools/', 'web/']),
    ).toEqual([]);
  });

  test('lib and local take from core what is declared there, and nothing that acts', () => {
    const declared = ['core/contract/', 'core/rules/'];
    // Names of variables and of keys: CDK has to set the one and filter the stream by the other.
    expect(found('lib/', ['core/'], [...declared, 'core/env.ts', 'core/store/keys.ts'])).toEqual([]);
    expect(found('local/', ['core/'], declared)).toEqual([]);
  });

  test('nobody imports functions, and lib only its app does', () => {
    for (const folder of FOLDERS) expect(found(`${folder}/`, ['functions/'])).toEqual([]);
    for (const folder of ['core', 'functions', 'local']) expect(found(`${folder}/`, ['lib/'])).toEqual([]);
  });

  test('the client stands alone, and the web client on it alone', () => {
    const own = FOLDERS.map((folder) => `${folder}/`);
    expect(found('client/', [...own, 'test/'], ['client/'])).toEqual([]);
    expect(found('web/', [...own, 'test/'], ['client/src/index.ts', 'web/'])).toEqual([]);
    expect(found('web/', ['client/'])).not.toEqual([]);
  });

  test('within core, contract and rules stand below store and files, and those below http and realtime', () => {
    expect(found('core/contract/', ['core/'], ['core/contract/', 'core/rules/'])).toEqual([]);
    expect(found('core/rules/', ['core/'], ['core/contract/', 'core/rules/'])).toEqual([]);
    expect(found('core/store/', ['core/http/', 'core/files/', 'core/realtime/'])).toEqual([]);
    expect(found('core/files/', ['core/http/', 'core/realtime/'])).toEqual([]);
    expect(found('core/http/', ['core/store/', 'core/files/', 'core/realtime/'])).toEqual([]);
  });

  test('contract and rules are pure: they need no package but the one they validate with', () => {
    const packages = imports.filter(({ from }) => /^core\/(contract|rules)\//.test(from)).map(({ to }) => to);
    const foreign = new Set(packages.filter((to) => !to.startsWith('core/')));
    expect([...foreign].sort()).toEqual(['valibot']);
  });
});

test('AWS is spoken to in few places of core only', () => {
  const places = ['core/aws/', 'core/files/', 'core/realtime/', 'core/store/'];
  const others = imports
    .filter(({ from, to }) => /^(@aws-sdk|@smithy)\//.test(to) && /^(core|functions)\//.test(from))
    .filter(({ from }) => !places.some((place) => from.startsWith(place)));
  expect(others).toEqual([]);
});

test('every client of the SDK and every wait ends with its invocation', () => {
  // Used only by functions that no caller waits for: Lambda ends their process with their time-out. They have time limits of their own.
  const others = ['core/realtime/gateway.ts', 'core/realtime/fan-out-invoke.ts', 'core/realtime/deadline.ts'];
  const core = files.filter((file) => file.startsWith('core/') && !others.includes(file));
  const clients = core.flatMap((file) =>
    [...textOf(file).matchAll(/(?:abortable\(\s*)?\bnew \w+Client\(/g)].map(([text]) => text),
  );
  expect(clients.length).toBeGreaterThan(3);
  expect(clients.filter((text) => !text.startsWith('abortable('))).toEqual([]);
  const waiting = core.filter((file) => /from 'node:timers/.test(textOf(file)) || /\bsetTimeout\(/.test(textOf(file)));
  // INIT is no invocation: nobody waits for it but Lambda, and it has a limit of its own.
  expect(waiting).toEqual(['core/aws/abort.ts', 'core/aws/prime.ts']);
  expect(textOf('core/files/attachment.ts')).toContain('invocationSignal()');
});

test('keys are written down in core/store/keys.ts and nowhere else', () => {
  const KEY = /['"`](ROOM|CHAT|USER|PARTICIPANT|MESSAGE|SENT|FILE|IDEMPOTENCY|CONNECTION|FRAMES)#/;
  expect(textOf('core/store/keys.ts')).toMatch(KEY);
  expect(files.filter((file) => file !== 'core/store/keys.ts' && KEY.test(textOf(file)))).toEqual([]);
});

test('nothing reads the whole table', () => {
  expect(files.filter((file) => /^(core|functions)\//.test(file) && /\bScanCommand\b/.test(textOf(file)))).toEqual([]);
});

test('documents and style sheets, which no compiler reads, hold no half of a merge', () => {
  const texts = globSync('{*,{client,docs}/**/*,web/**/*}.{md,css,html,json}', {
    cwd: ROOT,
    exclude: ['**/node_modules'],
  });
  expect(texts).toEqual(expect.arrayContaining(['README.md', 'client/README.md', 'web/styles/base.css']));
  expect(texts.filter((file) => /^(<{7}|>{7}) /m.test(textOf(file)))).toEqual([]);
});
