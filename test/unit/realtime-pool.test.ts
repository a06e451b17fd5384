import { describe, expect, test } from 'vitest';
import { pool } from '../../core/realtime/pool.ts';
import { slicesOf } from '../../core/realtime/slices.ts';

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

describe('work in a pool', () => {
  test('is started up to the bound, and goes on, in order, as soon as any of it has ended', async () => {
    const { work, started, end, peak } = controlled();
    const run = pool(3);
    const all = Promise.all([1, 2, 3, 4, 5].map((n) => run(() => work(n))));
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

  test('that fails makes room for others all the same', async () => {
    const { work, started, end, fail } = controlled();
    const run = pool(1);
    const [first, second] = [run(() => work(1)), run(() => work(2))];
    first.catch(() => undefined);
    await settled();
    fail(1);
    await expect(first).rejects.toThrow('1 failed');
    await settled();
    expect(started).toEqual([1, 2]);
    end(2);
    await second;
    // Nothing has been lost: the next one finds room at once.
    expect(await run(async () => 'done')).toBe('done');
  });
});

describe('slices of pages', () => {
  async function all(slices: AsyncIterable<number[]>): Promise<number[][]> {
    const found: number[][] = [];
    for await (const slice of slices) found.push(slice);
    return found;
  }

  test('have a size, whatever that of the pages, and the last has what is left', async () => {
    expect(await all(slicesOf(pages([1, 2], [], [3, 4, 5, 6, 7]), 3))).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
    expect(await all(slicesOf(pages([1, 2], [3, 4]), 2))).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(await all(slicesOf(pages([]), 2))).toEqual([]);
  });

  test('are had as soon as they are full, though the next page cannot be', async () => {
    const slices = slicesOf(pages([1, 2, 3], new Error('no page')), 2);
    expect(await slices.next()).toEqual({ done: false, value: [1, 2] });
    await expect(slices.next()).rejects.toThrow('no page');
  });
});
