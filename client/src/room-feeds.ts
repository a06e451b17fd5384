import type { EventsFrame, Message, MyRoom, RoomSeq } from './contract.ts';
import { followFeed } from './follow.ts';
import type { RoomEvent } from './socket.ts';

/* The two feeds of a room that was joined with `rooms.v2`. */

/** Messages that were read. */
export interface MissedMessages {
  /** New messages. */
  readonly history: readonly Message[];
  /** Edited and deleted messages, in the order of their changes. */
  readonly changed: readonly Message[];
}

export interface RoomFeedsHost {
  /** Delivers an event in its order. */
  deliver(event: RoomEvent): void;
  /** Reads the missing messages. Retries until it succeeds or the signal aborts. */
  readMessages(signal: AbortSignal): Promise<MissedMessages>;
  /** Delivers messages that were read and messages of the feed, without duplicates. */
  release(read: MissedMessages, streamed: readonly Message[]): void;
  /** Reads the room. Retries until it succeeds or the signal aborts. */
  readRoom(signal: AbortSignal): Promise<MyRoom>;
  /** Delivers the current room after other events were missed. */
  onRoom(room: MyRoom): void;
  onFailure(error: unknown): void;
}

export interface RoomFeeds {
  /** Whether messages or other events were missed since the feeds were lost, by the numbers in the reply to a join. */
  hasMissed(feed: keyof RoomSeq, seq: RoomSeq): boolean;
  /** Starts from the numbers in the reply to a join. Delivers the events that have arrived since. */
  start(seq: RoomSeq): void;
  take(frame: EventsFrame): void;
  /**
   * Returns a function that processes the numbers in the reply to a ping that is sent now. It returns false if events
   * can no longer be followed, because the service has lost the join, or its table was restored and counts from an
   * earlier number.
   */
  ask(): (seq: RoomSeq | undefined) => boolean;
  /** Call it when the socket or the join is lost. */
  lost(): void;
}

/** Returns the events of a frame in the format of `rooms.v1`. */
export const unpack = ({
  room_id,
  sent_at,
  events,
}: Pick<EventsFrame, 'room_id' | 'sent_at' | 'events'>): RoomEvent[] =>
  events.map((event) => ({ ...event, room_id, sent_at }));

const messagesOf = (events: readonly RoomEvent[]): Message[] =>
  events.flatMap((event) => (event.type === 'message' ? [event.data] : []));

export function roomFeeds(host: RoomFeedsHost): RoomFeeds {
  const { onFailure } = host;
  const deliver = (events: readonly RoomEvent[]) => {
    for (const event of events) host.deliver(event);
  };
  const feeds = {
    messages: followFeed<RoomEvent>({
      deliver,
      onFailure,
      async read(signal) {
        const read = await host.readMessages(signal);
        return (covered) => {
          host.release(read, messagesOf(covered));
          // Edits and deletions.
          deliver(covered.filter(({ type }) => type !== 'message'));
        };
      },
    }),
    changes: followFeed<RoomEvent>({
      deliver,
      onFailure,
      async read(signal) {
        const room = await host.readRoom(signal);
        return (covered) => {
          // The room was read after these events.
          deliver(covered);
          host.onRoom(room);
        };
      },
    }),
  };
  const both = [feeds.messages, feeds.changes] as const;

  return {
    hasMissed: (feed, seq) => feeds[feed].position !== seq[feed],
    start({ messages, changes }) {
      deliver(feeds.messages.start(messages));
      deliver(feeds.changes.start(changes));
    },
    take(frame) {
      const { feed, seq } = frame;
      // A newer service may send feeds with unknown events.
      if (feed !== 'messages' && feed !== 'changes') return;
      const events = unpack(frame);
      // Checks the message ID, because a restored table assigns numbers again.
      if (feed === 'messages') deliver(events.slice(0, Math.max(0, feeds.messages.position - seq + 1)));
      feeds[feed].take(seq, events);
    },
    ask() {
      const [messages, changes] = both.map(({ position }) => position);
      return (seq) => {
        if (!seq || seq.messages < Number(messages) || seq.changes < Number(changes)) return false;
        feeds.messages.told(seq.messages);
        feeds.changes.told(seq.changes);
        return true;
      };
    },
    lost() {
      for (const feed of both) feed.lost();
    },
  };
}
