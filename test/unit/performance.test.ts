import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { cheapestOf } from '../../bench/common/memory-choice.ts';
import { quantile, shuffled } from '../../bench/common/numbers.ts';
import { startPicture } from '../../bench/common/picture.ts';
import { results } from '../../bench/common/results.ts';
import { sectionOf, withSection } from '../../bench/common/section.ts';
import { PROGRAM, performanceText, summary } from '../../bench/common/summary.ts';
import { allRoutes } from '../../core/contract/index.ts';
import { memoryOf } from '../../lib/memory.ts';

const read = (file: string): string =>
  readFileSync(new URL(`../../docs/operate/performance/${file}`, import.meta.url), 'utf8');
const found = v.parse(results, JSON.parse(read('results.json')));

describe('docs/operate/performance is written by npm run bench:', () => {
  test('README.md contains the figures of results.json', () => {
    expect(sectionOf(read('README.md'), PROGRAM)).toBe(performanceText(found).trim());
  });

  test('the picture is drawn from results.json', () => {
    expect(read('start.svg')).toBe(startPicture(found));
  });

  test('every endpoint is in the table', () => {
    for (const { operation } of allRoutes) expect(summary(found)).toContain(operation);
  });
});

test('each function has the memory that the benchmark chose', () => {
  expect(Object.fromEntries(found.memory.map(({ entry }) => [entry, memoryOf(entry)]))).toEqual(
    Object.fromEntries(found.memory.map(({ entry, chosen }) => [entry, chosen])),
  );
});

describe('the choice of memory', () => {
  const setting = (memory: number, start: number, warm: number, dollars: number) => ({
    ...{ memory, start, warm, dollars },
    ...{ init: 0, first: 0, warmP95: 0, used: 0 },
  });
  test('is the cheapest setting that is at most 10 % slower than the fastest', () => {
    const settings = [setting(256, 130, 10, 1), setting(512, 109, 10.4, 2), setting(1_024, 100, 10, 3)];
    expect(cheapestOf(settings).memory).toBe(512);
  });
  test('considers cold starts and warm requests', () => {
    const settings = [setting(256, 100, 20, 1), setting(512, 120, 10, 2), setting(1_024, 100, 10, 3)];
    expect(cheapestOf(settings).memory).toBe(1_024);
  });
});

describe('a section of a document', () => {
  const document = 'before\n<!-- written by x: begin -->\nold\n<!-- written by x: end -->\nafter';
  test('replaces that section only', () => {
    const changed = withSection(document, 'x', 'new');
    expect(sectionOf(changed, 'x')).toBe('new');
    expect(changed).toMatch(/^before\n/);
    expect(changed).toMatch(/\nafter$/);
  });
  test('must exist in the document', () => {
    expect(() => sectionOf(document, 'y')).toThrow('no section that y writes');
  });
});

test('quantiles are elements of the list', () => {
  const sorted = [1, 2, 3, 4];
  expect([0, 0.25, 0.5, 0.99, 1].map((q) => quantile(sorted, q))).toEqual([1, 1, 2, 4, 4]);
});

test('a shuffled list has the same numbers', () => {
  const list = Array.from({ length: 50 }, (_, n) => n);
  expect(shuffled(list).sort((a, b) => a - b)).toEqual(list);
});
