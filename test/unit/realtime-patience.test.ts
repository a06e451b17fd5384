import { expect, test } from 'vitest';
import { standstill } from '../../core/realtime/patience.ts';

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
