import * as fc from 'fast-check';
import { ulid } from 'ulid';
import { describe, expect, test, vi } from 'vitest';
import { feed } from '../../client/src/events.ts';
import { tokenFacts } from '../../client/src/jwt.ts';
import { settingsOf } from '../../client/src/options.ts';
import { byId, seenMessages, timeOf } from '../../client/src/seen.ts';
import { abortable, backoff } from '../../client/src/timing.ts';
import { collect } from './until.ts';
import { unsignedToken } from './wire-server.ts';

/** All times that a ULID can have, but for 0, which its library takes for now. */
const millis = fc.integer({ min: 1, max: 2 ** 48 - 1 });

describe('messages seen', () => {
  test('the time of an id is the one it was made with', () => {
    fc.assert(fc.property(millis, (time) => timeOf(ulid(time)) === time));
  });

  test('ids sort by it', () => {
    const times = fc.array(millis, { minLength: 2 });
    fc.assert(
      fc.property(times, (all) => {
        const sorted = all.map((time) => ({ message_id: ulid(time) })).sort(byId);
        return sorted.every(({ message_id }, i) => timeOf(message_id) >= timeOf(sorted[i - 1]?.message_id ?? '0'));
      }),
    );
  });

  test('history is complete before the overlap, and not after', () => {
    const seen = seenMessages(1_000);
    const [early, late] = [ulid(10_000), ulid(20_000)];
    expect(seen.isBefore(early)).toBe(false);
    expect(seen.add(late)).toBe(true);
    expect(seen.add(late)).toBe(false);
    expect(seen.isBefore(ulid(18_999))).toBe(true);
    expect(seen.isBefore(ulid(19_000))).toBe(false);
    // One from before that comes late moves nothing.
    expect(seen.add(early)).toBe(true);
    expect(seen.isBefore(ulid(18_999))).toBe(true);
    seen.ignoreUpTo(ulid(19_500));
    expect(seen.isBefore(ulid(19_400))).toBe(true);
    expect(seen.isBefore(ulid(19_600))).toBe(false);
  });

  test('what is remembered does not grow for ever, and never lacks any of the overlap', () => {
    const seen = seenMessages(1_000);
    const old = Array.from({ length: 6_000 }, (_, i) => ulid(10_000 + i * 10));
    for (const id of old) seen.add(id);
    expect(seen.add(old[0] ?? '')).toBe(true);
    expect(old.slice(-1_500).some((id) => seen.add(id))).toBe(false);

    const busy = seenMessages(1_000);
    const now = Array.from({ length: 8_000 }, () => ulid(60_000));
    for (const id of now) busy.add(id);
    expect(now.some((id) => busy.add(id))).toBe(false);
  });
});

test('backoff is anything up to its bound, which doubles up to the maximum', () => {
  fc.assert(
    fc.property(
      fc.nat(2_000),
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 60_000 }),
      (n, first, max) => {
        const wait = backoff(n, first, max);
        return wait >= 0 && wait <= Math.min(max, first * 2 ** n);
      },
    ),
  );
});

describe('what a token says', () => {
  test('is its user and when it expires', () => {
    const { userId, expiresAt } = tokenFacts(unsignedToken('jürgen', 60));
    expect(userId).toBe('jürgen');
    expect(Math.abs((expiresAt ?? 0) - Date.now() - 60_000)).toBeLessThan(5_000);
  });

  test('is nothing where it is no JWT, or one of another kind', () => {
    const part = (claims: unknown) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
    for (const token of ['', 'opaque', 'a.b.c', part(null), part(5), part({ sub: 5, exp: 'soon' })])
      expect(tokenFacts(token)).toEqual({});
  });
});

test('what fails after its caller has given up is no failure that nobody caught, which would end a Node process', async () => {
  const uncaught = vi.fn();
  process.on('unhandledRejection', uncaught);
  await expect(abortable(Promise.reject(new Error('late')), AbortSignal.abort())).rejects.toThrow('aborted');
  // Node tells when all that was to be done has been.
  await new Promise(setImmediate);
  process.off('unhandledRejection', uncaught);
  expect(uncaught).not.toHaveBeenCalled();
});

test('a time without an end is as long as a timer can be: any longer would be over at once', () => {
  const { timeoutMs, retries } = settingsOf({
    url: 'http://localhost',
    token: () => '',
    timeoutMs: Number.POSITIVE_INFINITY,
    retries: Number.POSITIVE_INFINITY,
  });
  expect([timeoutMs, retries]).toEqual([2 ** 31 - 1, Number.POSITIVE_INFINITY]);
});

test('what was pushed before a feed ended is still given out', async () => {
  const numbers = feed<number>(() => {});
  numbers.push(1);
  numbers.push(2);
  numbers.end();
  numbers.push(3);
  expect(await collect(numbers.iterator)).toEqual([1, 2]);
  expect(await numbers.iterator.next()).toEqual({ value: undefined, done: true });
});
