import type { RoomEvent } from '../../core/contract/realtime.ts';
import { broadcast } from '../../core/realtime/broadcast.ts';
import { deadlineIn } from '../../core/realtime/deadline.ts';
import { type Batch, deliverBatch } from '../../core/realtime/deliver.ts';

/*
 * An execution environment, in a process of its own: does what it is told, as deliver-messages or fan-out would, and says what that
 * took. It is bundled as functions are, so that its memory is that of a function.
 */

export type Job =
  /** Each event is sent to its room, all at the same time, as with a batch of the stream. */
  | { readonly kind: 'broadcast'; readonly events: readonly RoomEvent[] }
  | { readonly kind: 'batch'; readonly batch: Batch };

/** What stream readers have of their 60 s. */
const DEADLINE_MS = 50_000;

async function work(job: Job): Promise<object> {
  const deadline = deadlineIn(DEADLINE_MS);
  if (job.kind === 'batch') return deliverBatch(job.batch, deadline);
  const counts = await Promise.all(
    job.events.map((event) => broadcast(event.room_id, [event], { feed: 'messages', source: '' }, deadline)),
  );
  return { sent: counts.reduce((sum, { sent }) => sum + sent, 0) };
}

process.on('message', async (job: Job) => {
  const cpu = process.cpuUsage();
  const begin = performance.timeOrigin + performance.now();
  const result = await work(job);
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({
    result,
    begin,
    /** Milliseconds of a processor. */
    cpu: (user + system) / 1_000,
    /** The most memory that the process has had, in megabytes. */
    memory: process.resourceUsage().maxRSS / 1_024,
  });
});
process.once('disconnect', () => process.exit());
