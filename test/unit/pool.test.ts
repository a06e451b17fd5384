import { describe, expect, test, vi } from 'vitest';
import { pool, sharedPool } from '../../core/platform/pool.ts';
import { batchesOf } from '../../core/realtime/batches.ts';

/** Work that runs until the test ends it. */
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
/** Lets all work start that is not waiting for a slot. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('work in a pool', () => {
  test('runs up to the limit, and the rest starts in order as slots become free', async () => {
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

  test('frees its slot even if it fails', async () => {
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
    // The failed work has freed its slot: the next work starts at once.
    expect(await run(async () => 'done')).toBe('done');
  });
});

describe('a shared pool', () => {
  test('limits the running work in total and for each group', async () => {
    const { work, started, end, peak } = controlled();
    const share = sharedPool(5);
    const [large, small] = [share(3), share(3)];
    const all = [1, 2, 3, 4, 5, 6].map((n) => large(() => work(n)));
    await settled();
    // Two slots are free, but this group has reached its own limit.
    expect(started).toEqual([1, 2, 3]);
    all.push(...[11, 12, 13, 14].map((n) => small(() => work(n))));
    await settled();
    expect(started).toEqual([1, 2, 3, 11, 12]);
    end(1);
    await settled();
    expect(started).toHaveLength(6);
    for (let n = 0; n < 14; n++) {
      for (const each of [...started]) end(each);
      await settled();
    }
    await Promise.all(all);
    expect(started.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 11, 12, 13, 14]);
    expect(peak()).toBe(5);
  });

  test('starts with few slots, and adds one for each piece of work that ends', async () => {
    const { work, started, end } = controlled();
    const run = sharedPool(4, 2)(4);
    const all = Array.from({ length: 20 }, (_, n) => run(() => work(n)));
    await settled();
    expect(started).toHaveLength(2);
    end(0);
    await settled();
    expect(started).toHaveLength(4);
    end(1);
    await settled();
    expect(started).toHaveLength(6);
    // All slots exist now.
    end(2);
    await settled();
    expect(started).toHaveLength(7);
    while (started.length < 20) {
      for (const each of [...started]) end(each);
      await settled();
    }
    for (const each of started) end(each);
    await Promise.all(all);
  });

  test('alternates between groups, so that a small one does not wait for all of a large one', async () => {
    const { work, started, end } = controlled();
    const share = sharedPool(2);
    const [large, small] = [share(2), share(2)];
    const all = [
      ...Array.from({ length: 100 }, (_, n) => large(() => work(n))),
      ...[200, 201].map((n) => small(() => work(n))),
    ];
    await settled();
    expect(started).toEqual([0, 1]);
    for (const n of [0, 1, 2, 200]) {
      end(n);
      await settled();
    }
    expect(started.slice(0, 6)).toContain(200);
    expect(started.slice(0, 6)).toContain(201);
    while (started.length < 102) {
      for (const each of [...started]) end(each);
      await settled();
    }
    for (const each of started) end(each);
    await Promise.all(all);
    // Each group's work started in order.
    expect(started.filter((n) => n < 200)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });
});

test('a process runs 25 requests to the gateway at first, and 200 later', async () => {
  // Loads the pool again, as in a new process, because it grows over time.
  vi.resetModules();
  const { requestPool } = await import('../../core/realtime/gateway.ts');
  const { work, started, end, peak } = controlled();
  const run = requestPool(1_000);
  const all = Array.from({ length: 600 }, (_, n) => run(() => work(n)));
  await settled();
  expect(started).toHaveLength(25);
  for (let ended = 0; ended < all.length; ) {
    for (const stop = started.length; ended < stop; ended++) end(ended);
    await settled();
  }
  await Promise.all(all);
  expect(peak()).toBe(200);
});

test('batches have a fixed size, and the last has the rest', () => {
  expect(batchesOf([1, 2, 3, 4, 5, 6, 7], 3)).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
  expect(batchesOf([1, 2, 3, 4], 2)).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(batchesOf([], 2)).toEqual([]);
});
