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
