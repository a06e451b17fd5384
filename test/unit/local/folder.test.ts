import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimFolder, FolderError, makeFolder } from '../../../local/cli/folder.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'rooms-folder-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('creates a folder with its parents, once', async () => {
  await makeFolder('--data', join(root, 'a/b'));
  await makeFolder('--data', join(root, 'a/b'));
  expect(await readdir(join(root, 'a'))).toEqual(['b']);
});

test.each([
  ['a file', 'EEXIST', ''],
  ['within a file', 'ENOTDIR', '/within'],
])('reports a folder that is %s', async (_what, code, below) => {
  const file = join(root, 'file');
  await writeFile(file, '');
  await expect(makeFolder('--data', file + below)).rejects.toThrow(
    new FolderError(`--data must name a folder that can be written to; ${file + below} cannot (${code}).`),
  );
});

/** Claims a folder in a separate process, until that process is killed. */
async function claimElsewhere(folder: string): Promise<ChildProcess> {
  const url = JSON.stringify(new URL('../../../local/cli/folder.ts', import.meta.url).href);
  const program = `const { claimFolder } = await import(${url}); await claimFolder(${JSON.stringify(folder)}); console.log('claimed'); setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('can be claimed by one process at a time', async () => {
  const folder = join(root, 'claimed');
  await makeFolder('--data', folder);
  const owner = await claimElsewhere(folder);
  try {
    await expect(claimFolder(folder)).rejects.toThrow(
      new FolderError(
        `Another local stack (process ${owner.pid}) keeps its data in ${folder}; end it, or choose another folder.`,
      ),
    );
  } finally {
    owner.kill('SIGKILL');
  }
});

test('can be claimed only once within a process, too', async () => {
  const folder = join(root, 'once');
  await makeFolder('--data', folder);
  const claim = await claimFolder(folder);
  await expect(claimFolder(folder)).rejects.toBeInstanceOf(FolderError);
  await claim.close();
  await (await claimFolder(folder)).close();
});

test('is free as soon as its owner has ended, even after a crash', async () => {
  const folder = join(root, 'killed');
  await makeFolder('--data', folder);
  const owner = await claimElsewhere(folder);
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  await (await claimFolder(folder)).close();
  // Process IDs are reused, so an ID in a remaining file does not identify the owner.
  for (const left of [String(process.ppid), 'half a num', '']) {
    await writeFile(join(folder, 'pid'), left);
    await (await claimFolder(folder)).close();
  }
});

test('is claimed by exactly one of many simultaneous attempts, after its owner was killed', async () => {
  const folder = join(root, 'raced');
  await makeFolder('--data', folder);
  const owner = await claimElsewhere(folder);
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => claimFolder(folder)));
  const claims = attempts.filter((attempt) => attempt.status === 'fulfilled');
  expect(claims).toHaveLength(1);
  for (const { value } of claims) await value.close();
});
