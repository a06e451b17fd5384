import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import * as v from 'valibot';
import { chain } from '../../core/http/request-log.ts';
import { markAbsent } from '../../core/store/connections.ts';

const absence = v.object({ room_id: v.string(), participant_id: v.string(), left_at: v.string() });

/** Looks, when the grace is over, whether those who lost their last connection have come back. */
export const handler = async ({ Records }: SQSEvent): Promise<SQSBatchResponse> => {
  const failures = await Promise.all(
    Records.map(async ({ messageId, body }) => {
      try {
        const { room_id, participant_id, left_at } = v.parse(absence, JSON.parse(body));
        const left = await markAbsent(room_id, participant_id, left_at);
        console.info({ action: 'presence', message_id: messageId, room_id, user: participant_id, left });
        return [];
      } catch (error) {
        console.error({ action: 'presence', message_id: messageId, error: chain(error) });
        return [{ itemIdentifier: messageId }];
      }
    }),
  );
  return { batchItemFailures: failures.flat() };
};
