import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { folderOf } from '../bundle.ts';
import { accessTo } from './permission.ts';
import { deadLetterQueue, queue } from './queue.ts';
import { RoomsFunction } from './rooms-function.ts';
import type { RealtimeProps } from './socket-api.ts';

/** Seconds. A batch is ten conditional writes that go out together. */
const TIMEOUT = 10;

/** Whoever has lost their last connection waits in a queue until it is time to see whether they have come back. */
export class Presence extends Construct {
  readonly queue: sqs.Queue;

  constructor(scope: Construct, id: string, { environment, data, bundles }: RealtimeProps) {
    super(scope, id);
    this.queue = queue(this, 'Queue', {
      // Six times the function's timeout, as Lambda asks for: a batch that it could not take at once is not lost to another.
      visibilityTimeout: Duration.seconds(6 * TIMEOUT),
      deadLetterQueue: { queue: deadLetterQueue(this, 'DeadLetters'), maxReceiveCount: 5 },
    });
    const { handler } = new RoomsFunction(this, 'Presence', {
      description: 'Presence queue: lets others see those leave who have not come back.',
      code: folderOf(bundles, 'presence'),
      environment,
      variables: { TABLE_NAME: data.table.tableName },
      permissions: [
        ...accessTo(data, { table: ['UpdateItem'] }),
        {
          actions: ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'].map((each) => `sqs:${each}`),
          resources: [this.queue.queueArn],
        },
      ],
      timeout: TIMEOUT,
    });
    new EventSourceMapping(this, 'Mapping', {
      target: handler,
      eventSourceArn: this.queue.queueArn,
      batchSize: 10,
      reportBatchItemFailures: true,
    });
  }
}
