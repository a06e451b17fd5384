import type { Deadline } from '../platform/deadline.ts';
import { furtherFailure } from '../platform/log.ts';
import { settleAll } from '../platform/settle-all.ts';
import { speaksV2 } from '../rules/protocol.ts';
import type { Recipient, RoomConnections } from '../store/connections.ts';
import { batchesOf, batchSize } from './batches.ts';
import {
  add,
  type Batch,
  type Counts,
  deliverBatch,
  disconnectAll,
  disconnectMarked,
  noCounts,
  postsEach,
  roomPool,
  type Task,
} from './deliver.ts';
import { invokeFanOut } from './fan-out-invoke.ts';
import { invocationsAtOnce, paceOf, postsPerSecondOfRoom } from './pace.ts';

export interface RoomDelivery extends Counts {
  /** Batches of the connections that other invocations have delivered. */
  batches: number;
}

export const noDelivery = (): RoomDelivery => ({ ...noCounts(), batches: 0 });

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
 * @throws if some connections that may be open cannot be marked.
 */
export async function deliverToRoom(
  room_id: string,
  task: Task,
  { live, disconnecting }: Pick<RoomConnections, 'live' | 'disconnecting'>,
  deadline: Deadline,
): Promise<RoomDelivery> {
  const counts = noDelivery();
  const run = roomPool();
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
