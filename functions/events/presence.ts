import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import * as v from 'valibot';
import { settlePresence } from '../../core/store/connections.ts';

const absence = v.object({ room_id: v.string(), participant_id: v.string(), left_at: v.string() });

/** Looks, when the grace is over, whether those who lost their last connection have come back. */
export const handler = async ({ Records }: SQSEvent): Promise<SQSBatchResponse> => {
  const failures = await Promise.all(
    Records.map(async ({ messageId, body }) => {
      try {
        const { room_id, participant_id, left_at } = v.parse(absence, JSON.parse(body));
        await settlePresence(room_id, participant_id, left_at);
        return [];
      } catch (error) {
        console.error({ message_id: messageId, error: error instanceof Error ? error.message : String(error) });
        return [{ itemIdentifier: messageId }];
      }
    }),
  );
  return { batchItemFailures: failures.flat() };
};
