import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { feed } from '../../client/src/events.ts';
import { tokenFacts } from '../../client/src/jwt.ts';
import { settingsOf } from '../../client/src/options.ts';
import { abortable, backoff } from '../../client/src/timing.ts';
import { collect } from './until.ts';
import { unsignedToken } from './wire-server.ts';

test('backoff is random up to a bound that doubles up to the maximum', () => {
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

describe('tokenFacts', () => {
  test('returns the user and the expiry of a token', () => {
    const { userId, expiresAt } = tokenFacts(unsignedToken('jürgen', 60));
    expect(userId).toBe('jürgen');
    expect(Math.abs((expiresAt ?? 0) - Date.now() - 60_000)).toBeLessThan(5_000);
  });

  test('returns no facts for text that is not a JWT, and for other kinds of tokens', () => {
    const part = (claims: unknown) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;
    for (const token of ['', 'opaque', 'a.b.c', part(null), part(5), part({ sub: 5, exp: 'soon' })])
      expect(tokenFacts(token)).toEqual({});
  });
});

test('a rejection after the caller has aborted is handled, so that it does not end a Node process', async () => {
  const uncaught = vi.fn();
  process.on('unhandledRejection', uncaught);
  await expect(abortable(Promise.reject(new Error('late')), AbortSignal.abort())).rejects.toThrow('aborted');
  // Node reports unhandled rejections before the next `setImmediate`.
  await new Promise(setImmediate);
  process.off('unhandledRejection', uncaught);
  expect(uncaught).not.toHaveBeenCalled();
});

test('an infinite wait is as long as a timer can be: a longer one would fire at once', () => {
  const { timeoutMs, retries } = settingsOf({
    url: 'http://localhost',
    token: () => '',
    timeoutMs: Number.POSITIVE_INFINITY,
    retries: Number.POSITIVE_INFINITY,
  });
  expect([timeoutMs, retries]).toEqual([2 ** 31 - 1, Number.POSITIVE_INFINITY]);
});

test('a feed yields what was pushed before it ended', async () => {
  const numbers = feed<number>(() => {});
  numbers.push(1);
  numbers.push(2);
  numbers.end();
  numbers.push(3);
  expect(await collect(numbers.iterator)).toEqual([1, 2]);
  expect(await numbers.iterator.next()).toEqual({ value: undefined, done: true });
});

test('a reader that stops early ends the feed, and unread entries are dropped', async () => {
  const onReturn = vi.fn();
  const numbers = feed<number>(onReturn);
  numbers.push(1);
  numbers.push(2);
  expect(await numbers.iterator.next()).toEqual({ value: 1, done: false });
  expect(await numbers.iterator.return?.()).toEqual({ value: undefined, done: true });
  expect(onReturn).toHaveBeenCalledOnce();
  expect(await numbers.iterator.next()).toEqual({ value: undefined, done: true });
});
