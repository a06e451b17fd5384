import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { claimFolder, FolderError, makeFolder } from '../../../local/folder.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'rooms-folder-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

it('makes a folder with those above it, once', async () => {
  await makeFolder('--data', join(root, 'a/b'));
  await makeFolder('--data', join(root, 'a/b'));
  expect(await readdir(join(root, 'a'))).toEqual(['b']);
});

it.each([
  ['a file', 'EEXIST', ''],
  ['within a file', 'ENOTDIR', '/within'],
])('says so where the folder is %s', async (_what, code, below) => {
  const file = join(root, 'file');
  await writeFile(file, '');
  await expect(makeFolder('--data', file + below)).rejects.toThrow(
    new FolderError(`--data must name a folder that can be written to; ${file + below} cannot (${code}).`),
  );
});

it('is had by one at a time', async () => {
  const folder = join(root, 'claimed');
  await makeFolder('--data', folder);
  // This test's parent is a process that runs and is another one.
  await writeFile(join(folder, 'pid'), String(process.ppid));
  await expect(claimFolder(folder)).rejects.toThrow(`Process ${process.ppid} keeps its data in ${folder}`);
  await expect(claimFolder(folder)).rejects.toBeInstanceOf(FolderError);
});

it('is free once it is given back, and where its owner is gone', async () => {
  const folder = join(root, 'free');
  await makeFolder('--data', folder);
  const gone = execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' });
  for (const left of [undefined, gone, 'half a num', '']) {
    if (left !== undefined) await writeFile(join(folder, 'pid'), left);
    const claim = await claimFolder(folder);
    expect(await readdir(folder)).toEqual(['pid']);
    await claim.close();
    expect(await readdir(folder)).toEqual([]);
  }
});
