import { Duration, Validations } from 'aws-cdk-lib';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { pinLogicalId } from './logical-id.ts';

/** Creates a queue that is encrypted at rest and requires TLS. Its messages are deleted together with it. */
export function queue(scope: Construct, id: string, logicalId: string, props: sqs.QueueProps = {}): sqs.Queue {
  const made = new sqs.Queue(scope, id, { encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true, ...props });
  pinLogicalId(made, logicalId);
  return made;
}

/** Creates a dead-letter queue. It keeps messages for 14 days, the maximum of SQS. */
export function deadLetterQueue(
  scope: Construct,
  id: string,
  logicalId: string,
  props: Pick<sqs.QueueProps, 'fifo'> = {},
): sqs.Queue {
  const made = queue(scope, id, logicalId, { ...props, retentionPeriod: Duration.days(14) });
  Validations.of(made).acknowledge({
    id: 'AwsSolutions-SQS3',
    reason:
      'This is the dead-letter queue of a function or an event source mapping, which the rule does not recognize.',
  });
  return made;
}
