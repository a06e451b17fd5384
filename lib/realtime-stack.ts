import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { EventBus } from 'aws-cdk-lib/aws-events';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { pascal } from '../core/contract/names.ts';
import { ANNOUNCED, CONNECTION, DISCONNECTING, FILE, MESSAGE, PARTICIPANT, ROOM, WARNED } from '../core/store/keys.ts';
import { Announcements } from './constructs/announcements.ts';
import { FanOut } from './constructs/fan-out.ts';
import { Lane } from './constructs/lane.ts';
import { pinLogicalId } from './constructs/logical-id.ts';
import type { Permission } from './constructs/permission.ts';
import { Presence } from './constructs/presence.ts';
import { type RealtimeProps, SocketApi } from './constructs/socket-api.ts';
import { StreamReader } from './constructs/stream-reader.ts';
import { type BackgroundFunction, type WithDeadLetters, withDeadLetters } from './event-functions.ts';

type Background = { readonly [Name in BackgroundFunction]: { readonly handler: LambdaFunction } } & {
  readonly [Name in WithDeadLetters]: { readonly deadLetters: IQueue };
} & { readonly [Name in 'lane' | 'presence']: { readonly queue: IQueue } };

export interface RealtimeStackProps extends StackProps, RealtimeProps {}

/**
 * The WebSocket API, and the functions that send changes of the table to clients and, through the event bus, to back ends.
 * The stack has no data, so it can be deleted and deployed again.
 */
export class RealtimeStack extends Stack {
  readonly sockets: SocketApi;
  /** The background functions, by the names of their rows. */
  readonly background: Background;

  constructor(scope: Construct, id: string, { environment, data, bundles, ...props }: RealtimeStackProps) {
    super(scope, id, props);
    const parts: RealtimeProps = { environment, data, bundles };
    const sockets = new SocketApi(this, 'Sockets', parts);
    // The bus has no archive, which would cost for every event. Back ends can read missed changes from the API.
    const bus = new EventBus(this, 'Bus', {
      eventBusName: `rooms-${environment.name}`,
      description: 'What happens in rooms, for back ends',
    });

    const fanOut = new FanOut(this, 'FanOut', { ...parts, sockets });
    const lane = new Lane(this, 'Lane', { ...parts, sockets, fanOut });
    const broadcasting = {
      variables: {
        TABLE_NAME: data.table.tableName,
        CALLBACK_URL: sockets.callbackUrl,
        API_GATEWAY_QUOTA: String(environment.apiGatewayQuota),
        ...lane.variables,
      },
      permissions: [sockets.manageConnections, lane.permission],
    };
    const publish: Permission = { actions: ['events:PutEvents'], resources: [bus.eventBusArn] };

    const announcements = new Announcements(this, 'Announcements', {
      ...parts,
      variables: { ...broadcasting.variables, EVENT_BUS_NAME: bus.eventBusName },
      permissions: [...broadcasting.permissions, publish],
    });
    const presence = new Presence(this, 'Presence', {
      ...parts,
      sockets,
      variables: { ...broadcasting.variables, ...announcements.variables, EVENT_BUS_NAME: bus.eventBusName },
      permissions: [...announcements.permissions, publish, lane.permission],
    });
    const deliverMessages = new StreamReader(this, 'DeliverMessages', {
      name: 'deliver-messages',
      ...parts,
      filters: [{ eventName: ['INSERT', 'MODIFY'], dynamodb: { Keys: { SK: { S: [{ prefix: MESSAGE }] } } } }],
      variables: broadcasting.variables,
      permissions: [...broadcasting.permissions],
    });
    const roomChanges = new StreamReader(this, 'RoomChanges', {
      name: 'room-changes',
      ...parts,
      filters: [
        { dynamodb: { Keys: { SK: { S: [ROOM, { prefix: PARTICIPANT }] } } } },
        // Connections that could not be closed, warnings, and announcements.
        {
          eventName: ['INSERT'],
          dynamodb: { Keys: { SK: { S: [{ prefix: DISCONNECTING }, { prefix: WARNED }, { prefix: ANNOUNCED }] } } },
        },
        // Expired connections, and expired uploads without a message. Functions that delete them handle the consequences themselves.
        {
          eventName: ['REMOVE'],
          userIdentity: { principalId: ['dynamodb.amazonaws.com'] },
          dynamodb: { Keys: { SK: { S: [{ prefix: CONNECTION }, { prefix: FILE }] } } },
        },
      ],
      variables: {
        ...broadcasting.variables,
        ...announcements.variables,
        BUCKET_NAME: data.bucket.bucketName,
        PRESENCE_QUEUE_URL: presence.queue.queueUrl,
        EVENT_BUS_NAME: bus.eventBusName,
      },
      permissions: [
        ...broadcasting.permissions,
        ...announcements.permissions,
        publish,
        { actions: ['sqs:SendMessage'], resources: [presence.queue.queueArn] },
      ],
    });

    pinLogicalId(bus, 'Bus');
    this.sockets = sockets;
    this.background = {
      'deliver-messages': deliverMessages,
      'room-changes': roomChanges,
      'fan-out': fanOut,
      lane,
      presence,
      announce: announcements,
    };
    // For `npm run reschedule`.
    new CfnOutput(this, 'AnnounceFunctionArn', { value: announcements.handler.functionArn });
    new CfnOutput(this, 'ScheduleRoleArn', { value: announcements.role.roleArn });
    new CfnOutput(this, 'WebSocketUrl', { value: sockets.url });
    // The table and the bucket in use, for `npm run check` and other commands. They are outputs of this stack, because CloudFormation updates
    // outputs only together with resources, and a switch to a restored table changes no resource of the data stack.
    new CfnOutput(this, 'TableName', { value: data.table.tableName });
    new CfnOutput(this, 'BucketName', { value: data.bucket.bucketName });
    new CfnOutput(this, 'CallbackUrl', { value: sockets.callbackUrl });
    new CfnOutput(this, 'EventBusName', { value: bus.eventBusName });
    // For `npm run redrive`.
    for (const name of withDeadLetters) {
      const { handler, deadLetters } = this.background[name];
      new CfnOutput(this, `${pascal(name)}FunctionName`, { value: handler.functionName });
      new CfnOutput(this, `${pascal(name)}DeadLettersUrl`, { value: deadLetters.queueUrl });
    }
  }
}
