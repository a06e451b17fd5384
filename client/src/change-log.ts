/*
 * Decides which edits and deletions of a room's messages to deliver. Pure: no I/O, no clock. sequence.ts finds out
 * which are missing.
 *
 * The service numbers the changes of a room's messages 1, 2, 3 and so on. This module relies on two properties:
 * 1. A message always contains the number of its last change.
 * 2. `take` gets changes in the order of their numbers, except for repeated ones. If a message was changed several
 * times, its last change replaces the earlier ones.
 *
 * Each change is delivered once: as a separate event, or within a message that was not delivered before.
 */

export interface Changed {
  readonly message_id: string;
  /** Number of the message's last change. */
  readonly change: number | null;
}

export interface ChangeLog<Message extends Changed> {
  /** All changes up to this number were delivered. NaN before `start`. */
  readonly position: number;
  /** Starts after a number. Earlier changes are ignored. */
  start(position: number): void;
  /**
   * Takes a message that is about to be delivered for the first time. Returns the message with its last known change.
   */
  admit(message: Message): Message;
  /** Takes a changed message. Returns whether to deliver the change. */
  take(message: Message): boolean;
}

/** @param isDelivered returns true for a message that was delivered, or will never be */
export function changeLog<Message extends Changed>(isDelivered: (message_id: string) => boolean): ChangeLog<Message> {
  let position = Number.NaN;
  /** Messages that were delivered with a change above the position, and that change. */
  const ahead = new Map<string, number>();
  /** Changed messages that were not delivered before. */
  const waiting = new Map<string, Message>();
  const numberOf = ({ change }: Changed) => change ?? 0;

  return {
    get position() {
      return position;
    },
    start(from) {
      position = from;
      ahead.clear();
      waiting.clear();
    },
    admit(message) {
      const { message_id } = message;
      const changed = waiting.get(message_id);
      waiting.delete(message_id);
      const newest = changed && numberOf(changed) > numberOf(message) ? changed : message;
      if (numberOf(newest) > position) ahead.set(message_id, numberOf(newest));
      return newest;
    },
    take(message) {
      const { message_id } = message;
      const number = numberOf(message);
      if (number <= position) return false;
      position = number;
      if (!isDelivered(message_id)) {
        waiting.set(message_id, message);
        return false;
      }
      const isKnown = (ahead.get(message_id) ?? 0) >= number;
      if (!isKnown || ahead.get(message_id) === number) ahead.delete(message_id);
      return !isKnown;
    },
  };
}
