import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { count, countReader } from '../../core/platform/emf.ts';
import { isRehearsal, primed } from '../../core/platform/prime.ts';
import { broadcast } from '../../core/realtime/broadcast.ts';
import { onTable } from '../../core/realtime/deliver.ts';
import { messageEvents, messageRecord } from '../../core/realtime/message-events.ts';
import { streamRehearsal } from '../../core/realtime/rehearsal.ts';
import { processByPartition } from '../../core/realtime/stream.ts';

/** Sends each new, edited and deleted message to every connection that has joined its room, in stored order. */
const deliver = ({ Records }: DynamoDBStreamEvent, context: TimeLeft): Promise<DynamoDBBatchResponse> => {
  const deadline = deadlineOf(context);
  const sent_at = new Date().toISOString();
  return processByPartition(Records, messageRecord, async (read) => {
    const records = read.filter((record) => record !== undefined);
    const [first] = records;
    if (!first) return;
    const { room_id } = first.message;
    const started = performance.now();
    const stored = await onTable(() => messageEvents(records, sent_at));
    const events = stored.map(({ event }) => event);
    const stored_at = stored.map((each) => each.stored_at);
    const origin = { feed: 'messages', source: '', stored_at } as const;
    const { isHanded, left, ...counts } = await broadcast(room_id, events, origin, deadline);
    const duration_ms = Math.round(performance.now() - started);
    // For messages that go to a lane, the function `lane` counts the fan-out time.
    const fanOut = isHanded ? {} : { FanOutTime: duration_ms, Receivers: counts.receivers };
    count('events', { MessagesSent: events.length, ...fanOut });
    if (isRehearsal()) return;
    // Without a receiver, there is no delivery time.
    const now = Date.now();
    if (counts.receivers > 0)
      countReader('deliver-messages', {
        StoredToDelivered: stored_at.map((time) => Math.max(0, now - time)),
      });
    console.info({
      action: 'deliver',
      room_id,
      messages: events.length,
      ...(isHanded ? { in_lane: true } : counts),
      ...(left > 0 && { left_to_lane: left }),
      duration_ms,
    });
  });
};

export const handler = primed(deliver, streamRehearsal);
