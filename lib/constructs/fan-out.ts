import type * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { EventFunction } from './event-function.ts';
import type { Permission } from './permission.ts';
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
    const { handler } = new EventFunction(this, 'FanOut', {
      name: 'fan-out',
      bundles,
      data,
      environment,
      variables: {
        TABLE_NAME: data.table.tableName,
        CALLBACK_URL: sockets.callbackUrl,
        API_GATEWAY_QUOTA: String(environment.apiGatewayQuota),
      },
      permissions: [sockets.manageConnections],
    });
    this.handler = handler;
    this.variables = {
      FAN_OUT_FUNCTION_ARN: handler.functionArn,
      API_GATEWAY_QUOTA: String(environment.apiGatewayQuota),
    };
    this.permission = { actions: ['lambda:InvokeFunction'], resources: [handler.functionArn] };
  }
}
