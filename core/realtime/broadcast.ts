import type { Message } from '../contract/answers.ts';
import type { RoomEvent } from '../contract/realtime.ts';
import type { Deadline } from '../platform/deadline.ts';
import { count } from '../platform/emf.ts';
import { furtherFailure } from '../platform/log.ts';
import { settleAll } from '../platform/settle-all.ts';
import { connectionsOf, type RoomConnections } from '../store/connections.ts';
import type { LastMessage } from '../store/items.ts';
import { enterLane, isInLane } from '../store/lane.ts';
import { numberEvents, type RoomFeed, recordSent } from '../store/sequence.ts';
import {
  type Counts,
  deliverPatiently,
  disconnectMarked,
  type Left,
  noCounts,
  onTable,
  postsEach,
  roomPool,
  type Task,
} from './deliver.ts';
import { considerDigests } from './digest-mode.ts';
import { handToLane } from './lane-queue.ts';
import { batchIdentity, isNumbered } from './pack.ts';
import { patienceWithin } from './patience.ts';

/*
 * Sends events to a room. Large rooms, and connections that do not respond, are left to the room's lane, so that the
 * stream reader continues with other rooms. See docs/decisions/0032-lanes.md.
 */

/**
 * A task with more posts goes through the room's lane. One invocation makes this many posts in a quarter of a second
 * (`npm run bench:fanout`).
 */
export const MAX_POSTS_HERE = 500;

export interface Broadcast extends Counts {
  /** True if the room's lane will deliver the events later. */
  readonly isHanded: boolean;
  /** The number of connections that did not respond in time. The room's lane will deliver the events to them. */
  readonly left: number;
}

const nothingSent = (isHanded: boolean): Broadcast => ({ ...noCounts(), isHanded, left: 0 });

/** The source of a broadcast's events. */
export interface Origin {
  readonly feed: RoomFeed;
  /** Identifies the batch, for example by the ID of its first stream record. A repeated delivery has the same ID. */
  readonly source: string;
  /** When the changes that led to the events were stored, in epoch milliseconds. */
  readonly stored_at?: readonly number[];
}

/** Returns the newest message among events. `has_unread` and `last_message_at` of rooms depend on it. */
function lastMessageOf(events: readonly RoomEvent[]): LastMessage | undefined {
  const messages = events.flatMap((event) => (event.type === 'message' ? [event.data] : []));
  const newest = messages.reduce<Message | undefined>(
    (last, message) => (last && last.message_id > message.message_id ? last : message),
    undefined,
  );
  return newest && { last_message_id: newest.message_id, last_sender_id: newest.sender_id };
}

/** Returns whether a task is too large for a function that also has to process other rooms. */
export const isLarge = (room_id: string, task: Task, { live }: Pick<RoomConnections, 'live'>): boolean =>
  live.length * Math.max(1, postsEach(room_id, task, live)) > MAX_POSTS_HERE;

/**
 * Sends events to every connection that has joined a room. Each connection receives them in order, and all connections
 * are served in parallel, within a limit. A connection that is slow, gone, or has an expired token does not delay the
 * others.
 *
 * The events are numbered before the connections are read: see docs/decisions/0030-rooms-v2.md.
 *
 * @throws if the events cannot be numbered, the connections cannot be read, or the lane of a large room fails: in these
 * cases, nothing was sent. Also if connections that may be open can neither be marked nor left to the lane
 */
export async function broadcast(
  room_id: string,
  events: readonly RoomEvent[],
  { feed, source, stored_at }: Origin,
  deadline: Deadline,
): Promise<Broadcast> {
  if (events.length === 0) return nothingSent(false);
  const of = { feed, room_id };
  const numbered = events.filter(isNumbered);
  const { first, isSent, inLane } =
    numbered.length > 0
      ? await onTable(() => numberEvents(of, numbered.length, batchIdentity(source, numbered), lastMessageOf(numbered)))
      : { first: 0, isSent: false, inLane: await onTable(() => isInLane(of)) };
  if (isSent) return nothingSent(inLane);
  const task: Task = { kind: 'send', events, numbers: { feed, first }, ...(stored_at && { stored_at }) };
  const connections = inLane ? undefined : await onTable(() => connectionsOf(room_id));
  if (connections === undefined || isLarge(room_id, task, connections)) {
    if (!inLane) await onTable(() => enterLane(of));
    await handToLane(of, task);
    return nothingSent(true);
  }
  const { left, ...counts } = await deliverHere(room_id, task, connections, deadline);
  countOutcomes(counts);
  if (left.length > 0) {
    // The lane is entered first, so that later events cannot overtake these.
    await onTable(() => enterLane(of));
    await handToLane(of, { ...task, only: left });
  }
  await considerDigests(room_id, events, connections.live);
  return { ...counts, isHanded: false, left: left.length };
}

/**
 * Runs a task for every connection of a small room, and disconnects the marked connections. Returns the connections
 * that did not respond in time.
 */
async function deliverHere(
  room_id: string,
  task: Task,
  { live, disconnecting }: RoomConnections,
  deadline: Deadline,
): Promise<Counts & { readonly left: readonly Left[] }> {
  const run = roomPool();
  const patience = patienceWithin(deadline);
  try {
    const [counts] = await settleAll(
      [
        deliverPatiently({ room_id, recipients: live, task }, patience, run),
        disconnectMarked(room_id, disconnecting, patience, run),
      ],
      furtherFailure(room_id),
    );
    return counts;
  } finally {
    patience.end();
  }
}

export const countOutcomes = ({ gone, failed, skipped }: Counts): void =>
  count('events', { ConnectionsGone: gone, DeliveriesFailed: failed, DeliveriesSkipped: skipped });

/**
 * Records that `broadcast` has sent the events. Call it if their batch will be retried because something else failed.
 * Never throws: without the record, the events are sent again.
 */
export async function recordBroadcast(
  room_id: string,
  events: readonly RoomEvent[],
  { feed, source }: Origin,
): Promise<void> {
  const numbered = events.filter(isNumbered);
  if (numbered.length === 0) return;
  await recordSent({ feed, room_id }, batchIdentity(source, numbered)).catch(furtherFailure(room_id));
}

/**
 * Removes every connection from a room that has ended. rooms.v1 connections are closed, and `$disconnect` removes their
 * items. The others are detached with the event.
 *
 * @param outcome of the last broadcast. If it has left events to the room's lane, the end follows them there
 * @throws as `broadcast` does
 */
export async function closeRoom(
  room_id: string,
  event: RoomEvent | undefined,
  { isHanded, left }: Pick<Broadcast, 'isHanded' | 'left'>,
  deadline: Deadline,
): Promise<void> {
  const task: Task = { kind: 'close', ...(event && { event }) };
  const toLane = () => handToLane({ feed: 'changes', room_id }, task);
  const connections = isHanded || left > 0 ? undefined : await onTable(() => connectionsOf(room_id));
  if (connections === undefined || isLarge(room_id, task, connections)) return toLane();
  const here = await deliverHere(room_id, task, connections, deadline);
  // The lane reads which connections are still in the room.
  if (here.left.length > 0) await toLane();
}
