/** A batch of a stream's records, and how often it has been tried again. */
export interface Batch<Item> {
  readonly items: readonly Item[];
  readonly retries: number;
}

export interface RetryRules {
  readonly bisect: boolean;
  readonly retryAttempts: number;
}

/** `next` goes on in this order, before anything newer; `givenUp` goes to the on-failure destination. */
export interface Aftermath<Item> {
  readonly next: readonly Batch<Item>[];
  readonly givenUp: readonly Item[];
}

/**
 * What comes after a batch, as Lambda has it for streams
 * (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html): all goes on from the first item
 * that has failed, in two halves where batches are bisected. Splitting does not count as a retry, but where nothing can be split any more,
 * each time does; and a batch that has been tried as often as it may be is given up.
 *
 * @param firstFailed index of the first item that has failed; undefined where none has
 */
export function afterBatch<Item>(
  { items, retries }: Batch<Item>,
  firstFailed: number | undefined,
  { bisect, retryAttempts }: RetryRules,
): Aftermath<Item> {
  if (firstFailed === undefined || firstFailed >= items.length) return { next: [], givenUp: [] };
  const rest = items.slice(firstFailed);
  // Something has been worked on: what is left is tried anew.
  const spent = firstFailed > 0 ? 0 : retries;
  if (bisect && rest.length > 1) {
    const half = Math.ceil(rest.length / 2);
    return {
      next: [
        { items: rest.slice(0, half), retries: spent },
        { items: rest.slice(half), retries: spent },
      ],
      givenUp: [],
    };
  }
  if (spent >= retryAttempts) return { next: [], givenUp: rest };
  return { next: [{ items: rest, retries: spent + 1 }], givenUp: [] };
}
