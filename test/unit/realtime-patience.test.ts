import { expect, test, vi } from 'vitest';
import {
  FIRST_REQUESTS,
  LONG_PATIENCE_TICKS,
  PATIENCE_TICKS,
  patienceWithin,
  standstill,
} from '../../core/realtime/patience.ts';

const LIMIT = 3;
/** Calls `tick` until the limit is reached. Returns the number of ticks, or undefined if that takes twice the limit. */
const ticksUntilOver = (still: ReturnType<typeof standstill>): number | undefined => {
  for (let tick = 1; tick <= 2 * LIMIT; tick++) if (still.tick()) return tick;
  return undefined;
};

test('reports requests without a response when the limit of ticks is reached', () => {
  const still = standstill(() => LIMIT);
  still.begin();
  expect(ticksUntilOver(still)).toBe(LIMIT);
});

test('each response resets the count', () => {
  const still = standstill(() => LIMIT);
  for (let n = 0; n < 10; n++) still.begin();
  for (let n = 0; n < 9; n++) {
    for (let tick = 1; tick < LIMIT; tick++) expect(still.tick()).toBe(false);
    still.end();
  }
  expect(ticksUntilOver(still)).toBe(LIMIT);
});

test('ticks without a pending request do not count, for example in a queue or between two attempts', () => {
  const still = standstill(() => LIMIT);
  expect(ticksUntilOver(still)).toBeUndefined();
  still.begin();
  still.tick();
  still.end();
  expect(ticksUntilOver(still)).toBeUndefined();
  still.begin();
  expect(ticksUntilOver(still)).toBe(LIMIT);
});

test('the current limit applies', () => {
  let limit = 2 * LIMIT;
  const still = standstill(() => limit);
  still.begin();
  for (let tick = 1; tick <= LIMIT; tick++) expect(still.tick()).toBe(false);
  limit = LIMIT;
  expect(still.tick()).toBe(true);
});

test('is over sooner if only requests that may be repeated are pending', async () => {
  vi.useFakeTimers();
  try {
    const patience = patienceWithin({ signal: new AbortController().signal, leftMs: () => 10_000 });
    for (let n = 0; n < FIRST_REQUESTS; n++) await patience.watch(async () => n);
    let answer = (): void => {};
    const long = patience.watch(() => new Promise<void>((resolve) => (answer = resolve)), true);
    void patience.watch(() => new Promise(() => {}));
    const overAfter = (ticks: number): boolean => {
      vi.advanceTimersByTime(10 * ticks);
      return patience.isOver();
    };
    expect(overAfter(LONG_PATIENCE_TICKS - 1)).toBe(false);
    answer();
    await long;
    expect(overAfter(PATIENCE_TICKS - 1)).toBe(false);
    expect(overAfter(1)).toBe(true);
    patience.end();
  } finally {
    vi.useRealTimers();
  }
});
