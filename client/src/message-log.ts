import { byId, messageDedup, timeOf } from './message-dedup.ts';

/*
 * Decides which messages of a room to deliver, in which order, and how far back history must be read after a gap. Pure:
 * no I/O, no clock.
 *
 * It relies on three properties:
 * 1. A page of history contains every message that was stored before the request.
 * 2. A joined socket receives every message that is delivered after the join, in stored order, possibly late and
 * possibly twice. If a message cannot be delivered, the socket is closed (`rooms.v1`) or the numbers have a gap
 * (`rooms.v2`, see sequence.ts), and history is read.
 * 3. A message is stored at most `overlapMs` after the time in its ID.
 *
 * After a socket has joined and history was read, everything up to the newest message of either is complete. That
 * message is the frontier. The reply to the user's own `send` does not prove that earlier messages arrived, so it never
 * moves the frontier.
 */

export interface Identified {
  readonly message_id: string;
}

export interface MessageLog<Message extends Identified> {
  /** Whether messages are held back because earlier ones may be missing. */
  readonly holding: boolean;
  /** Returns whether a message was delivered or is not wanted. */
  has(message_id: string): boolean;
  /** Returns whether history is complete from this message back, so that reading can stop. */
  isComplete(message_id: string): boolean;
  /** Starts holding messages back, because the socket was lost or messages may be missing. */
  hold(): void;
  /** Takes a message from the stream. Returns the messages to deliver now: none while messages are held back. */
  receive(message: Message): readonly Message[];
  /** Marks messages of history that are not wanted. With `andOlder`, also all older messages. */
  skip(messages: readonly Identified[], andOlder?: string): void;
  /**
   * Returns the messages to deliver after history was read: those of `history`, `streamed` and the held ones, by ID and
   * without duplicates. From now on, no messages are held back.
   *
   * @param history the messages from the newest one back to a complete one, read after the join
   * @param streamed messages that the socket received and `history` covers
   */
  catchUp(history: readonly Message[], streamed?: readonly Message[]): readonly Message[];
}

/** Returns a log that holds messages back until the first `catchUp`. */
export function messageLog<Message extends Identified>(overlapMs: number): MessageLog<Message> {
  const dedup = messageDedup();
  let held: Message[] | undefined = [];
  /** No message up to this one is missing, except within the overlap. */
  let frontier = '';
  /** All messages before this time are complete, in epoch milliseconds. */
  const completeBefore = () => (frontier ? timeOf(frontier) - overlapMs : 0);

  function advance(message_id: string): void {
    if (message_id > frontier) frontier = message_id;
  }

  return {
    get holding() {
      return held !== undefined;
    },
    has: dedup.has,
    isComplete: (id) => timeOf(id) < completeBefore(),
    hold() {
      held ??= [];
    },
    receive(message) {
      if (held) {
        held.push(message);
        return [];
      }
      advance(message.message_id);
      const isNew = dedup.add(message.message_id);
      dedup.compact(completeBefore());
      return isNew ? [message] : [];
    },
    skip(messages, andOlder) {
      for (const { message_id } of messages) {
        dedup.add(message_id);
        advance(message_id);
      }
      if (andOlder) dedup.raiseFloor(andOlder);
    },
    catchUp(history, streamed = []) {
      const found = [...history, ...(held ?? []), ...streamed].sort(byId);
      held = undefined;
      const newest = found.at(-1);
      if (newest) advance(newest.message_id);
      const fresh = found.filter(({ message_id }) => dedup.add(message_id));
      dedup.compact(completeBefore());
      return fresh;
    },
  };
}
