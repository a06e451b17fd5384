import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
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

it('writes an entry for each line, with its source, and gives it to whoever wants to see it, too', async () => {
  const file = join(folder, 'entries');
  const seen: string[] = [];
  const { log, close } = await openLog(file, { keep: false, echo: (line) => seen.push(line) });
  log('gateway', 'one\ntwo\n\n');
  await close();
  expect(await linesOf(file)).toEqual(['[gateway] one', '[gateway] two']);
  expect(seen).toEqual(['[gateway] one', '[gateway] two']);
});

it('starts anew, unless another process is writing: then what both write stands there whole', async () => {
  const file = join(folder, 'shared');
  await (await openLog(file, { keep: false })).close();
  const first = await openLog(file, { keep: false });
  first.log('first', 'before');
  await expect.poll(() => linesOf(file)).toEqual(['[first] before']);
  const second = await openLog(file, { keep: true });
  second.log('second', 'in between');
  await second.close();
  first.log('first', 'after');
  await first.close();
  expect(await linesOf(file)).toEqual(['[first] before', '[second] in between', '[first] after']);
  await (await openLog(file, { keep: false })).close();
  expect(await readFile(file, 'utf8')).toBe('');
});
