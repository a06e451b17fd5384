import { deadlineIn, deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { isRehearsal, primed } from '../../core/platform/prime.ts';
import { type Counts, deliverBatch, type FanOutRequest } from '../../core/realtime/deliver.ts';
import { paceOf } from '../../core/realtime/pace.ts';
import { requireFanOutRequest } from '../../core/realtime/parse.ts';
import { fanOutRehearsal } from '../../core/realtime/rehearsal.ts';

/** Sends events to a batch of a large room's connections. The invoker waits for the result, and passes its remaining time. */
async function fanOut(request: FanOutRequest, context: TimeLeft): Promise<Counts> {
  const { time_left_ms, posts_per_second, ...batch } = requireFanOutRequest(request);
  const started = performance.now();
  const own = deadlineOf(context);
  const deadline = time_left_ms < own.leftMs() ? deadlineIn(time_left_ms) : own;
  const counts = await deliverBatch(batch, deadline, { ...(posts_per_second && { pace: paceOf(posts_per_second) }) });
  if (!isRehearsal())
    console.info({
      action: 'fan_out',
      room_id: batch.room_id,
      connections: batch.recipients.length,
      ...counts,
      duration_ms: Math.round(performance.now() - started),
    });
  return counts;
}

export const handler = primed(fanOut, fanOutRehearsal);
