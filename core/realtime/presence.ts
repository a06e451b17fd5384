import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { abortable } from '../aws/abort.ts';
import { PRESENCE_GRACE_SECONDS } from '../contract/limits.ts';
import { env } from '../env.ts';
import type { Timestamp } from '../rules/time.ts';
import { CLIENT_OPTIONS } from './client-options.ts';

/** A participant whose last connection was lost at `left_at`. */
export interface Absence {
  readonly room_id: string;
  readonly participant_id: string;
  readonly left_at: Timestamp;
}

let client: SQSClient | undefined;

/** Queues a check, for when the grace period is over, whether the participant has come back. */
export async function queueAbsenceCheck(absence: Absence): Promise<void> {
  client ??= abortable(new SQSClient(CLIENT_OPTIONS));
  await client.send(
    new SendMessageCommand({
      QueueUrl: env('PRESENCE_QUEUE_URL'),
      MessageBody: JSON.stringify(absence),
      DelaySeconds: PRESENCE_GRACE_SECONDS,
    }),
  );
}
