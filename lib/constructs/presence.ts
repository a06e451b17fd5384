import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { eventFunctionAccess } from '../access.ts';
import { folderOf } from '../bundle.ts';
import { accessTo, type Permission } from './permission.ts';
import { deadLetterQueue, queue } from './queue.ts';
import { RoomsFunction, type RoomsFunctionProps } from './rooms-function.ts';
import type { RealtimeProps, SocketApi } from './socket-api.ts';

/** Seconds. A batch is ten conditional writes that go out together; what is left of it closes connections. */
const TIMEOUT = 10;

export interface PresenceProps extends RealtimeProps {
  readonly sockets: SocketApi;
  /** What retried effects need. */
  readonly variables: NonNullable<RoomsFunctionProps['variables']>;
  readonly permissions: readonly Permission[];
}

/**
 * The queue of what is done later: checks of participants who have lost their last connection and of the connections of those who are present,
 * rooms with connections that could not be closed, and effects of changes that have failed.
 */
export class Presence extends Construct {
  readonly queue: sqs.Queue;
  readonly deadLetters: sqs.Queue;
  readonly handler: LambdaFunction;

  constructor(
    scope: Construct,
    id: string,
    { environment, data, bundles, sockets, variables, permissions }: PresenceProps,
  ) {
    super(scope, id);
    this.deadLetters = deadLetterQueue(this, 'DeadLetters', 'PresenceDeadLetters');
    this.queue = queue(this, 'Queue', 'PresenceQueue', {
      // Six times the function's timeout, as Lambda asks for: a batch that it could not take at once is not lost to another.
      visibilityTimeout: Duration.seconds(6 * TIMEOUT),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
    const { handler } = new RoomsFunction(this, 'Presence', {
      name: 'presence',
      description: 'Presence queue: marks participants absent, checks connections, and retries what has failed.',
      code: folderOf(bundles, 'presence'),
      environment,
      variables: {
        TABLE_NAME: data.table.tableName,
        CALLBACK_URL: sockets.callbackUrl,
        PRESENCE_QUEUE_URL: this.queue.queueUrl,
        ...variables,
      },
      permissions: [
        ...accessTo(data, eventFunctionAccess.presence),
        ...permissions,
        sockets.checkConnections,
        {
          actions: ['SendMessage', 'ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'].map(
            (each) => `sqs:${each}`,
          ),
          resources: [this.queue.queueArn],
        },
      ],
      timeout: TIMEOUT,
      // Each check of a participant queues the next, for as long as they are present: see docs/decisions/0011.
      recursive: true,
    });
    this.handler = handler;
    new EventSourceMapping(this, 'Mapping', {
      target: handler,
      eventSourceArn: this.queue.queueArn,
      batchSize: 10,
      // When a network goes down, the queue is full at once: what is above waits in it, and takes nobody else's place.
      maxConcurrency: 20,
      reportBatchItemFailures: true,
    });
  }
}
