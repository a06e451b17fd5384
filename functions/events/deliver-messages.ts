import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import type { RoomEvent } from '../../core/contract/realtime.ts';
import { broadcast } from '../../core/realtime/broadcast.ts';
import { imageOf, perPartition } from '../../core/realtime/stream.ts';
import { type MessageItem, toMessage } from '../../core/store/items.ts';

/** Sends each new message to all who have joined its room, in the order in which they were stored. */
export const handler = ({ Records }: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> =>
  perPartition(Records, async (records) => {
    const messages = records.flatMap(({ dynamodb }) => imageOf<MessageItem>(dynamodb?.NewImage) ?? []);
    const [first] = messages;
    if (!first) return;
    const sent_at = new Date().toISOString();
    const started = performance.now();
    const counts = await broadcast(
      first.room_id,
      messages.map((item): RoomEvent => ({ type: 'message', room_id: item.room_id, data: toMessage(item), sent_at })),
    );
    console.info({
      action: 'deliver',
      room_id: first.room_id,
      messages: messages.length,
      ...counts,
      duration_ms: Math.round(performance.now() - started),
    });
  });
