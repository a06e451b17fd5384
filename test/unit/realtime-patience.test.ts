import { expect, test } from 'vitest';
import { standstill } from '../../core/realtime/patience.ts';

const LIMIT = 3;
/** The ticks, up to the limit and a few more, until patience is over. */
const ticksUntilOver = (still: ReturnType<typeof standstill>): number | undefined => {
  for (let tick = 1; tick <= 2 * LIMIT; tick++) if (still.tick()) return tick;
  return undefined;
};

test('requests that are not answered for as many ticks as the limit are too slow', () => {
  const still = standstill(() => LIMIT);
  still.begin();
  expect(ticksUntilOver(still)).toBe(LIMIT);
});

test('each answer begins the count anew', () => {
  const still = standstill(() => LIMIT);
  for (let n = 0; n < 10; n++) still.begin();
  for (let n = 0; n < 9; n++) {
    for (let tick = 1; tick < LIMIT; tick++) expect(still.tick()).toBe(false);
    still.end();
  }
  expect(ticksUntilOver(still)).toBe(LIMIT);
});

test('time without a request under way does not count: not that in a queue, nor between two attempts', () => {
  const still = standstill(() => LIMIT);
  expect(ticksUntilOver(still)).toBeUndefined();
  still.begin();
  still.tick();
  still.end();
  expect(ticksUntilOver(still)).toBeUndefined();
  still.begin();
  expect(ticksUntilOver(still)).toBe(LIMIT);
});

test('the limit is that of the moment', () => {
  let limit = 2 * LIMIT;
  const still = standstill(() => limit);
  still.begin();
  for (let tick = 1; tick <= LIMIT; tick++) expect(still.tick()).toBe(false);
  limit = LIMIT;
  expect(still.tick()).toBe(true);
});
