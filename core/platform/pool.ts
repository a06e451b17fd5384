/** Runs work when there is capacity for it, and returns its result. */
export type Run = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs at most `bound` pieces of work at a time. The rest waits for its turn, in order. */
export const pool = (bound: number): Run => sharedPool(bound)(bound);

interface Group {
  running: number;
  readonly bound: number;
  readonly waiting: (() => void)[];
}

/**
 * Makes a pool that groups of work share: at most `bound` pieces run at a time in all, and at most its own bound in each group.
 * Groups that wait take turns, so that a small one is done soon beside a large one. The work of one group starts in order.
 *
 * @param first how many pieces run at a time at first: each that ends makes room for one more, up to `bound`. Default: `bound`
 */
export function sharedPool(bound: number, first = bound): (ownBound: number) => Run {
  let places = first;
  let free = first;
  /** The groups that have work to start and are below their own bound, in turn. */
  const ready: Group[] = [];

  const canStart = ({ running, bound, waiting }: Group): boolean => waiting.length > 0 && running < bound;

  function startNext(): void {
    while (free > 0) {
      const group = ready.shift();
      if (!group) return;
      free--;
      group.running++;
      group.waiting.shift()?.();
      if (canStart(group)) ready.push(group);
    }
  }

  return (ownBound) => {
    const group: Group = { running: 0, bound: ownBound, waiting: [] };
    const enqueue = () => {
      if (canStart(group) && !ready.includes(group)) ready.push(group);
      startNext();
    };
    return async (work) => {
      await new Promise<void>((resolve) => {
        group.waiting.push(resolve);
        enqueue();
      });
      try {
        return await work();
      } finally {
        free++;
        if (places < bound) {
          places++;
          free++;
        }
        group.running--;
        enqueue();
      }
    };
  };
}
