import { Duration, Validations } from 'aws-cdk-lib';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { pinLogicalId } from './logical-id.ts';

/** A queue that is encrypted at rest and refuses everything that does not come over TLS. What is in it goes with it. */
export function queue(scope: Construct, id: string, logicalId: string, props: sqs.QueueProps = {}): sqs.Queue {
  const made = new sqs.Queue(scope, id, { encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true, ...props });
  pinLogicalId(made, logicalId);
  return made;
}

/** A queue for what could not be worked on. It keeps that for 14 days, as long as SQS can. */
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
      'It is a dead-letter queue itself, of a function or an event source mapping, where the rule does not look for one.',
  });
  return made;
}
