import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { breaks, broken } from '../chaos/breaks.ts';

const ROOT = join(import.meta.dirname, '../..');

test.each(Object.entries(breaks))('the break %s still applies to the product', async (_, each) => {
  const source = await readFile(join(ROOT, each.file), 'utf8');
  expect(broken(source, each)).not.toBe(source);
});

test('a break that no longer applies says so', () => {
  const [first] = Object.values(breaks);
  if (!first) throw new Error('There are no breaks.');
  expect(() => broken('nothing of the kind', first)).toThrow(first.file);
});
