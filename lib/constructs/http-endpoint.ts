import { Aws, Fn } from 'aws-cdk-lib';
import {
  type HttpApi,
  HttpMethod,
  HttpRoute,
  HttpRouteKey,
  type IHttpRouteAuthorizer,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { Construct } from 'constructs';
import type { Route } from '../../core/contract/route.ts';
import { type Bundles, folderOf } from '../bundle.ts';
import type { DataStack } from '../data-stack.ts';
import { httpEntry } from '../entries.ts';
import type { Environment } from '../environments.ts';
import { accessTo } from './permission.ts';
import { RoomsFunction, type RoomsFunctionProps } from './rooms-function.ts';

export interface HttpEndpointProps {
  readonly route: Route;
  readonly bundles: Bundles;
  readonly api: HttpApi;
  readonly authorizer: IHttpRouteAuthorizer;
  readonly data: DataStack;
  readonly environment: Environment;
}

/** One row of the contract in AWS: a function with its own role and log group, and its route. */
export class HttpEndpoint extends RoomsFunction {
  readonly route: HttpRoute;

  constructor(scope: Construct, id: string, { route, bundles, api, authorizer, data, environment }: HttpEndpointProps) {
    const { name } = httpEntry(route);
    super(scope, id, {
      description: `${route.method} ${route.path}: ${route.summary}`,
      name,
      code: folderOf(bundles, name),
      environment,
      variables: variables(route, data, environment),
      permissions: accessTo(data, route.access),
    });
    this.route = new HttpRoute(this, 'Route', {
      httpApi: api,
      routeKey: HttpRouteKey.with(route.path, HttpMethod[route.method]),
      integration: new HttpLambdaIntegration('Integration', this.handler),
      authorizer,
    });
  }
}

type Variables = NonNullable<RoomsFunctionProps['variables']>;

/** Returns only the variables that a function needs for its row. */
function variables(
  { access, query, counts }: Route,
  data: DataStack,
  { maxUploadBytes, userLimits }: Environment,
): Variables {
  return {
    TABLE_NAME: data.table.tableName,
    ...(access.bucket && { BUCKET_NAME: data.bucket.bucketName }),
    ...(access.bucket?.includes('PutObject') && { MAX_UPLOAD_BYTES: String(maxUploadBytes) }),
    ...(counts && {
      USER_LIMITS: JSON.stringify(Object.fromEntries(counts.map((limit) => [limit, userLimits[limit]]))),
    }),
    ...(query && 'cursor' in query.entries && { CURSOR_KEY: cursorKey }),
  };
}

/**
 * Returns the key that authenticates cursors: the GUID in the stack's ID, which no response contains and which differs
 * between stacks. It protects only against callers. Users who can read it in the AWS account can also read the table. A
 * forged cursor could only move within a list that the caller can read. A secret in Secrets Manager would cost a monthly
 * fee and a request at every cold start. If the stack is recreated, clients with an old cursor get a 400.
 */
const cursorKey = Fn.select(2, Fn.split('/', Aws.STACK_ID));
