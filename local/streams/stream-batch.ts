/** A batch of a stream's records, and the number of its retries. */
export interface Batch<Item> {
  readonly items: readonly Item[];
  readonly retries: number;
}

export interface RetryRules {
  readonly bisect: boolean;
  readonly retryAttempts: number;
}

/** `all` if the function failed; `from` is the index of the first item that it reported as failed. */
export type Failure = 'none' | 'all' | { readonly from: number };

/**
 * `next` are the following batches, in this order, before newer records; `givenUp` goes to the on-failure
 * destination.
 */
export interface Aftermath<Item> {
  readonly next: readonly Batch<Item>[];
  readonly givenUp: readonly Item[];
}

/**
 * Returns what follows a batch of a stream, as in Lambda. If items were reported as failed, processing continues with
 * the first of them. If the function failed and batches are bisected, it continues with two halves; bisecting does
 * not count as a retry. A batch without further retries goes to the on-failure destination.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
 */
export function afterBatch<Item>(
  { items, retries }: Batch<Item>,
  failure: Failure,
  { bisect, retryAttempts }: RetryRules,
): Aftermath<Item> {
  if (failure === 'none') return { next: [], givenUp: [] };
  if (failure === 'all' && bisect && items.length > 1) {
    const half = Math.ceil(items.length / 2);
    const halves = [items.slice(0, half), items.slice(half)];
    return { next: halves.map((part) => ({ items: part, retries })), givenUp: [] };
  }
  const from = failure === 'all' ? 0 : failure.from;
  const rest = items.slice(from);
  // After partial success, the rest starts with no retries.
  const spent = from > 0 ? 0 : retries;
  if (spent >= retryAttempts) return { next: [], givenUp: rest };
  return { next: [{ items: rest, retries: spent + 1 }], givenUp: [] };
}
