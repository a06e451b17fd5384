import { Duration } from 'aws-cdk-lib';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { eventFunctions } from '../event-functions.ts';
import { EventFunction } from './event-function.ts';
import type { Permission } from './permission.ts';
import { deadLetterQueue, processingPermission, processQueue, queue } from './queue.ts';
import type { RoomsFunctionProps } from './rooms-function.ts';
import type { RealtimeProps, SocketApi } from './socket-api.ts';

export interface PresenceProps extends RealtimeProps {
  readonly sockets: SocketApi;
  /** Variables for retried effects. */
  readonly variables: NonNullable<RoomsFunctionProps['variables']>;
  readonly permissions: readonly Permission[];
}

/**
 * The queue for deferred work: checks of participants who have lost their last connection, checks of connections,
 * retries of closing connections, and retries of failed effects.
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
      // Six times the function's time-out, as Lambda recommends: a batch that waits for a free invocation is not
      // delivered twice.
      visibilityTimeout: Duration.seconds(6 * eventFunctions.presence.timeout),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
    const { handler } = new EventFunction(this, 'Presence', {
      name: 'presence',
      bundles,
      data,
      environment,
      variables: {
        TABLE_NAME: data.table.tableName,
        CALLBACK_URL: sockets.callbackUrl,
        PRESENCE_QUEUE_URL: this.queue.queueUrl,
        ...variables,
      },
      permissions: [...permissions, sockets.checkConnections, processingPermission(this.queue, 'SendMessage')],
      // Each check of a participant queues the next one while the participant is online. See docs/decisions/0011.
      recursive: true,
    });
    this.handler = handler;
    processQueue(this, handler, this.queue);
  }
}
