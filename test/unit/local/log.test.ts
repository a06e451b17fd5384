import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLog } from '../../../local/log.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rooms-log-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const linesOf = async (file: string) =>
  (await readFile(file, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\S+ /, ''));

test('writes an entry for each line, with its source, and also passes it to echo', async () => {
  const file = join(folder, 'entries');
  const seen: string[] = [];
  const { log, close } = await openLog(file, { echo: (line) => seen.push(line) });
  log('gateway', 'one\ntwo\n\n');
  await close();
  expect(await linesOf(file)).toEqual(['[gateway] one', '[gateway] two']);
  expect(seen).toEqual(['[gateway] one', '[gateway] two']);
});

test('starts with an empty file', async () => {
  const file = join(folder, 'again');
  const first = await openLog(file);
  first.log('gateway', 'one');
  await first.close();
  await (await openLog(file)).close();
  expect(await readFile(file, 'utf8')).toBe('');
});
