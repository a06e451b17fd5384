/** A batch of a stream's records, and how often it has been tried again. */
export interface Batch<Item> {
  readonly items: readonly Item[];
  readonly retries: number;
}

export interface RetryRules {
  readonly bisect: boolean;
  readonly retryAttempts: number;
}

/** `all` where the function failed; `from` is the index of the first item that it reported as failed. */
export type Failure = 'none' | 'all' | { readonly from: number };

/** `next` goes on in this order, before anything newer; `givenUp` goes to the on-failure destination. */
export interface Aftermath<Item> {
  readonly next: readonly Batch<Item>[];
  readonly givenUp: readonly Item[];
}

/**
 * What comes after a batch of a stream, as Lambda has it
 * (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html): where items were reported, all
 * goes on from the first of them; where the function failed, in two halves if batches are bisected. Bisecting does not
 * count as a retry. What has been tried as often as it may be is given up.
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
  // Where some have been worked on, what is left is tried anew.
  const spent = from > 0 ? 0 : retries;
  if (spent >= retryAttempts) return { next: [], givenUp: rest };
  return { next: [{ items: rest, retries: spent + 1 }], givenUp: [] };
}
