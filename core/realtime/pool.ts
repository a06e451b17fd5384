/** Runs what it is given, and answers with what that gives. */
export type Run = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs at most `bound` at a time; what is above waits for its turn, in order. */
export function pool(bound: number): Run {
  let free = bound;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

/** The items of all pages in slices of `size`, each as soon as there are enough for it. The last may be smaller. */
export async function* slicesOf<Item>(pages: AsyncIterable<readonly Item[]>, size: number): AsyncGenerator<Item[]> {
  let slice: Item[] = [];
  for await (const page of pages)
    for (const item of page) {
      slice.push(item);
      if (slice.length < size) continue;
      yield slice;
      slice = [];
    }
  if (slice.length > 0) yield slice;
}
