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

/** Common props of the real-time constructs. */
export interface RealtimeProps {
  readonly environment: Environment;
  readonly data: DataStack;
  readonly bundles: Bundles;
}

/**
 * The WebSocket API, with a function for each action of the contract and for the events of the gateway itself. It has no
 * list of allowed origins. The service uses no cookies, so a foreign page cannot act for a user without the user's token.
 */
export class SocketApi extends Construct {
  /** The URL for clients, `wss://…`. */
  readonly url: string;
  readonly api: WebSocketApi;
  readonly stage: WebSocketStage;
  /** The URL for functions that post to connections, `https://…`. */
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
    // Clients store its URL.
    pinLogicalId(api, 'WebSocketApi');
    const { rate: rateLimit, burst: burstLimit } = environment.webSocketThrottling;
    const domain = environment.webSocketDomain;
    const stage = new WebSocketStage(this, 'Stage', {
      webSocketApi: api,
      // The version of the URL. The version of the protocol is in the sub-protocol.
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
      wildcard: 'The IDs of connections are not known at deployment.',
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
          reason: 'A WebSocket API can have an authorizer only for $connect, which every connection has passed.',
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
    // API Gateway rejects requests without a value in the identity source, but the token can be in either of two headers. Without an
    // identity source, it always invokes the authorizer. The construct sets an empty list, which the API could reject.
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

/** The actions that get a reply, including the handler of unknown actions. */
const answered: readonly Action[] = [...Object.values(actions), unknownAction];

/**
 * One JSON object for every connect, frame and disconnect. It contains only values without quotation marks, because
 * API Gateway does not escape them. It contains neither headers, which include tokens, nor content of frames.
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
