import { Aws, Duration, Fn } from 'aws-cdk-lib';
import {
  type HttpApi,
  HttpMethod,
  HttpRoute,
  HttpRouteKey,
  type IHttpRouteAuthorizer,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Route } from '../../core/contract/route.ts';
import type { DataStack } from '../data-stack.ts';
import type { Environment } from '../environments.ts';
import { logGroup } from './log-group.ts';

export interface HttpEndpointProps {
  readonly route: Route;
  /** The folder of the handler's bundle. */
  readonly code: string;
  readonly api: HttpApi;
  readonly authorizer: IHttpRouteAuthorizer;
  readonly data: DataStack;
  readonly environment: Environment;
}

/** One row of the contract in the cloud: a function, the role and log group it has to itself, and the route that leads to it. */
export class HttpEndpoint extends Construct {
  constructor(scope: Construct, id: string, { route, code, api, authorizer, data, environment }: HttpEndpointProps) {
    super(scope, id);
    const log = logGroup(this, 'Logs', environment);
    const handler = new NodejsFunction(this, 'Function', {
      description: `${route.method} ${route.path}: ${route.summary}`,
      code: lambda.Code.fromAsset(code),
      handler: 'index.handler',
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      // CPU comes with memory. These functions need little of either once they run, but loading their code is all CPU: with
      // 128 MB a start would take about four times as long and cost as much.
      memorySize: 512,
      // What a caller still waits for; the store's own retries end well before it.
      timeout: Duration.seconds(10),
      environment: variables(route, data, environment),
      role: roleOf(this, route, data, log),
      logGroup: log,
      loggingFormat: lambda.LoggingFormat.JSON,
    });
    new HttpRoute(this, 'Route', {
      httpApi: api,
      routeKey: HttpRouteKey.with(route.path, HttpMethod[route.method]),
      integration: new HttpLambdaIntegration('Integration', handler),
      authorizer,
    });
  }
}

/** A function gets only the variables that its row calls for. */
function variables({ access, list }: Route, data: DataStack, { maxUploadBytes }: Environment): Record<string, string> {
  return {
    TABLE_NAME: data.table.tableName,
    ...(access.bucket && { BUCKET_NAME: data.bucket.bucketName, MAX_UPLOAD_BYTES: String(maxUploadBytes) }),
    ...(list && { CURSOR_KEY: cursorKey }),
  };
}

/**
 * Authenticates cursors: the GUID in the stack's id, which no answer shows and which differs from stack to stack. It need not
 * withstand more than callers: who can read it in the AWS account could read the table as well, and a forged cursor would
 * still only say where to go on in a list that the caller may read anyway. A secret in Secrets Manager would cost a monthly
 * fee and a call at every cold start. Recreating the stack makes open cursors invalid, which clients take as a 400.
 */
const cursorKey = Fn.select(2, Fn.split('/', Aws.STACK_ID));

/** A role with what the row's `access` says, and writing to the function's own log group. */
function roleOf(scope: Construct, { access }: Route, data: DataStack, log: logs.LogGroup): iam.Role {
  const allow = (actions: readonly string[], resource: string): iam.PolicyStatement =>
    new iam.PolicyStatement({ actions: [...actions], resources: [resource] });
  const statements = [
    allow(['logs:CreateLogStream', 'logs:PutLogEvents'], log.logGroupArn),
    allow(
      access.table.map((action) => `dynamodb:${action}`),
      data.table.tableArn,
    ),
    ...(access.index
      ? [
          allow(
            access.index.map((action) => `dynamodb:${action}`),
            data.indexArn,
          ),
        ]
      : []),
    ...(access.bucket
      ? [
          allow(
            access.bucket.map((action) => `s3:${action}`),
            data.bucket.arnForObjects('rooms/*'),
          ),
        ]
      : []),
  ];
  return new iam.Role(scope, 'Role', {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    inlinePolicies: { access: new iam.PolicyDocument({ statements }) },
  });
}
