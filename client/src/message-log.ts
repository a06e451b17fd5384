import { byId, messageDedup, timeOf } from './message-dedup.ts';

/*
 * Decides which messages of a room to deliver, in which order, and how far back history must be read after a gap. Pure: no
 * I/O, no clock.
 *
 * What it relies on:
 * 1. A page of history holds every message that was stored before it was requested.
 * 2. A socket that has joined receives every message that is delivered after the join, in the order of storage, however late
 *    (the stream may lag), and possibly twice. A message that cannot be delivered closes the socket (`rooms.v1`) or leaves a gap in the
 *    numbers (`rooms.v2`, see sequence.ts), and history is read.
 * 3. A message is stored at most `overlapMs` after the time in its id.
 *
 * So, once a socket has joined and history has been read on it, everything up to the newest message of either is complete: the
 * frontier. The reply to an own `send` says nothing about the messages before it, and never moves the frontier.
 */

export interface Identified {
  readonly message_id: string;
}

export interface MessageLog<Message extends Identified> {
  /** True while messages are held back, because those before them may be missing. */
  readonly holding: boolean;
  /** True for a message that was delivered or is not wanted. */
  has(message_id: string): boolean;
  /** True where the history from this message back is complete, so that reading can stop. */
  isComplete(message_id: string): boolean;
  /** Holds messages back from now on: the socket was lost, or messages may be missing. */
  hold(): void;
  /** Takes a message from the stream. Returns the messages to deliver now: none while holding. */
  receive(message: Message): readonly Message[];
  /** Marks messages that history has, and that are not wanted. With `andOlder`, also everything up to that id. */
  skip(messages: readonly Identified[], andOlder?: string): void;
  /**
   * Takes history that was read from the newest message back to a complete one, after the join, and messages of the stream that history covers. Returns
   * the messages to deliver: those and the held ones, once each, in the order of their ids. Ends holding.
   */
  catchUp(history: readonly Message[], streamed?: readonly Message[]): readonly Message[];
}

/** Returns a log that holds messages back until the first `catchUp`. */
export function messageLog<Message extends Identified>(overlapMs: number): MessageLog<Message> {
  const dedup = messageDedup();
  let held: Message[] | undefined = [];
  /** The newest message up to which, but for the overlap, nothing is missing. */
  let frontier = '';
  /** Everything before this time, in epoch milliseconds, is complete. */
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
