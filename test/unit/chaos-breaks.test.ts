import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { breaks, broken, editsOf } from '../chaos/breaks.ts';

const ROOT = join(import.meta.dirname, '../..');

test.each(Object.entries(breaks))('the deliberate defect %s can still be applied to the code', async (_, each) => {
  for (const edit of editsOf(each)) {
    const source = await readFile(join(ROOT, edit.file), 'utf8');
    expect(broken(source, edit)).not.toBe(source);
  }
});

test('a deliberate defect that no longer applies is reported', () => {
  const [first] = Object.values(breaks);
  if (!first) throw new Error('There are no breaks.');
  expect(() => broken('nothing of the kind', first)).toThrow(first.file);
});
