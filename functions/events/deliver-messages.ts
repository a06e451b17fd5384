import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { isRehearsal, primed } from '../../core/aws/prime.ts';
import type { RoomEvent } from '../../core/contract/realtime.ts';
import { count } from '../../core/metrics/emf.ts';
import { broadcast } from '../../core/realtime/broadcast.ts';
import { deadlineOf, type TimeLeft } from '../../core/realtime/deadline.ts';
import { streamRehearsal } from '../../core/realtime/rehearsal.ts';
import { imageOf, processByPartition } from '../../core/realtime/stream.ts';
import { type MessageItem, toMessage } from '../../core/store/items.ts';

/** Sends each new message to every connection that has joined its room, in stored order. */
const deliver = ({ Records }: DynamoDBStreamEvent, context: TimeLeft): Promise<DynamoDBBatchResponse> => {
  const deadline = deadlineOf(context);
  const sent_at = new Date().toISOString();
  return processByPartition(
    Records,
    (record) => eventOf(record, sent_at),
    async (messages) => {
      const [first] = messages;
      if (!first) return;
      const started = performance.now();
      const counts = await broadcast(first.room_id, messages, { feed: 'messages', source: '' }, deadline);
      const duration_ms = Math.round(performance.now() - started);
      count('events', { MessagesSent: messages.length, FanOutTime: duration_ms, Receivers: counts.receivers });
      if (isRehearsal()) return;
      console.info({
        action: 'deliver',
        room_id: first.room_id,
        messages: messages.length,
        ...counts,
        duration_ms,
      });
    },
  );
};

function eventOf({ dynamodb }: DynamoDBRecord, sent_at: string): RoomEvent {
  const item = imageOf<MessageItem>(dynamodb?.NewImage);
  if (!item) throw new Error('The record has no new image.');
  return { type: 'message', room_id: item.room_id, data: toMessage(item), sent_at };
}

export const handler = primed(deliver, streamRehearsal);
