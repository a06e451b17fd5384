import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `isTrue` returns true, and throws after 1 minute. The limit is generous, because duration is not tested here. */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`It never happened: ${what}`);
    await sleep(5);
  }
}

/** Collects all items until the iteration ends. `map` converts each of them. */
export async function collect<Item, Result = Item>(
  items: AsyncIterable<Item>,
  map: (item: Item) => Result = (item) => item as unknown as Result,
): Promise<Result[]> {
  const results: Result[] = [];
  for await (const item of items) results.push(map(item));
  return results;
}
