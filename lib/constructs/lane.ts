import { Duration } from 'aws-cdk-lib';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { eventFunctions } from '../event-functions.ts';
import { EventFunction } from './event-function.ts';
import type { FanOut } from './fan-out.ts';
import type { Permission } from './permission.ts';
import { deadLetterQueue, processingPermission, processQueue, queue } from './queue.ts';
import type { RealtimeProps, SocketApi } from './socket-api.ts';

export interface LaneProps extends RealtimeProps {
  readonly sockets: SocketApi;
  readonly fanOut: FanOut;
}

/**
 * The lanes of large and busy rooms: a FIFO queue with a message group for each feed of a room, and the function that processes
 * them. See docs/decisions/0032-lanes.md.
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
      // High throughput mode. Without it, all rooms would share 300 requests per second.
      deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      // After a crashed invocation, the other events of the room wait this long. Therefore, it is shorter than for other queues, where it is
      // 6 times the function's time-out. Reported failures are retried after 2 s.
      visibilityTimeout: Duration.seconds(eventFunctions.lane.timeout + 30),
      // As long as the readers of the stream retry.
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
        processingPermission(this.queue, 'ChangeMessageVisibility'),
      ],
    });
    this.handler = handler;
    processQueue(this, handler, this.queue);
    this.variables = { LANE_QUEUE_URL: this.queue.queueUrl };
    this.permission = { actions: ['sqs:SendMessage'], resources: [this.queue.queueArn] };
  }
}
