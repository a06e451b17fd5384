import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { isRehearsal, primed } from '../../core/aws/prime.ts';
import type { Message } from '../../core/contract/answers.ts';
import type { RoomEventOf } from '../../core/contract/realtime.ts';
import { count, countReader } from '../../core/metrics/emf.ts';
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
      const { isHanded, ...counts } = await broadcast(
        first.room_id,
        messages,
        { feed: 'messages', source: '' },
        deadline,
      );
      const duration_ms = Math.round(performance.now() - started);
      // Of a room's lane, the function `lane` counts the rest.
      const fanOut = isHanded ? {} : { FanOutTime: duration_ms, Receivers: counts.receivers };
      count('events', { MessagesSent: messages.length, ...fanOut });
      if (isRehearsal()) return;
      // A room where nobody was is not late.
      const now = Date.now();
      if (counts.receivers > 0)
        countReader('deliver-messages', {
          StoredToDelivered: messages.map(({ data }) => Math.max(0, now - storedAt(data))),
        });
      console.info({
        action: 'deliver',
        room_id: first.room_id,
        messages: messages.length,
        ...(isHanded ? { in_lane: true } : counts),
        duration_ms,
      });
    },
  );
};

/** When the service received a message: some milliseconds before it was stored. */
const storedAt = ({ sent_at }: Message): number => Date.parse(sent_at);

function eventOf({ dynamodb }: DynamoDBRecord, sent_at: string): RoomEventOf<'message'> {
  const item = imageOf<MessageItem>(dynamodb?.NewImage);
  if (!item) throw new Error('The record has no new image.');
  return { type: 'message', room_id: item.room_id, data: toMessage(item), sent_at };
}

export const handler = primed(deliver, streamRehearsal);
