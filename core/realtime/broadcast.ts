import type { RoomEvent } from '../contract/realtime.ts';
import { count } from '../metrics/emf.ts';
import { connectionsOf, type Recipient } from '../store/connections.ts';
import {
  add,
  CONNECTIONS_AT_ONCE,
  type Counts,
  giveUpAll,
  noCounts,
  type Slice,
  type Task,
  workOn,
} from './deliver.ts';
import { handOn } from './hand-on.ts';
import { pool } from './pool.ts';
import { sliceSize, slicesOf } from './slices.ts';

export interface Broadcast extends Counts {
  /** Slices of the connections that other invocations have worked on. */
  slices: number;
}

/** For benchmarks. */
export interface BroadcastOptions {
  /** Connections that are posted to at the same time. */
  readonly atOnce?: number;
  /** Whether this invocation does it all. */
  readonly alone?: boolean;
}

/**
 * Does something to every connection of a room. The first slice of them is done here while the others are read; so is what does
 * not fill a slice, so that a room that is not large takes no other invocation. Each further slice is handed to one of its
 * own, and all are waited for: what comes next for the room finds nobody who has not had this. Its order is that of storage, then,
 * for every connection, whoever posted to it.
 *
 * A slice that nobody else would begin is done here. One that may have been begun, and came to no end, is given up: who knows
 * what its clients have had? To send all of it again, in this invocation or by having the batch tried again, would be to send
 * it to everybody twice, for a failure that concerns a few.
 *
 * Fails only where the connections cannot be read, after what has been started has ended.
 */
async function spread(
  room_id: string,
  task: Task,
  { atOnce = CONNECTIONS_AT_ONCE, alone = false }: BroadcastOptions = {},
): Promise<Broadcast> {
  const counts: Broadcast = { ...noCounts(), slices: 0 };
  const run = pool(atOnce);
  const size = sliceSize(task.kind === 'tell' ? task.events.length : 1);

  async function byAnother(slice: Slice): Promise<Counts> {
    const outcome = await handOn(slice);
    if (outcome === 'refused') return workOn(slice, run);
    if (outcome === 'lost') return giveUpAll(slice, run);
    counts.slices++;
    return outcome;
  }

  const started: Promise<void>[] = [];
  const start = (recipients: readonly Recipient[]) => {
    const slice: Slice = { room_id, recipients, task };
    const here = alone || started.length === 0 || recipients.length < size;
    started.push((here ? workOn(slice, run) : byAnother(slice)).then((more) => add(counts, more)));
  };
  try {
    for await (const recipients of slicesOf(connectionsOf(room_id), size)) start(recipients);
  } finally {
    await Promise.all(started);
  }
  return counts;
}

/**
 * Sends events to every connection that has joined a room: to each in the given order, to all in parallel, within a bound.
 * A connection that is slow, gone, or whose token has expired costs the others nothing.
 */
export async function broadcast(
  room_id: string,
  events: readonly RoomEvent[],
  options?: BroadcastOptions,
): Promise<Broadcast> {
  if (events.length === 0) return { ...noCounts(), slices: 0 };
  const counts = await spread(room_id, { kind: 'tell', events }, options);
  count('events', { ConnectionsGone: counts.gone, DeliveriesFailed: counts.failed });
  return counts;
}

/** Closes every connection that has joined a room. What is known of them goes when they disconnect. */
export async function closeRoom(room_id: string): Promise<void> {
  await spread(room_id, { kind: 'close' });
}
