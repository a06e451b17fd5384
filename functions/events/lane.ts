import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { primed } from '../../core/aws/prime.ts';
import { deadlineOf, type TimeLeft } from '../../core/realtime/deadline.ts';
import { workLanes } from '../../core/realtime/lane.ts';
import { laneRehearsal } from '../../core/realtime/rehearsal.ts';

/** Delivers to large and busy rooms what the readers of the stream have left to their lanes, each room in order. */
const deliver = async ({ Records }: SQSEvent, context: TimeLeft): Promise<SQSBatchResponse> => {
  const failed = await workLanes(Records, deadlineOf(context));
  return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
};

export const handler = primed(deliver, laneRehearsal);
