/**
 * Runs `work` for every item of the pages, at most `bound` at a time. The next page is fetched while the last is worked on.
 * Fails with the first error, of `work` or of the pages, after what has been started has ended.
 */
export async function forEachBounded<Item>(
  pages: AsyncIterable<readonly Item[]>,
  bound: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for await (const page of pages) {
      for (const item of page) {
        const task = work(item)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => running.delete(task));
        running.add(task);
        if (running.size >= bound) await Promise.race(running);
      }
    }
  } catch (error) {
    failures.push(error);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
