import { describe, expect, test } from 'vitest';
import { forEachBounded } from '../../core/realtime/pool.ts';

/** Work that ends when it is told to. */
function controlled() {
  const started: number[] = [];
  const ends = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  let under = 0;
  let peak = 0;
  return {
    started,
    peak: () => peak,
    under: () => under,
    end: (n: number) => ends.get(n)?.resolve(),
    fail: (n: number) => ends.get(n)?.reject(new Error(`${n} failed`)),
    work(n: number): Promise<void> {
      started.push(n);
      peak = Math.max(peak, ++under);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      ends.set(n, { resolve, reject });
      return promise.finally(() => under--);
    },
  };
}
async function* pages(...all: (number[] | Error)[]) {
  for (const page of all) {
    if (page instanceof Error) throw page;
    yield page;
  }
}
/** Lets everything happen that waits for nothing but its turn. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('work on pages', () => {
  test('is started up to the bound, and goes on as soon as any of it has ended', async () => {
    const { work, started, end, peak } = controlled();
    const all = forEachBounded(pages([1, 2], [], [3, 4, 5]), 3, work);
    await settled();
    expect(started).toEqual([1, 2, 3]);
    end(2);
    await settled();
    expect(started).toEqual([1, 2, 3, 4]);
    for (const n of [1, 3, 4]) end(n);
    await settled();
    end(5);
    await all;
    expect(started).toEqual([1, 2, 3, 4, 5]);
    expect(peak()).toBe(3);
  });

  test('is all done, also where some of it fails; the first error is thrown in the end', async () => {
    const { work, started, end, fail } = controlled();
    const all = forEachBounded(pages([1, 2, 3]), 1, work);
    all.catch(() => undefined);
    await settled();
    fail(1);
    await settled();
    fail(2);
    await settled();
    end(3);
    await expect(all).rejects.toThrow('1 failed');
    expect(started).toEqual([1, 2, 3]);
  });

  test('that has been started is waited for where a page cannot be had', async () => {
    const { work, end, under } = controlled();
    let over = false;
    const all = forEachBounded(pages([1, 2], new Error('no page')), 5, work).finally(() => {
      over = true;
    });
    all.catch(() => undefined);
    await settled();
    end(1);
    await settled();
    expect([over, under()]).toEqual([false, 1]);
    end(2);
    await expect(all).rejects.toThrow('no page');
  });
});
