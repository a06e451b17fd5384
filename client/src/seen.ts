const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_LENGTH = 10;

/** The time in a message's id (a ULID), in epoch milliseconds. */
export const timeOf = (message_id: string): number =>
  [...message_id.slice(0, TIME_LENGTH)].reduce((time, digit) => time * 32 + ALPHABET.indexOf(digit), 0);

/** Message ids sort as the messages were sent. */
export const byId = (a: { readonly message_id: string }, b: { readonly message_id: string }): number =>
  a.message_id < b.message_id ? -1 : a.message_id > b.message_id ? 1 : 0;

/** Ids that are remembered although they are older than the overlap: a sender may make the service broadcast one again. */
const KEPT = 5_000;

export interface Seen {
  /** True for an id that is new; it is not the next time. */
  add(message_id: string): boolean;
  /** True where history need not be read from this message on back: it and all before were seen, or are not wanted. */
  isBefore(message_id: string): boolean;
  /** Nothing up to this id is wanted, unless it comes in live. */
  ignoreUpTo(message_id: string): void;
}

/**
 * Which messages of a room the application has seen. Messages that are under way at the same time may be stored in another
 * order than they arrive in, so that only those older than the newest one seen by `overlapMs` are known to be complete.
 */
export function seenMessages(overlapMs: number): Seen {
  const ids = new Set<string>();
  let newest = 0;
  let bottom = '';
  const forget = () => {
    for (const id of ids) {
      if (ids.size <= KEPT || timeOf(id) >= newest - overlapMs) return;
      ids.delete(id);
    }
  };
  return {
    add(id) {
      if (ids.has(id)) return false;
      ids.add(id);
      newest = Math.max(newest, timeOf(id));
      forget();
      return true;
    },
    isBefore: (id) => id <= bottom || timeOf(id) < newest - overlapMs,
    ignoreUpTo(id) {
      bottom = id;
    },
  };
}
