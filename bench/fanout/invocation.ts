import type { RoomEvent } from '../../core/contract/realtime.ts';
import { type BroadcastOptions, broadcast } from '../../core/realtime/broadcast.ts';
import { type Slice, workOn } from '../../core/realtime/deliver.ts';
import { gateway } from '../../core/realtime/gateway.ts';
import { dynamodb } from '../../core/store/client.ts';
import { patient } from '../../test/support/patient.ts';

/*
 * An execution environment, in a process of its own: does what it is told, as deliver-messages or fan-out would, and says what that
 * took. It is bundled as functions are, so that its memory is that of a function.
 */

export type Job =
  /** Each event is sent to its room, all at the same time, as with a batch of the stream. */
  | { readonly kind: 'broadcast'; readonly events: readonly RoomEvent[]; readonly options: BroadcastOptions }
  | { readonly kind: 'slice'; readonly slice: Slice };

// A machine that does all of this by itself, and other things too, is slower than AWS: no connection is to be given up for that.
for (const client of [gateway(), dynamodb]) patient(client);

async function work(job: Job): Promise<object> {
  if (job.kind === 'slice') return workOn(job.slice);
  const counts = await Promise.all(job.events.map((event) => broadcast(event.room_id, [event], job.options)));
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
