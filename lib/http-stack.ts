import { Annotations, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  CfnStage,
  CorsHttpMethod,
  type CorsPreflightOptions,
  HttpApi,
  HttpStage,
  LogGroupLogDestination,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import type { Construct } from 'constructs';
import { allRoutes } from '../core/contract/index.ts';
import { capital } from '../core/contract/names.ts';
import type { Route } from '../core/contract/route.ts';
import type { Bundles } from './bundle.ts';
import { HttpEndpoint } from './constructs/http-endpoint.ts';
import { logGroup } from './constructs/log-group.ts';
import { pinLogicalId } from './constructs/logical-id.ts';
import { ownDomain } from './constructs/own-domain.ts';
import type { DataStack } from './data-stack.ts';
import { type Environment, MADE_UP_ISSUER } from './environments.ts';

export interface HttpStackProps extends StackProps {
  readonly environment: Environment;
  readonly data: DataStack;
  readonly bundles: Bundles;
}

/** The HTTP API: a route, an integration and a function for each row of the contract, and nothing else. */
export class HttpStack extends Stack {
  readonly api: HttpApi;

  constructor(scope: Construct, id: string, { environment, data, bundles, ...props }: HttpStackProps) {
    super(scope, id, props);
    if (environment.issuer === MADE_UP_ISSUER)
      Annotations.of(this).addWarningV2(
        'rooms:made-up-issuer',
        `The issuer ${MADE_UP_ISSUER} is a placeholder, and API Gateway rejects issuers that it cannot reach: deploy with -c issuer=<URL>.`,
      );
    const api = new HttpApi(this, 'Api', {
      apiName: id,
      description: 'Rooms',
      createDefaultStage: false,
      ...(environment.allowedOrigins.length > 0 && { corsPreflight: cors(environment.allowedOrigins) }),
    });
    // Clients store its URL.
    pinLogicalId(api, 'HttpApi');
    this.api = api;
    const domain = environment.httpDomain;
    const stage = new HttpStage(this, 'Stage', {
      httpApi: api,
      stageName: '$default',
      autoDeploy: true,
      throttle: { rateLimit: environment.throttling.rate, burstLimit: environment.throttling.burst },
      ...(domain && { domainMapping: { domainName: ownDomain(this, domain) } }),
      accessLogSettings: {
        destination: new LogGroupLogDestination(logGroup(this, 'AccessLogs', 'HttpAccessLogs', environment)),
        format: AccessLogFormat.custom(JSON.stringify(accessLog)),
      },
    });
    const authorizer = new HttpJwtAuthorizer('Iams', environment.issuer, { jwtAudience: [...environment.audience] });
    for (const route of allRoutes) {
      const endpoint = new HttpEndpoint(this, capital(route.operation), {
        route,
        bundles,
        api,
        authorizer,
        data,
        environment,
      });
      const throttle = environment.routeThrottling[route.operation];
      if (throttle) throttleRoute(stage, endpoint, route, throttle);
    }
    new CfnOutput(this, 'HttpApiUrl', { value: domain ? `https://${domain.name}` : stage.url });
  }
}

/** Sets the throttling of a route. API Gateway accepts settings only for existing routes. */
function throttleRoute(
  stage: HttpStage,
  endpoint: HttpEndpoint,
  { method, path }: Route,
  { rate, burst }: Environment['throttling'],
): void {
  const { defaultChild } = stage.node;
  if (!(defaultChild instanceof CfnStage)) throw new Error('The stage is not a CloudFormation resource.');
  defaultChild.addPropertyOverride(`RouteSettings.${method} ${path}`, {
    ThrottlingRateLimit: rate,
    ThrottlingBurstLimit: burst,
  });
  defaultChild.node.addDependency(endpoint.route);
}

const cors = (origins: readonly string[]): CorsPreflightOptions => ({
  allowOrigins: [...origins],
  allowMethods: [...new Set(allRoutes.map(({ method }) => CorsHttpMethod[method]))],
  allowHeaders: ['authorization', 'content-type', 'idempotency-key'],
  // apigw-requestid is the request ID, which users include in problem reports.
  exposeHeaders: ['retry-after', 'apigw-requestid'],
  // Browsers can use a cached preflight response for up to this time after an origin was removed from the list.
  maxAge: Duration.hours(1),
});

/**
 * One JSON object for each request. It contains only values without quotation marks, because API Gateway does not
 * escape them. It contains no path parameters and no query.
 */
const accessLog = {
  request_id: '$context.requestId',
  time: '$context.requestTime',
  route: '$context.routeKey',
  status: '$context.status',
  user: '$context.authorizer.claims.sub',
  ip: '$context.identity.sourceIp',
  latency_ms: '$context.responseLatency',
  integration_latency_ms: '$context.integrationLatency',
  integration_status: '$context.integrationStatus',
  response_bytes: '$context.responseLength',
  error: '$context.error.responseType',
} as const;
