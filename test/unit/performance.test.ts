import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { quantile, shuffled } from '../../bench/common/numbers.ts';
import { startPicture } from '../../bench/common/picture.ts';
import { results } from '../../bench/common/results.ts';
import { sectionOf, withSection } from '../../bench/common/section.ts';
import { PROGRAM, performanceText, summary } from '../../bench/common/summary.ts';
import { allRoutes } from '../../core/contract/index.ts';

const read = (file: string): string =>
  readFileSync(new URL(`../../docs/operate/performance/${file}`, import.meta.url), 'utf8');
const found = v.parse(results, JSON.parse(read('results.json')));

describe('docs/operate/performance is written by npm run bench:', () => {
  test('the figures of README.md are those of results.json', () => {
    expect(sectionOf(read('README.md'), PROGRAM)).toBe(performanceText(found).trim());
  });

  test('the picture is drawn from results.json', () => {
    expect(read('start.svg')).toBe(startPicture(found));
  });

  test('every endpoint is in the table', () => {
    for (const { operation } of allRoutes) expect(summary(found)).toContain(operation);
  });
});

describe('a section of a document', () => {
  const document = 'before\n<!-- written by x: begin -->\nold\n<!-- written by x: end -->\nafter';
  test('is replaced, and nothing else', () => {
    const changed = withSection(document, 'x', 'new');
    expect(sectionOf(changed, 'x')).toBe('new');
    expect(changed).toMatch(/^before\n/);
    expect(changed).toMatch(/\nafter$/);
  });
  test('must be there', () => {
    expect(() => sectionOf(document, 'y')).toThrow('no section that y writes');
  });
});

test('quantiles are numbers of the list', () => {
  const sorted = [1, 2, 3, 4];
  expect([0, 0.25, 0.5, 0.99, 1].map((q) => quantile(sorted, q))).toEqual([1, 1, 2, 4, 4]);
});

test('a shuffled list has the same numbers', () => {
  const list = Array.from({ length: 50 }, (_, n) => n);
  expect(shuffled(list).sort((a, b) => a - b)).toEqual(list);
});
