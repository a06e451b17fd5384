import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rooms-tally-'));
  await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  await writeFile(
    join(dir, 'vitest.config.ts'),
    `import { tally } from ${JSON.stringify(join(ROOT, 'test/support/tally.ts'))};
     export default { test: { reporters: ['default', tally()] } };`,
  );
});
afterAll(() => rm(dir, { recursive: true }));

/** Runs a separate test suite. Returns its exit code and its last line. */
async function run(files: Readonly<Record<string, string>>): Promise<[number, string | undefined]> {
  for (const [name, body] of Object.entries(files))
    await writeFile(join(dir, name), `import { afterAll, expect, test } from 'vitest';\n${body}`);
  const command = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', dir];
  const env = { ...process.env, VITEST: undefined, VITEST_WORKER_ID: undefined, VITEST_POOL_ID: undefined };
  const { stdout, code } = await promisify(execFile)(process.execPath, command, { env }).then(
    ({ stdout }) => ({ stdout, code: 0 }),
    (error: { stdout: string; code: number }) => error,
  );
  for (const name of Object.keys(files)) await rm(join(dir, name));
  return [code, stdout.trimEnd().split('\n').at(-1)];
}

test('the last line counts passed, failed and skipped tests', async () => {
  expect(await run({ 'a.test.ts': "test('a', () => {}); test.skip('b', () => {}); test.todo('c');" })).toEqual([
    0,
    '1 passed, 0 failed, 2 skipped',
  ]);
  expect(
    await run({
      'a.test.ts': "test('a', () => {}); test('b', () => expect(1).toBe(2));",
      'b.test.ts': "test('c', () => {});",
    }),
  ).toEqual([1, '2 passed, 1 failed, 0 skipped']);
});

test('a file that cannot be loaded, or whose hook throws, counts as failed', async () => {
  expect(await run({ 'a.test.ts': "throw new Error('no');", 'b.test.ts': "test('a', () => {});" })).toEqual([
    1,
    '1 passed, 1 failed, 0 skipped',
  ]);
  expect(await run({ 'a.test.ts': "test('a', () => {}); afterAll(() => { throw new Error('no'); });" })).toEqual([
    1,
    '1 passed, 1 failed, 0 skipped',
  ]);
});

test('an unhandled error counts as failed', async () => {
  const stray =
    "test('a', async () => { setTimeout(() => { throw new Error('stray'); }); await new Promise((r) => setTimeout(r, 50)); });";
  expect(await run({ 'a.test.ts': stray })).toEqual([1, '1 passed, 1 failed, 0 skipped']);
});
