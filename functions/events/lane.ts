import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { primed } from '../../core/platform/prime.ts';
import { workLanes } from '../../core/realtime/lane.ts';
import { laneRehearsal } from '../../core/realtime/rehearsal.ts';

/** Delivers events to large and busy rooms, in order within each room. The stream readers add these events to the lanes. */
const deliver = async ({ Records }: SQSEvent, context: TimeLeft): Promise<SQSBatchResponse> => {
  const failed = await workLanes(Records, deadlineOf(context));
  return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
};

export const handler = primed(deliver, laneRehearsal);
