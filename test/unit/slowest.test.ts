import { expect, test } from 'vitest';
import { slowest } from '../support/slowest.ts';

const file = (relativeModuleId: string, duration: number, collectDuration = 0) => ({
  relativeModuleId,
  diagnostic: () => ({
    environmentSetupDuration: 0,
    prepareDuration: 0,
    setupDuration: 0,
    collectDuration,
    duration,
    heap: undefined,
    importDurations: {},
    concurrencyId: 1,
    workerId: 1,
  }),
});

test('lists the slowest files first, including their load time', () => {
  expect(slowest([file('a.test.ts', 500), file('b.test.ts', 1_000, 11_000), file('c.test.ts', 2_000)])).toEqual([
    '  12.0 s  b.test.ts',
    '   2.0 s  c.test.ts',
    '   0.5 s  a.test.ts',
  ]);
});

test('lists at most 10 files', () => {
  expect(slowest(Array.from({ length: 30 }, (_, n) => file(`${n}.test.ts`, n)))).toHaveLength(10);
});
