import type { EventsFrame, Message, MyRoom, RoomSeq } from './contract.ts';
import { followFeed } from './follow.ts';
import type { RoomEvent } from './socket.ts';

/* The two feeds of a room that was joined with `rooms.v2`. */

/** What was read of a room's messages. */
export interface MissedMessages {
  /** New ones. */
  readonly history: readonly Message[];
  /** Edited and deleted ones, in the order of their changes. */
  readonly changed: readonly Message[];
}

export interface RoomFeedsHost {
  /** Delivers an event that comes in its turn. */
  deliver(event: RoomEvent): void;
  /** Reads the messages that are missing. Retries until that works or the signal aborts. */
  readMessages(signal: AbortSignal): Promise<MissedMessages>;
  /** Delivers what was read and messages of the feed, once each. */
  release(read: MissedMessages, streamed: readonly Message[]): void;
  /** Reads the room. Retries until that works or the signal aborts. */
  readRoom(signal: AbortSignal): Promise<MyRoom>;
  /** The room as it is now, after events that were missed. */
  onRoom(room: MyRoom): void;
  onFailure(error: unknown): void;
}

export interface RoomFeeds {
  /** Whether messages, or other events, were missed since the feeds were lost: the reply to a join has other numbers. */
  hasMissed(feed: keyof RoomSeq, seq: RoomSeq): boolean;
  /** Starts from the numbers in the reply to a join. Delivers the events that have come since. */
  start(seq: RoomSeq): void;
  take(frame: EventsFrame): void;
  /**
   * Returns a function that takes the numbers in the reply to a ping that is sent now. It returns false if events can
   * no longer be followed: the service knows of no join, or its table was restored and counts from an earlier number.
   */
  ask(): (seq: RoomSeq | undefined) => boolean;
  /** The socket or the join is lost. */
  lost(): void;
}

/** Returns the events of a frame as `rooms.v1` sends them. */
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
          // The room was read after them.
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
      // A feed that is newer than this client has events that it does not know.
      if (feed !== 'messages' && feed !== 'changes') return;
      const events = unpack(frame);
      // Whether a message is new, its ID says: a table that was restored uses numbers again.
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
