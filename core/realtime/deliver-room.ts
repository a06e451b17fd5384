import type { Deadline } from '../platform/deadline.ts';
import { furtherFailure } from '../platform/log.ts';
import { settleAll } from '../platform/settle-all.ts';
import { usesV2 } from '../rules/protocol.ts';
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
  /** The number of batches that other invocations delivered. */
  batches: number;
}

export const noDelivery = (): RoomDelivery => ({ ...noCounts(), batches: 0 });

/**
 * Runs a task for every connection of a room, and disconnects the marked connections.
 *
 * Rooms with fewer than two batches of connections are handled in this invocation. In larger rooms, this invocation
 * handles the first batch and the incomplete last one, and each other batch has its own `fan-out` invocation. The
 * function returns when all have finished, which preserves the order of messages.
 *
 * A batch that no invocation has started is handled here. If an invocation may have started and did not finish, its
 * rooms.v1 connections are disconnected, because sending again could duplicate messages. The same applies to
 * connections for which no time is left. rooms.v2 connections notice a gap. See
 * docs/decisions/0001-one-pool-and-marked-connections.md.
 *
 * @throws if connections that may be open cannot be marked
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
  // The invocations that post at the same time, including this one, share the room's post rate.
  const share = postsPerSecondOfRoom() / (Math.min(invoked, invocationsAtOnce()) + 1);
  const pace = paceOf(share);

  async function byInvocation(batch: Batch): Promise<Counts> {
    const outcome = await invokeFanOut(batch, share, deadline);
    if (outcome === 'refused') return deliverBatch(batch, deadline, { run, pace });
    if (outcome !== 'lost') {
      counts.batches++;
      return outcome;
    }
    // When the room is closed, none of these connections may stay open.
    const isAboutAll = task.kind === 'close';
    const failed = batch.recipients.filter((recipient) => isAboutAll || !usesV2(recipient));
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
