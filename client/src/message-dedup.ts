const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_LENGTH = 10;

/** Returns the time in a message id (a ULID), in epoch milliseconds. */
export const timeOf = (message_id: string): number =>
  [...message_id.slice(0, TIME_LENGTH)].reduce((time, digit) => time * 32 + ALPHABET.indexOf(digit), 0);

/** Sorts messages by id, which is the order of history. */
export const byId = (a: { readonly message_id: string }, b: { readonly message_id: string }): number =>
  a.message_id < b.message_id ? -1 : a.message_id > b.message_id ? 1 : 0;

/** Ids kept at least, so that a message that the service delivers hours late is still recognized as new or known. */
const KEPT = 5_000;

/** The ids that an application must not receive again: a set of ids, and a floor that stands for all ids up to it. */
export interface MessageDedup {
  has(message_id: string): boolean;
  /** Adds an id. Returns false for an id that was known. */
  add(message_id: string): boolean;
  /** Makes every id up to and including this one known. The floor never sinks. */
  raiseFloor(message_id: string): void;
  /** Replaces the oldest ids by a higher floor, once there are many. Keeps all ids that are not older than `time` (epoch milliseconds). */
  compact(time: number): void;
}

/**
 * Returns an empty {@link MessageDedup}.
 *
 * It is exact: no id is forgotten, however late its message is delivered again. Memory stays bounded because `compact` turns old ids into the floor.
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
