const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_LENGTH = 10;

/** Returns the time in a message ID (a ULID), in epoch milliseconds. */
export const timeOf = (message_id: string): number =>
  [...message_id.slice(0, TIME_LENGTH)].reduce((time, digit) => time * 32 + ALPHABET.indexOf(digit), 0);

/** Sorts messages by id, which is the order of history. */
export const byId = (a: { readonly message_id: string }, b: { readonly message_id: string }): number =>
  a.message_id < b.message_id ? -1 : a.message_id > b.message_id ? 1 : 0;

/**
 * The minimum number of IDs to keep, so that a message that is delivered hours late is still recognized as new or
 * known.
 */
const KEPT = 5_000;

/** The IDs that an application must not receive again: a set of IDs, and a floor below which all IDs count as known. */
export interface MessageDedup {
  has(message_id: string): boolean;
  /** Adds an ID. Returns false if it was already known. */
  add(message_id: string): boolean;
  /** Marks all IDs up to this one as known. The floor never moves down. */
  raiseFloor(message_id: string): void;
  /** Replaces the oldest IDs by a higher floor if there are many. Keeps all IDs since `time` (epoch milliseconds). */
  compact(time: number): void;
}

/**
 * Returns an empty {@link MessageDedup}.
 *
 * It is exact: a message is recognized no matter how late it is delivered again. Memory is bounded, because `compact`
 * replaces old IDs by the floor.
 */
export function messageDedup(): MessageDedup {
  const ids = new Set<string>();
  let floor = '';
  const has = (id: string) => id <= floor || ids.has(id);
  return {
    has,
    add(id) {
      if (has(id)) return false;
      ids.add(id);
      return true;
    },
    raiseFloor(id) {
      if (id > floor) floor = id;
    },
    compact(time) {
      // Sorting only at twice the size makes the cost per message constant.
      if (ids.size <= 2 * KEPT) return;
      for (const id of [...ids].sort().slice(0, -KEPT)) {
        if (timeOf(id) >= time) return;
        ids.delete(id);
        if (id > floor) floor = id;
      }
    },
  };
}
