import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { followFeed, GAP_JITTER_MS, PING_LEAD_MS } from '../../client/src/follow.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Follows a feed from sequence number 10, and records what is delivered and read. A read ends when the test calls `finish`. */
function feed() {
  const delivered: string[] = [];
  const onFailure = vi.fn();
  const reads: { readonly signal: AbortSignal; finish(): void; fail(error: Error): void }[] = [];
  const followed = followFeed<string>({
    deliver: (events) => delivered.push(...events),
    read: (signal) =>
      new Promise((resolve, reject) => {
        const finish = () => resolve((covered) => delivered.push('read', ...covered));
        reads.push({ signal, finish, fail: reject });
      }),
    onFailure,
  });
  followed.start(10);
  return { followed, delivered, reads, onFailure };
}

test('reads missing events once, within 2 seconds, even if many frames show the gap', async () => {
  const { followed, delivered, reads } = feed();
  for (const n of [12, 13, 15]) followed.take(n, [String(n)]);
  followed.told(15);
  await vi.advanceTimersByTimeAsync(GAP_JITTER_MS);
  expect(reads).toHaveLength(1);
  followed.take(16, ['16']);
  reads[0]?.finish();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(delivered).toEqual(['read', '12', '13', '15', '16']);
  expect(reads).toHaveLength(1);
  expect(followed.position).toBe(16);
});

test('reads nothing if the missing frame arrives in time', async () => {
  const { followed, delivered, reads } = feed();
  followed.take(12, ['12']);
  followed.take(11, ['11']);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(reads).toEqual([]);
  expect(delivered).toEqual(['11', '12']);
});

test('waits for a random time, so that clients that miss the same frame do not read at the same time', async () => {
  const waits: number[] = [];
  for (let n = 0; n < 40; n++) {
    const { followed, reads } = feed();
    const since = Date.now();
    followed.take(12, []);
    while (reads.length === 0) await vi.advanceTimersByTimeAsync(50);
    waits.push(Date.now() - since);
  }
  expect(Math.min(...waits)).toBeLessThan(GAP_JITTER_MS / 3);
  expect(Math.max(...waits)).toBeGreaterThan((2 * GAP_JITTER_MS) / 3);
  expect(Math.max(...waits)).toBeLessThanOrEqual(GAP_JITTER_MS + 50);
});

test('waits 3 seconds longer if a ping has overtaken the frame', async () => {
  const { followed, reads } = feed();
  followed.told(11);
  await vi.advanceTimersByTimeAsync(PING_LEAD_MS - 1);
  expect(reads).toEqual([]);
  await vi.advanceTimersByTimeAsync(GAP_JITTER_MS + 1);
  expect(reads).toHaveLength(1);
});

test('reads again for a gap that it notices after the read began', async () => {
  const { followed, delivered, reads } = feed();
  followed.take(12, ['12']);
  await vi.advanceTimersByTimeAsync(GAP_JITTER_MS);
  followed.take(14, ['14']);
  reads[0]?.finish();
  await vi.advanceTimersByTimeAsync(0);
  expect(delivered).toEqual(['read', '12']);
  await vi.advanceTimersByTimeAsync(GAP_JITTER_MS);
  expect(reads).toHaveLength(2);
  reads[1]?.finish();
  await vi.advanceTimersByTimeAsync(0);
  expect(delivered).toEqual(['read', '12', 'read', '14']);
});

test('cancels a read if the missing frame arrives or the socket closes', async () => {
  for (const end of ['frame', 'lost'] as const) {
    const { followed, delivered, reads, onFailure } = feed();
    followed.take(12, ['12']);
    await vi.advanceTimersByTimeAsync(GAP_JITTER_MS);
    if (end === 'frame') followed.take(11, ['11']);
    else followed.lost();
    expect(reads[0]?.signal.aborted).toBe(true);
    reads[0]?.finish();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(delivered).toEqual(end === 'frame' ? ['11', '12'] : []);
    expect(onFailure).not.toHaveBeenCalled();
  }
});

test('reports a read that fails permanently', async () => {
  const { followed, reads, onFailure } = feed();
  followed.take(12, ['12']);
  await vi.advanceTimersByTimeAsync(GAP_JITTER_MS);
  const error = new Error('You were removed.');
  reads[0]?.fail(error);
  await vi.advanceTimersByTimeAsync(0);
  expect(onFailure.mock.calls).toEqual([[error]]);
});

test('leaves no timer running when its socket closes', () => {
  const { followed } = feed();
  followed.take(12, ['12']);
  expect(vi.getTimerCount()).toBe(1);
  followed.lost();
  expect(vi.getTimerCount()).toBe(0);
});

test('reads once for any number of changes that are missed together', () =>
  fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 12, max: 60 }), { minLength: 1 }), async (numbers) => {
      const { followed, reads } = feed();
      for (const number of numbers) followed.take(number, [String(number)]);
      await vi.advanceTimersByTimeAsync(GAP_JITTER_MS);
      reads[0]?.finish();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(reads).toHaveLength(1);
      expect(followed.position).toBe(Math.max(...numbers));
    }),
    { numRuns: 50 },
  ));
