import { changeLog } from './change-log.ts';
import type { EventData, JoinedRoom, Message } from './contract.ts';
import { followFeed } from './follow.ts';
import { type MessageLog, messageLog } from './message-log.ts';
import { type MissedMessages, type RoomFeeds, type RoomFeedsHost, roomFeeds } from './room-feeds.ts';
import type { RoomEvent } from './socket.ts';

/* Delivers each event of a room once and in order. Holds events back while earlier ones may be missing. */

type ChangeEvent = RoomEvent<'message_updated' | 'message_deleted'>;

export interface InboxHost extends Omit<RoomFeedsHost, 'release'> {
  /** Delivers an event to the application. */
  emit(event: RoomEvent): void;
  /** Reads the changes that are missing. Retries until that works or the signal aborts. */
  readChanges(signal: AbortSignal): Promise<readonly Message[]>;
}

export interface RoomInbox {
  readonly log: MessageLog<Message>;
  /** The number of the last edit or deletion that was delivered; NaN before it is known. */
  readonly lastChange: number;
  /** The number of the last edit or deletion, in the reply to the last join. Undefined if the service does not support edits. */
  readonly joinedChange: number | undefined;
  /** Processes the reply to a join. `lastChange`: see `JoinOptions`. */
  onJoined(reply: JoinedRoom, lastChange: number | undefined): void;
  /** The feeds of `rooms.v2`. */
  readonly numbered: Omit<RoomFeeds, 'lost'>;
  /** Holds messages and events back from now on. */
  hold(): void;
  /** Processes an event: delivers it, holds it back, or drops it if it was delivered before. */
  take(event: RoomEvent): void;
  /** Holds events until the next release. */
  keep(events: readonly RoomEvent[]): void;
  /** Delivers messages that were read and held messages in order, then edits and deletions, then other events. */
  release(read: MissedMessages, streamed?: readonly Message[]): void;
  /** Delivers the response to an own change at once, if no earlier change is missing. */
  takeAnswer(message: Message): void;
  /** Holds messages and events back, and stops following numbers. */
  suspend(): void;
}

const messageEvent = (data: Message): RoomEvent<'message'> => ({
  type: 'message',
  room_id: data.room_id,
  data,
  sent_at: data.sent_at,
});

const changeEvent = (data: Message, sent_at?: string): ChangeEvent => ({
  type: data.deleted_at ? 'message_deleted' : 'message_updated',
  room_id: data.room_id,
  data,
  sent_at: sent_at ?? data.deleted_at ?? data.edited_at ?? data.sent_at,
});

/** @param overlapMs How long after the time in its ID a message may be stored, in milliseconds */
export function roomInbox(overlapMs: number, host: InboxHost): RoomInbox {
  const { emit } = host;
  const log = messageLog<Message>(overlapMs);
  const changes = changeLog<Message>(log.has);
  /** Other events that arrived while messages were held back. */
  let held: readonly RoomEvent[] = [];
  let joinedChange: number | undefined;
  /** Delivered warnings, because they can be repeated. */
  const warned = new Set<string>();

  const deliverMessage = (message: Message) => emit(messageEvent(changes.admit(message)));

  /** Delivers a change in its order. */
  function deliverChange(message: Message, sent_at?: string): void {
    if (changes.take(message)) emit(changeEvent(message, sent_at));
  }
  const deliverChanges = (events: readonly ChangeEvent[]) => {
    for (const { data, sent_at } of events) deliverChange(data, sent_at);
  };

  function release(read: MissedMessages, streamed: readonly Message[] = []): void {
    const events = held;
    held = [];
    for (const message of log.catchUp(read.history, streamed)) deliverMessage(message);
    for (const message of read.changed) deliverChange(message);
    if (joinedChange !== undefined) deliverChanges(changeFeed.start(Math.max(joinedChange, changes.position)));
    for (const event of events) emit(event);
  }

  /**
   * The numbers of edits and deletions are independent of `rooms.v2`. They remain valid after outages, and `rooms.v1`
   * has them, too.
   */
  const changeFeed = followFeed<ChangeEvent>({
    deliver: deliverChanges,
    async read(signal) {
      const read = await host.readChanges(signal);
      return (covered) => {
        for (const message of read) deliverChange(message);
        deliverChanges(covered);
      };
    },
    onFailure: host.onFailure,
  });

  const numbered = roomFeeds({ ...host, release });

  function takeChange(event: ChangeEvent): void {
    // Changes were made after the reply to the join.
    if (joinedChange === undefined) deliverChanges([event]);
    else changeFeed.take(event.data.change ?? 0, [event]);
  }

  /** Returns whether a warning was delivered before. */
  function isWarned({ ends_at, seconds_left }: EventData['room_ending']): boolean {
    const { size } = warned;
    return warned.add(`${ends_at} ${seconds_left}`).size === size;
  }

  return {
    log,
    numbered,
    get lastChange() {
      return changes.position;
    },
    get joinedChange() {
      return joinedChange;
    },
    onJoined({ last_change }, lastChange) {
      joinedChange = last_change;
      if (last_change === undefined) return;
      if (Number.isNaN(changes.position)) changes.start(lastChange ?? last_change);
      // The table was restored, and counts from an earlier number.
      if (last_change < changes.position) changes.start(last_change);
    },
    hold: log.hold,
    take(event) {
      if (event.type === 'message') {
        for (const message of log.receive(event.data)) deliverMessage(message);
      } else if (event.type === 'message_updated' || event.type === 'message_deleted') takeChange(event);
      else if (event.type === 'room_ending' && isWarned(event.data)) return;
      else if (log.holding) held = [...held, event];
      else emit(event);
    },
    keep(events) {
      held = [...held, ...events];
    },
    release,
    takeAnswer(message) {
      if (message.change === changeFeed.position + 1) takeChange(changeEvent(message));
    },
    suspend() {
      log.hold();
      numbered.lost();
      changeFeed.lost();
    },
  };
}
