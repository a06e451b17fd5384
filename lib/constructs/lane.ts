import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { eventFunctions } from '../event-functions.ts';
import { EventFunction } from './event-function.ts';
import type { FanOut } from './fan-out.ts';
import type { Permission } from './permission.ts';
import { deadLetterQueue, queue } from './queue.ts';
import type { RealtimeProps, SocketApi } from './socket-api.ts';

export interface LaneProps extends RealtimeProps {
  readonly sockets: SocketApi;
  readonly fanOut: FanOut;
}

/**
 * The lanes of large and busy rooms: a queue with a group for each feed of a room, and the function that works through them. See
 * docs/decisions/0032-lanes.md.
 */
export class Lane extends Construct {
  readonly queue: sqs.Queue;
  readonly deadLetters: sqs.Queue;
  readonly handler: LambdaFunction;
  /** Variables and permission of functions that add events to a lane. */
  readonly variables: { readonly LANE_QUEUE_URL: string };
  readonly permission: Permission;

  constructor(scope: Construct, id: string, { environment, data, bundles, sockets, fanOut }: LaneProps) {
    super(scope, id);
    this.deadLetters = deadLetterQueue(this, 'DeadLetters', 'LaneDeadLetters', { fifo: true });
    this.queue = queue(this, 'Queue', 'LaneQueue', {
      fifo: true,
      // Rooms do not share the 300 requests a second that a queue has without these two.
      deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      // The rest of a room waits for it where an invocation breaks off; what fails in a regular way is tried again after 2 s. So it is not six times the
      // function's timeout, as for other queues.
      visibilityTimeout: Duration.seconds(eventFunctions.lane.timeout + 30),
      // As long as the readers of the stream try.
      retentionPeriod: Duration.hours(1),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
    const { handler } = new EventFunction(this, 'Lane', {
      name: 'lane',
      bundles,
      data,
      environment,
      variables: {
        TABLE_NAME: data.table.tableName,
        CALLBACK_URL: sockets.callbackUrl,
        LANE_QUEUE_URL: this.queue.queueUrl,
        ...fanOut.variables,
      },
      permissions: [
        sockets.manageConnections,
        fanOut.permission,
        {
          actions: ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes', 'ChangeMessageVisibility'].map(
            (each) => `sqs:${each}`,
          ),
          resources: [this.queue.queueArn],
        },
      ],
    });
    this.handler = handler;
    new EventSourceMapping(this, 'Mapping', {
      target: handler,
      eventSourceArn: this.queue.queueArn,
      // What has come for a room while it was being delivered to is packed into the next frames.
      batchSize: 10,
      maxConcurrency: 20,
      reportBatchItemFailures: true,
    });
    this.variables = { LANE_QUEUE_URL: this.queue.queueUrl };
    this.permission = { actions: ['sqs:SendMessage'], resources: [this.queue.queueArn] };
  }
}
