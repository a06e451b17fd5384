import { Duration } from 'aws-cdk-lib';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** A queue that is encrypted at rest and refuses everything that does not come over TLS. */
export const queue = (scope: Construct, id: string, props: sqs.QueueProps = {}): sqs.Queue =>
  new sqs.Queue(scope, id, { encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true, ...props });

/** A queue for what could not be worked on. It keeps that for 14 days, as long as SQS can. */
export const deadLetterQueue = (scope: Construct, id: string): sqs.Queue =>
  queue(scope, id, { retentionPeriod: Duration.days(14) });
