import type { Message } from '../contract/answers.ts';
import type { Feed, RoomEvent } from '../contract/realtime.ts';
import { count } from '../metrics/emf.ts';
import { speaksV2 } from '../rules/protocol.ts';
import { connectionsOf, type Recipient } from '../store/connections.ts';
import type { LastMessage } from '../store/items.ts';
import { numberEvents, recordSent } from '../store/sequence.ts';
import { settleAll } from '../store/settle-all.ts';
import { batchesOf, batchSize } from './batches.ts';
import type { Deadline } from './deadline.ts';
import {
  add,
  type Batch,
  type Counts,
  deliverBatch,
  disconnectAll,
  disconnectMarked,
  noCounts,
  onTable,
  postsEach,
  roomPool,
  type Task,
} from './deliver.ts';
import { invokeFanOut } from './fan-out-invoke.ts';
import { furtherFailure } from './further-failure.ts';
import { invocationsAtOnce, paceOf, postsPerSecondOfRoom } from './pace.ts';
import { batchIdentity, isNumbered } from './pack.ts';

export interface Broadcast extends Counts {
  /** Batches of the connections that other invocations have delivered. */
  batches: number;
}

/**
 * Carries out a task for every connection of a room, and disconnects the connections that are marked.
 *
 * Rooms below two batches are handled in this invocation. In larger ones, the first batch and the rest that does not fill one are
 * handled here, and each other batch in a `fan-out` invocation of its own. The function returns when all have finished, which
 * preserves the order of messages for every connection, whichever invocation posts to it.
 *
 * A batch that no invocation has started is handled here. The rooms.v1 connections of one that may have started, and did not end, are
 * disconnected: to send all of it again would be to send it twice. So are those for which the time does not suffice. Those of rooms.v2 see a gap.
 * See docs/decisions/0001-one-pool-and-marked-connections.md.
 *
 * @throws if the connections cannot be read, before anything has been sent, or if some that may be open cannot be marked.
 */
async function fanOut(room_id: string, task: Task, deadline: Deadline): Promise<Broadcast> {
  const counts: Broadcast = { ...noCounts(), batches: 0 };
  const run = roomPool();
  const { live, disconnecting } = await onTable(() => connectionsOf(room_id));
  const size = batchSize(postsEach(room_id, task, live));
  const batches = batchesOf(live, size);
  const isHere = (batch: readonly Recipient[], n: number): boolean => n === 0 || batch.length < size;
  const invoked = batches.filter((batch, n) => !isHere(batch, n)).length;
  // The invocations that post at the same time, this one included, share what the room may take.
  const share = postsPerSecondOfRoom() / (Math.min(invoked, invocationsAtOnce()) + 1);
  const pace = paceOf(share);

  async function byInvocation(batch: Batch): Promise<Counts> {
    const outcome = await invokeFanOut(batch, share, deadline);
    if (outcome === 'refused') return deliverBatch(batch, deadline, { run, pace });
    if (outcome !== 'lost') {
      counts.batches++;
      return outcome;
    }
    // A room that is to be closed must not stay open for any of them.
    const isAboutAll = task.kind === 'close';
    const failed = batch.recipients.filter((recipient) => isAboutAll || !speaksV2(recipient));
    const marked = await disconnectAll(room_id, failed, deadline, run);
    return { ...noCounts(), failed: failed.length, skipped: batch.recipients.length - failed.length, marked };
  }

  const work = batches.map(async (recipients, n) => {
    const batch: Batch = { room_id, recipients, task };
    add(counts, await (isHere(recipients, n) ? deliverBatch(batch, deadline, { run, pace }) : byInvocation(batch)));
  });
  await settleAll([...work, disconnectMarked(room_id, disconnecting, deadline, run)], furtherFailure(room_id));
  return counts;
}

/** Where the events of a broadcast come from. */
export interface Origin {
  readonly feed: Exclude<Feed, 'user'>;
  /** Such as the ID of the first stream record: a batch that is delivered again has the same. */
  readonly source: string;
}

/** Returns the newest message among events, which `has_unread` and `last_message_at` of rooms follow from. */
function lastMessageOf(events: readonly RoomEvent[]): LastMessage | undefined {
  const messages = events.flatMap((event) => (event.type === 'message' ? [event.data] : []));
  const newest = messages.reduce<Message | undefined>(
    (last, message) => (last && last.message_id > message.message_id ? last : message),
    undefined,
  );
  return newest && { last_message_id: newest.message_id, last_sender_id: newest.sender_id };
}

/**
 * Sends events to every connection that has joined a room: to each in the given order, to all in parallel, within a bound.
 * A connection that is slow, gone, or whose token has expired costs the others nothing.
 *
 * The events get their numbers before the connections are read: see docs/decisions/0030-rooms-v2.md.
 *
 * @throws as `fanOut` does, and if the events cannot be numbered.
 */
export async function broadcast(
  room_id: string,
  events: readonly RoomEvent[],
  { feed, source }: Origin,
  deadline: Deadline,
): Promise<Broadcast> {
  if (events.length === 0) return { ...noCounts(), batches: 0 };
  const numbered = events.filter(isNumbered);
  const { first, isSent } =
    numbered.length > 0
      ? await onTable(() =>
          numberEvents({ feed, room_id }, numbered.length, batchIdentity(source, numbered), lastMessageOf(numbered)),
        )
      : { first: 0, isSent: false };
  if (isSent) return { ...noCounts(), batches: 0 };
  const counts = await fanOut(room_id, { kind: 'send', events, numbers: { feed, first } }, deadline);
  count('events', {
    ConnectionsGone: counts.gone,
    DeliveriesFailed: counts.failed,
    DeliveriesSkipped: counts.skipped,
  });
  return counts;
}

/**
 * Records that `broadcast` has sent the events, and that they need not be sent again with their batch, which is going to be retried because
 * something else has failed. Never throws: in that case, they are sent again.
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
 * Takes every connection out of a room that has ended. Those of rooms.v1 are closed, and `$disconnect` removes what is stored of each. The others
 * are detached with the event.
 *
 * @throws as `fanOut` does.
 */
export async function closeRoom(room_id: string, event: RoomEvent | undefined, deadline: Deadline): Promise<void> {
  await fanOut(room_id, { kind: 'close', ...(event && { event }) }, deadline);
}
