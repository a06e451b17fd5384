import type * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { accessOfOthers } from '../access.ts';
import { folderOf } from '../bundle.ts';
import { accessTo, type Permission } from './permission.ts';
import { RoomsFunction } from './rooms-function.ts';
import type { RealtimeProps, SocketApi } from './socket-api.ts';

export interface FanOutProps extends RealtimeProps {
  readonly sockets: SocketApi;
}

/** The function that those who tell a large room something hand slices of its connections to. */
export class FanOut extends Construct {
  readonly handler: lambda.Function;
  /** What they need to know. */
  readonly variables: { readonly FAN_OUT_FUNCTION_ARN: string };
  /** What they must be allowed. */
  readonly permission: Permission;

  constructor(scope: Construct, id: string, { environment, data, bundles, sockets }: FanOutProps) {
    super(scope, id);
    const { handler } = new RoomsFunction(this, 'FanOut', {
      name: 'fan-out',
      description: 'Invoked by functions that tell a large room something: does it to a slice of its connections.',
      code: folderOf(bundles, 'fan-out'),
      environment,
      variables: { TABLE_NAME: data.table.tableName, CALLBACK_URL: sockets.callbackUrl },
      permissions: [...accessTo(data, accessOfOthers['fan-out']), sockets.manageConnections],
      // As for those that invoke it, which deliver a slice themselves.
      memory: 1_024,
      // Were none of 500 connections to answer, a hundred at a time and three seconds each, and one to be closed, that would
      // take twenty. Those who invoke it wait a little longer (core/realtime/hand-on.ts), and may take sixty themselves.
      timeout: 30,
    });
    this.handler = handler;
    this.variables = { FAN_OUT_FUNCTION_ARN: handler.functionArn };
    this.permission = { actions: ['lambda:InvokeFunction'], resources: [handler.functionArn] };
  }
}
