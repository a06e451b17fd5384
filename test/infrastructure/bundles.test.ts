import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Metafile } from 'esbuild';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bundle } from '../../lib/bundle.ts';
import { allEntries } from '../../lib/entries.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';

/**
 * Maximum size of a minified bundle, in bytes. Larger bundles start more slowly (see lib/bundle.ts). `BUDGET` is for
 * functions that use only the table and respond to callers. `BUDGETS` has the functions that need more clients.
 */
const BUDGET = 242_500;
const BUDGETS: Readonly<Record<string, number>> = {
  // These functions contain S3's signing code, in addition to the client of the table.
  'create-upload': 246_500,
  'delete-message': 249_500,
  message: 246_000,
  'deliver-messages': 250_000,
  lane: 338_000,
  presence: 331_500,
  'room-changes': 340_000,
  announce: 291_500,
  authorizer: 38_500,
  connect: 2_600,
};

/** The total of all bundles, compressed, in bytes. */
const UPLOAD_BUDGET = 2_760_000;

/** The SDK clients in each bundle, in addition to the client of the table. */
const CLIENTS: Readonly<Record<string, readonly string[]>> = {
  authorizer: [],
  connect: [],
  'deliver-messages': ['dynamodb', 'sqs'],
  lane: ['dynamodb', 'lambda', 'sqs'],
  'room-changes': ['dynamodb', 'eventbridge', 'scheduler', 'sqs'],
  presence: ['dynamodb', 'eventbridge', 'scheduler', 'sqs'],
  announce: ['dynamodb', 'eventbridge', 'sqs'],
};

const repository = fileURLToPath(new URL('../..', import.meta.url));
const names = allEntries.map(({ name }) => name);
const files = new Map([...bundle(allEntries)].map(([name, folder]) => [name, join(folder, 'index.js')]));
const bundleOf = (name: string): string => {
  const file = files.get(name);
  if (file === undefined) throw new Error(`${name} has no bundle.`);
  return file;
};

/** esbuild's report on a bundle: its sources and its imports. */
function builtFrom(name: string): Metafile['outputs'][string] {
  const { outputs }: Metafile = JSON.parse(readFileSync(join(repository, '.build/meta.json'), 'utf8'));
  const found = Object.entries(outputs).find(([file]) => bundleOf(name) === join(repository, file));
  if (found === undefined) throw new Error(`.build/meta.json says nothing of ${name}.`);
  return found[1];
}

/** Copies the files that some functions need for bundling to a temporary folder. */
function copyOf(...paths: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'rooms-bundle-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const path of ['core/platform', ...paths]) cpSync(join(repository, path), join(root, path), { recursive: true });
  return root;
}

