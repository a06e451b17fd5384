import { Stack, Validations } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  CfnAuthorizer,
  LogGroupLogDestination,
  WebSocketApi,
  WebSocketRoute,
  type WebSocketRouteOptions,
  WebSocketStage,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketLambdaAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { WebSocketLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Construct } from 'constructs';
import { capital } from '../../core/contract/names.ts';
import { type Action, actions, unknownAction } from '../../core/contract/realtime.ts';
import { type Bundles, folderOf } from '../bundle.ts';
import type { DataStack } from '../data-stack.ts';
import { socketFunction } from '../entries.ts';
import type { Environment } from '../environments.ts';
import type { EventFunctionName } from '../event-functions.ts';
import { EventFunction } from './event-function.ts';
import { GatewayLogging } from './gateway-logging.ts';
import { logGroup } from './log-group.ts';
import { pinLogicalId } from './logical-id.ts';
import { ownDomain } from './own-domain.ts';
import { accessTo, type Permission } from './permission.ts';
import { RoomsFunction, type RoomsFunctionProps } from './rooms-function.ts';

/** Props of every part of the real-time side. */
export interface RealtimeProps {
  readonly environment: Environment;
  readonly data: DataStack;
  readonly bundles: Bundles;
}

/**
 * The WebSocket API: a function for each action of the contract, and those for the events of the gateway itself.
 * There is no list of allowed origins: browsers do not ask before they open a WebSocket, and send no cookie of this
 * service with it. A client needs a token, which only the page that has it can send.
 */
export class SocketApi extends Construct {
  /** The URL for clients: `wss://…` */
  readonly url: string;
  readonly api: WebSocketApi;
  readonly stage: WebSocketStage;
  /** The URL for functions that post to connections: `https://…` */
  readonly callbackUrl: string;
  /** Permission to post to connections, and to close them. */
  readonly manageConnections: Permission;
  /** Permission to check, post to and close connections. */
  readonly checkConnections: Permission;

  constructor(scope: Construct, id: string, props: RealtimeProps) {
    super(scope, id);
    const { environment, data, bundles } = props;
    const api = new WebSocketApi(this, 'Api', {
      apiName: Stack.of(this).stackName,
      description: 'Rooms, real time',
      routeSelectionExpression: '$request.body.action',
    });
    // Clients know its URL.
    pinLogicalId(api, 'WebSocketApi');
    const { rate: rateLimit, burst: burstLimit } = environment.webSocketThrottling;
    const domain = environment.webSocketDomain;
    const stage = new WebSocketStage(this, 'Stage', {
      webSocketApi: api,
      // The version of the address. The protocol version of a client is its sub-protocol, not this.
      stageName: 'v1',
      autoDeploy: true,
      throttle: { rateLimit, burstLimit },
      ...(domain && { domainMapping: { domainName: ownDomain(this, domain) } }),
      accessLogSettings: {
        destination: new LogGroupLogDestination(logGroup(this, 'AccessLogs', 'WebSocketAccessLogs', environment)),
        format: AccessLogFormat.custom(JSON.stringify(accessLog)),
      },
    });
    if (environment.apiGatewayLogRole) stage.node.addDependency(new GatewayLogging(this, 'GatewayLogging'));
    this.api = api;
    this.stage = stage;
    this.url = domain ? `wss://${domain.name}` : stage.url;
    this.callbackUrl = stage.callbackUrl;
    const connections = (...methods: readonly ('GET' | 'POST' | 'DELETE')[]): Permission => ({
      actions: ['execute-api:ManageConnections'],
      resources: methods.map((method) =>
        Stack.of(this).formatArn({
          service: 'execute-api',
          resource: api.apiId,
          resourceName: `${stage.stageName}/${method}/@connections/*`,
        }),
      ),
      wildcard: 'Connections come and go: what they are called cannot be known when this is deployed.',
    });
    this.manageConnections = connections('POST', 'DELETE');
    this.checkConnections = connections('GET', 'POST', 'DELETE');

    const postToConnections = connections('POST');

    const table = { TABLE_NAME: data.table.tableName };
    const route = (routeKey: string, fn: RoomsFunction, options: Partial<WebSocketRouteOptions> = {}) => {
      const made = new WebSocketRoute(fn, 'Route', {
        webSocketApi: api,
        routeKey,
        integration: new WebSocketLambdaIntegration('Integration', fn.handler),
        ...options,
      });
      if (routeKey !== '$connect')
        Validations.of(made).acknowledge({
          id: 'AwsSolutions-APIG4',
          reason:
            'A WebSocket API asks its authorizer when a client connects, and can for no other route: who gets this far has been let in.',
        });
    };

    const own = (id: string, name: EventFunctionName, variables: RoomsFunctionProps['variables'] = {}) =>
      new EventFunction(this, id, { name, ...props, variables });
    const authorizer = own('Authorizer', 'authorizer', {
      ISSUER: environment.issuer,
      AUDIENCE: environment.audience.join(','),
    });
    const connect = own('Connect', 'connect');
    const disconnect = own('Disconnect', 'disconnect', table);
    route('$connect', connect, {
      authorizer: new WebSocketLambdaAuthorizer('Authorizer', authorizer.handler, { identitySource: [] }),
    });
    // With an identity source, API Gateway would refuse by itself what has no token there; but it may be in either of two
    // headers. Without one it always asks. The construct leaves an empty list, which the API may take for a wrong one.
    const request = api.node.findAll().find((child) => child instanceof CfnAuthorizer);
    request?.addPropertyDeletionOverride('IdentitySource');
    route('$disconnect', disconnect);
    for (const { action, summary, access, posts } of answered) {
      const name = socketFunction(action);
      const answering = new RoomsFunction(this, `${capital(name)}Action`, {
        name,
        code: folderOf(bundles, name),
        environment,
        description: `WebSocket ${action}: ${summary}`,
        variables: {
          ...table,
          USER_FRAME_LIMIT: String(environment.userLimits.framesPer10Seconds),
          ...(posts && { CALLBACK_URL: stage.callbackUrl }),
          ...(access.bucket && { BUCKET_NAME: data.bucket.bucketName }),
        },
        permissions: [...accessTo(data, access), ...(posts ? [postToConnections] : [])],
      });
      route(action, answering, { returnResponse: true });
    }
  }
}

/** What gets a reply: also a frame whose action is none of those there are. */
const answered: readonly Action[] = [...Object.values(actions), unknownAction];

/**
 * One JSON object for every connect, frame and disconnect. It contains only values without quotation marks, because
 * API Gateway does not escape them. It contains no headers, which include tokens, and nothing of a frame.
 */
const accessLog = {
  request_id: '$context.extendedRequestId',
  time: '$context.requestTime',
  event: '$context.eventType',
  route: '$context.routeKey',
  status: '$context.status',
  connection_id: '$context.connectionId',
  user: '$context.authorizer.user_id',
  ip: '$context.identity.sourceIp',
  integration_latency_ms: '$context.integrationLatency',
  integration_status: '$context.integration.status',
  error: '$context.error.responseType',
} as const;
