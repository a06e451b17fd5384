import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `isTrue`. It fails only after a minute, far longer than anything here takes: time is not what is tested. */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`It never happened: ${what}`);
    await sleep(5);
  }
}

/** Everything that comes, as `map` makes it. */
export async function collect<Item, Result = Item>(
  items: AsyncIterable<Item>,
  map: (item: Item) => Result = (item) => item as unknown as Result,
): Promise<Result[]> {
  const results: Result[] = [];
  for await (const item of items) results.push(map(item));
  return results;
}
