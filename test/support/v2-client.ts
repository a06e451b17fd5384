import type { Message } from '../../core/contract/answers.ts';
import type {
  DetachedFrame,
  EventsFrame,
  JoinedRoom,
  PackedEvent,
  RoomEvent,
  RoomSeq,
} from '../../core/contract/realtime.ts';
import { newSocket, reply, type Socket } from './socket.ts';

/* A minimal client of rooms.v2 that follows docs/reference/websocket.md. */

export type Frame = EventsFrame | DetachedFrame;
export type RoomFeed = keyof RoomSeq;

/** The events of a frame, in the format of rooms.v1. */
export const unpack = ({ room_id, sent_at, events }: Frame): RoomEvent[] =>
  events.map((event) => ({ ...event, room_id, sent_at }) as RoomEvent);

/** The number of the last event of a frame. */
const lastOf = ({ seq, events }: EventsFrame): number => seq + events.length - 1;

interface FeedState {
  /** The client has all events up to this number. */
  n: number;
  /** Frames that arrived after a gap. */
  held: EventsFrame[];
  /** The highest number that the server is known to have assigned. */
  known: number;
}

export interface V2Room {
  /** By ID, in the order in which they were delivered or read. */
  readonly messages: Map<string, Message>;
  /** All other events, in order. */
  readonly changes: PackedEvent[];
  readonly detached: DetachedFrame | undefined;
  /** How often missing events were read, by feed. */
  readonly reads: Readonly<Record<RoomFeed, number>>;
  /** Processes the reply to a join. */
  join(data: JoinedRoom): void;
  /** Processes the numbers in the reply to a ping. */
  ping(seq: RoomSeq): void;
  /** Processes a frame. */
  receive(frame: Frame): void;
  /** Reads the missing events, after the wait for late frames. */
  fillGaps(): Promise<void>;
}

/** @param read reads the missing events of a feed after a gap */
export function v2Room(read: {
  readonly messages: () => Promise<readonly Message[]>;
  readonly changes: () => Promise<unknown>;
}): V2Room {
  const feeds: Record<RoomFeed, FeedState> = {
    messages: { n: 0, held: [], known: 0 },
    changes: { n: 0, held: [], known: 0 },
  };
  const messages = new Map<string, Message>();
  const changes: PackedEvent[] = [];
  const reads = { messages: 0, changes: 0 };
  let detached: DetachedFrame | undefined;

  function deliver({ seq, events }: EventsFrame, state: FeedState): void {
    for (const [index, event] of events.entries()) {
      if (seq + index <= state.n) continue;
      if (event.type !== 'message') changes.push(event);
      else if (!messages.has(event.data.message_id)) messages.set(event.data.message_id, event.data);
    }
  }

  /** Delivers the held frames that continue without a gap. */
  function drain(state: FeedState): void {
    state.held.sort((a, b) => a.seq - b.seq);
    for (let frame = state.held[0]; frame && frame.seq <= state.n + 1; frame = state.held[0]) {
      state.held.shift();
      deliver(frame, state);
      state.n = Math.max(state.n, lastOf(frame));
    }
  }

  const room: V2Room = {
    messages,
    changes,
    get detached() {
      return detached;
    },
    reads,
    join({ seq }) {
      if (!seq) throw new Error('The connection does not speak rooms.v2.');
      for (const feed of ['messages', 'changes'] as const) feeds[feed] = { n: seq[feed], held: [], known: seq[feed] };
    },
    ping(seq) {
      for (const feed of ['messages', 'changes'] as const) feeds[feed].known = Math.max(feeds[feed].known, seq[feed]);
    },
    receive(frame) {
      if (frame.type === 'detached') {
        detached = frame;
        return;
      }
      if (frame.feed === 'user') throw new Error('This is about no room.');
      const state = feeds[frame.feed];
      state.known = Math.max(state.known, lastOf(frame));
      if (lastOf(frame) <= state.n) return;
      state.held.push(frame);
      drain(state);
    },
    async fillGaps() {
      for (const feed of ['messages', 'changes'] as const) {
        const state = feeds[feed];
        if (state.known <= state.n) continue;
        // A read that starts now contains every event that was numbered before.
        const upTo = state.known;
        reads[feed]++;
        if (feed === 'messages') for (const each of await read.messages()) messages.set(each.message_id, each);
        else await read.changes();
        for (const frame of state.held) deliver(frame, { ...state, n: state.n });
        state.held = state.held.filter((frame) => lastOf(frame) > upTo);
        state.n = Math.max(state.n, upTo);
        drain(state);
      }
    },
  };
  return room;
}

/** A new connection that speaks rooms.v2. */
export const newV2Socket = (user_id: string, token_expires_at?: number): Socket =>
  newSocket(user_id, token_expires_at, 'rooms.v2');

/** A new connection of a user that speaks rooms.v2 and has joined a room, with the reply to its join. */
export async function joinedV2(room_id: string, user_id: string, token_expires_at?: number) {
  const socket = newV2Socket(user_id, token_expires_at);
  return { socket, reply: await reply('join', socket, { room_id }) };
}
