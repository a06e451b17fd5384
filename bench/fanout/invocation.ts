import { randomUUID } from 'node:crypto';
import type { RoomEvent } from '../../core/contract/realtime.ts';
import { deadlineIn } from '../../core/platform/deadline.ts';
import { type Batch, type Counts, deliverBatch } from '../../core/realtime/deliver.ts';
import { deliverToRoom } from '../../core/realtime/deliver-room.ts';
import { connectionsOf } from '../../core/store/connections.ts';
import { numberEvents } from '../../core/store/sequence.ts';

/*
 * An execution environment in a separate process. Runs jobs of deliver-messages, lane or fan-out, and reports the
 * measurements. It is bundled like a function, so that its memory is comparable.
 */

export type Job =
  /** Sends each event to its room. All run at the same time, as in a batch of the stream. */
  | { readonly kind: 'broadcast'; readonly events: readonly RoomEvent[] }
  | { readonly kind: 'batch'; readonly batch: Batch };

/** The part of the 60 s that stream readers use for deliveries. */
const DEADLINE_MS = 50_000;

async function work(job: Job): Promise<object> {
  const deadline = deadlineIn(DEADLINE_MS);
  if (job.kind === 'batch') return deliverBatch(job.batch, deadline);
  const counts = await Promise.all(job.events.map(send));
  return { sent: counts.reduce((sum, { sent }) => sum + sent, 0) };

  /**
   * Waits for all connections, as lanes do, because this machine's gateway can be slow. A lane's queue is not part of
   * this measurement: see `npm run bench:latency`.
   */
  async function send(event: RoomEvent): Promise<Counts> {
    const { room_id } = event;
    const { first } = await numberEvents({ feed: 'messages', room_id }, 1, randomUUID());
    const task = { kind: 'send', events: [event], numbers: { feed: 'messages', first } } as const;
    return deliverToRoom(room_id, task, await connectionsOf(room_id), deadline);
  }
}

process.on('message', async (job: Job) => {
  const cpu = process.cpuUsage();
  const begin = performance.timeOrigin + performance.now();
  const result = await work(job);
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({
    result,
    begin,
    /** CPU time in milliseconds. */
    cpu: (user + system) / 1_000,
    /** The maximum memory of the process, in megabytes. */
    memory: process.resourceUsage().maxRSS / 1_024,
  });
});
process.once('disconnect', () => process.exit());
