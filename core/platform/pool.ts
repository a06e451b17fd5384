/** Runs work when a slot is free, and returns its result. */
export type Run = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs at most `bound` pieces of work at a time. Further work waits, in order. */
export const pool = (bound: number): Run => sharedPool(bound)(bound);

interface Group {
  running: number;
  readonly bound: number;
  readonly waiting: (() => void)[];
}

/**
 * Creates a pool that several groups of work share. At most `bound` pieces run at a time in total, and each group has
 * its own limit. Waiting groups alternate, so that a small group does not wait for all of a large one. Within a group,
 * work starts in order.
 *
 * @param first the number of slots at first. Each piece of work that ends adds one, up to `bound`. Default: `bound`
 */
export function sharedPool(bound: number, first = bound): (ownBound: number) => Run {
  let places = first;
  let free = first;
  /** Groups with waiting work that are below their own limit. They take turns. */
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
