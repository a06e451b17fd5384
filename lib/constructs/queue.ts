import { Duration, Validations } from 'aws-cdk-lib';
import { EventSourceMapping, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { pinLogicalId } from './logical-id.ts';
import type { Permission } from './permission.ts';

/** Creates a queue that is encrypted at rest and requires TLS. Its messages are deleted together with it. */
export function queue(scope: Construct, id: string, logicalId: string, props: sqs.QueueProps = {}): sqs.Queue {
  const created = new sqs.Queue(scope, id, { encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true, ...props });
  pinLogicalId(created, logicalId);
  return created;
}

/** Lets a function process the messages of a queue. */
export const processQueue = (scope: Construct, handler: LambdaFunction, { queueArn }: sqs.Queue): EventSourceMapping =>
  new EventSourceMapping(scope, 'Mapping', {
    target: handler,
    eventSourceArn: queueArn,
    batchSize: 10,
    // When a network fails, the queue fills at once. Messages above the limit wait, and do not use the concurrency of
    // other functions.
    maxConcurrency: 20,
    reportBatchItemFailures: true,
  });

/** Returns the permission to process the messages of a queue, with further actions of SQS, such as `SendMessage`. */
export const processingPermission = ({ queueArn }: sqs.Queue, ...more: readonly string[]): Permission => ({
  actions: ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes', ...more].map((action) => `sqs:${action}`),
  resources: [queueArn],
});

/** Creates a dead-letter queue. It keeps messages for 14 days, the maximum of SQS. */
export function deadLetterQueue(
  scope: Construct,
  id: string,
  logicalId: string,
  props: Pick<sqs.QueueProps, 'fifo'> = {},
): sqs.Queue {
  const created = queue(scope, id, logicalId, { ...props, retentionPeriod: Duration.days(14) });
  Validations.of(created).acknowledge({
    id: 'AwsSolutions-SQS3',
    reason:
      'This is the dead-letter queue of a function or an event source mapping, which the rule does not recognize.',
  });
  return created;
}
