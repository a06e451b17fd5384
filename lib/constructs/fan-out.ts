import type * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { eventFunctionAccess } from '../access.ts';
import { folderOf } from '../bundle.ts';
import { accessTo, type Permission } from './permission.ts';
import { RoomsFunction } from './rooms-function.ts';
import type { RealtimeProps, SocketApi } from './socket-api.ts';

export interface FanOutProps extends RealtimeProps {
  readonly sockets: SocketApi;
}

/**
 * The function that delivers batches of a large room's connections, with the variables and permission of its
 * invokers.
 */
export class FanOut extends Construct {
  readonly handler: lambda.Function;
  /** Variables of its invokers. */
  readonly variables: { readonly FAN_OUT_FUNCTION_ARN: string; readonly API_GATEWAY_QUOTA: string };
  /** Permission of its invokers. */
  readonly permission: Permission;

  constructor(scope: Construct, id: string, { environment, data, bundles, sockets }: FanOutProps) {
    super(scope, id);
    const { handler } = new RoomsFunction(this, 'FanOut', {
      name: 'fan-out',
      description: 'Invoked by functions that send to a large room: delivers a batch of its connections.',
      code: folderOf(bundles, 'fan-out'),
      environment,
      variables: {
        TABLE_NAME: data.table.tableName,
        CALLBACK_URL: sockets.callbackUrl,
        API_GATEWAY_QUOTA: String(environment.apiGatewayQuota),
      },
      permissions: [...accessTo(data, eventFunctionAccess['fan-out']), sockets.manageConnections],
      // 10 of these seconds are reserved for marking connections (core/realtime/deadline.ts). If none of 500
      // connections answers, 100 at a time and 3 s each, the batch takes 15 s. The invokers wait a little longer
      // (core/realtime/fan-out-invoke.ts).
      timeout: 30,
    });
    this.handler = handler;
    this.variables = {
      FAN_OUT_FUNCTION_ARN: handler.functionArn,
      API_GATEWAY_QUOTA: String(environment.apiGatewayQuota),
    };
    this.permission = { actions: ['lambda:InvokeFunction'], resources: [handler.functionArn] };
  }
}