describe('handler files and functions', () => {
  test('correspond one to one', () => {
    const found = globSync('functions/**/*', { cwd: repository, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(repository.length));
    expect(found.sort()).toEqual(allEntries.map(({ file }) => file).sort());
  });

  test('report the expected file if it is missing', () => {
    const root = copyOf('functions');
    rmSync(join(root, 'functions/http/admin/grant-admin.ts'));
    expect(() => bundle(allEntries, root)).toThrow(
      new UsageError(
        'Every function needs a file that exports "handler": grant-admin expects functions/http/admin/grant-admin.ts.',
      ),
    );
  });

  test('must have unique names, because bundles are in folders of that name', () => {
    const twin = { name: 'ping', file: 'functions/realtime/leave.ts' };
    expect(() => bundle([...allEntries, twin])).toThrow(
      new UsageError(
        'Two functions must not have the same name: functions/realtime/ping.ts and functions/realtime/leave.ts are both "ping".',
      ),
    );
  });
});

describe('the bundles', () => {
  test('load without node_modules, and export a handler', { timeout: 60_000 }, () => {
    const script = `
      for (const url of process.argv.slice(1)) if (typeof (await import(url)).handler !== 'function') throw new Error(url);
    `;
    // Loads the bundles from another folder, where node_modules cannot provide a missing package.
    const alone = mkdtempSync(join(tmpdir(), 'rooms-bundle-'));
    onTestFinished(() => rmSync(alone, { recursive: true }));
    const copies = [...files].map(([name, file]) => {
      const copy = join(alone, `${name}.cjs`);
      cpSync(file, copy);
      return pathToFileURL(copy).href;
    });
    execFileSync(process.execPath, ['--input-type=module', '--eval', script, ...copies], {
      cwd: alone,
      env: { AWS_REGION: 'eu-central-1' },
      stdio: 'pipe',
    });
  });

  test.each(names)('%s imports only modules of Node', (name) => {
    const imports = builtFrom(name).imports.filter(({ external }) => external);
    expect(imports.map(({ path }) => path).filter((path) => !isBuiltin(path))).toEqual([]);
    // esbuild writes this if a CommonJS package loads a module dynamically, which fails in an ES module.
    expect(readFileSync(bundleOf(name), 'utf8')).not.toContain('Dynamic require of');
  });

  test.each(names)('%s has no ES module imports, which would load undici with node:http', (name) => {
    expect(readFileSync(bundleOf(name), 'utf8')).not.toMatch(/\bimport\(|\bfrom ?["']node:/);
  });

  test.each(names)('%s is within the budget', (name) => {
    expect(statSync(bundleOf(name)).size).toBeLessThanOrEqual(BUDGETS[name] ?? BUDGET);
  });

  test('stay within the total budget of a deployment', () => {
    const folders = names.map((name) => join(bundleOf(name), '..'));
    const zipped = folders.map((folder) =>
      globSync('*', { cwd: folder }).map((file) => gzipSync(readFileSync(join(folder, file))).length),
    );
    expect(zipped.flat().reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(UPLOAD_BUDGET);
  });

  test('have a separate budget only if they need one', () => {
    for (const [name, budget] of Object.entries(BUDGETS)) {
      const { size } = statSync(bundleOf(name));
      expect(budget, `${name}: ${size}`).toBeLessThanOrEqual(size * 1.06);
    }
  });

  test.each(names)('%s contains only the clients that it uses, and no credential providers', (name) => {
    const inputs = Object.keys(builtFrom(name).inputs);
    const clients = inputs.flatMap((input) => /@aws-sdk\/client-([^/]+)/.exec(input)?.[1] ?? []);
    const expected = CLIENTS[name] ?? ['dynamodb'];
    expect([...new Set(clients)].sort()).toEqual(expected);
    expect(inputs.includes('core/platform/environment-credentials.ts')).toBe(expected.length > 0);
    expect(inputs.filter((input) => input.includes('@aws-sdk/credential-provider'))).toEqual([]);
  });

  test('are written only if a source file has changed', { timeout: 60_000 }, () => {
    const file = bundleOf('get-room');
    const { mtimeMs } = statSync(file);
    bundle(allEntries);
    expect(statSync(file).mtimeMs).toBe(mtimeMs);

    const entry = { name: 'ping', file: 'functions/realtime/ping.ts' };
    const root = copyOf(entry.file);
    const imported = join(root, 'functions/realtime/answer.ts');
    const minuteAgo = Date.now() / 1_000 - 60;
    /** Writes a file that was modified a minute before the build. */
    const save = (path: string, text: string): void => {
      writeFileSync(path, text);
      utimesSync(path, minuteAgo, minuteAgo);
    };
    const output = () => join(bundle([entry], root).get(entry.name) ?? '', 'index.js');
    const built = (): string => readFileSync(output(), 'utf8');
    save(imported, "export const answer = 'one';");
    save(join(root, entry.file), "import { answer } from './answer.ts'; export const handler = () => answer;");
    expect(built()).toContain('one');
    const { mtimeMs: first } = statSync(join(root, '.build/stamp.json'));
    expect(built()).toContain('one');
    expect(statSync(join(root, '.build/stamp.json')).mtimeMs).toBe(first);

    save(imported, "export const answer = 'two';");
    expect(built()).toContain('two');
    save(join(root, entry.file), "export const handler = () => 'three';");
    expect(built()).toContain('three');
    writeFileSync(output(), 'damaged');
    expect(built()).toContain('three');
    rmSync(output());
    expect(built()).toContain('three');
    const other = { ...entry, name: 'pong' };
    expect(readFileSync(join(bundle([other], root).get('pong') ?? '', 'index.js'), 'utf8')).toContain('three');
    // If a file is saved while esbuild runs, esbuild may have read the earlier version. Such a build is not cached. A
    // later time of the file simulates this.
    const stamp = readFileSync(join(root, '.build/stamp.json'), 'utf8');
    writeFileSync(join(root, entry.file), "export const handler = () => 'four';");
    utimesSync(join(root, entry.file), minuteAgo + 3_600, minuteAgo + 3_600);
    expect(built()).toContain('four');
    expect(readFileSync(join(root, '.build/stamp.json'), 'utf8')).toBe(stamp);
  });
});
