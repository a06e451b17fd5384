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
 * The result of a batch. The batches in `next` are processed in this order, before newer records. The items in `discarded` go to
 * the on-failure destination.
 */
export interface Aftermath<Item> {
  readonly next: readonly Batch<Item>[];
  readonly discarded: readonly Item[];
}

/**
 * Returns the next batches after a batch of a stream, as in Lambda. If items were reported as failed, processing continues
 * with the first of them. If the function failed and bisecting is enabled, processing continues with two halves. Bisecting
 * does not count as a retry. A batch without further retries goes to the on-failure destination.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
 */
export function afterBatch<Item>(
  { items, retries }: Batch<Item>,
  failure: Failure,
  { bisect, retryAttempts }: RetryRules,
): Aftermath<Item> {
  if (failure === 'none') return { next: [], discarded: [] };
  if (failure === 'all' && bisect && items.length > 1) {
    const half = Math.ceil(items.length / 2);
    const halves = [items.slice(0, half), items.slice(half)];
    return { next: halves.map((part) => ({ items: part, retries })), discarded: [] };
  }
  const from = failure === 'all' ? 0 : failure.from;
  const rest = items.slice(from);
  // Partial success resets the number of retries.
  const spent = from > 0 ? 0 : retries;
  if (spent >= retryAttempts) return { next: [], discarded: rest };
  return { next: [{ items: rest, retries: spent + 1 }], discarded: [] };
}
