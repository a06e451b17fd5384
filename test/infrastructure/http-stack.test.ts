import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { allRoutes, kebab } from '../../core/contract/index.ts';
import { capital } from '../../core/contract/names.ts';
import type { Route } from '../../core/contract/route.ts';
import { DEFAULT_USER_LIMITS } from '../../core/contract/user-limits.ts';
import { memoryOf } from '../../lib/memory.ts';
import { permissions, sorted, tracing, within } from './permissions.ts';
import { AUDIENCE, at, countByType, ISSUER, ofType, onlyOne, synthesize, withImports } from './synthesize.ts';

const MAX_UPLOAD_BYTES = 7_000_000;
const userLimits = { ...DEFAULT_USER_LIMITS, roomsPerDay: 7 };
const { data, http, codeOf } = synthesize('dev', {
  allowedOrigins: ['https://a.example'],
  maxUploadBytes: MAX_UPLOAD_BYTES,
  logRetentionDays: 5,
  throttling: { rate: 12, burst: 34 },
  routeThrottling: { createUpload: { rate: 5, burst: 6 }, endRoom: { rate: 7, burst: 8 } },
  userLimits,
});
const prod = synthesize('prod', { allowedOrigins: [] });

const routes = ofType(http, 'AWS::ApiGatewayV2::Route');
const integrations = ofType(http, 'AWS::ApiGatewayV2::Integration');
const functions = ofType(http, 'AWS::Lambda::Function');
const roles = ofType(http, 'AWS::IAM::Role');
const logGroups = ofType(http, 'AWS::Logs::LogGroup');
const authorizer = onlyOne(http, 'AWS::ApiGatewayV2::Authorizer');
const api = onlyOne(http, 'AWS::ApiGatewayV2::Api');

const routeKey = ({ method, path }: Route): string => `${method} ${path}`;
const named = (map: ReadonlyMap<string, unknown>, id: unknown): unknown => {
  const found = typeof id === 'string' ? map.get(id) : undefined;
  if (found === undefined) throw new Error(`There is no ${JSON.stringify(id)}.`);
  return found;
};

/** Finds the resources of a contract row through the references in the template, as a request would. */
function resourcesOf(route: Route) {
  const [found, ...more] = [...routes.values()].filter((each) => at(each, 'RouteKey') === routeKey(route));
  expect(found, routeKey(route)).toBeDefined();
  expect(more).toEqual([]);
  expect(at(found, 'Target', 'Fn::Join', 1, 0)).toBe('integrations/');
  const integrationId = at(found, 'Target', 'Fn::Join', 1, 1, 'Ref');
  const integration = named(integrations, integrationId);
  const functionId = at(integration, 'IntegrationUri', 'Fn::GetAtt', 0);
  const handler = named(functions, functionId);
  const roleId = at(handler, 'Role', 'Fn::GetAtt', 0);
  const logId = at(handler, 'LoggingConfig', 'LogGroup', 'Ref');
  return { route: found, integrationId, integration, functionId, handler, roleId, role: named(roles, roleId), logId };
}

describe('the HTTP stack', () => {
  test('has exactly one route, integration, function, role and log group for each route of the contract', () => {
    const each = allRoutes.length;
    expect(countByType(http)).toEqual({
      'AWS::ApiGatewayV2::Api': 1,
      'AWS::ApiGatewayV2::Stage': 1,
      'AWS::ApiGatewayV2::Authorizer': 1,
      'AWS::ApiGatewayV2::Route': each,
      'AWS::ApiGatewayV2::Integration': each,
      'AWS::Lambda::Permission': each,
      'AWS::Lambda::Function': each,
      'AWS::IAM::Role': each,
      // One more for the access log.
      'AWS::Logs::LogGroup': each + 1,
    });
    expect([...routes.values()].map((route) => at(route, 'RouteKey')).sort()).toEqual(allRoutes.map(routeKey).sort());
  });

  test('shares no resource between routes', () => {
    for (const part of ['integrationId', 'functionId', 'roleId', 'logId'] as const)
      expect(new Set(allRoutes.map((route) => resourcesOf(route)[part])).size, part).toBe(allRoutes.length);
  });

  test('outputs the URL of the API', () => {
    http.hasOutput('HttpApiUrl', {
      Value: { 'Fn::Join': ['', Match.arrayWith(['https://', { Ref: api.id }, '.execute-api.'])] },
    });
  });
});

describe.each(allRoutes.map((route) => [route.operation, route] as const))('%s', (operation, route) => {
  const name = capital(operation);

  test('requires a token of the issuer for one of the audiences', () => {
    expect(resourcesOf(route).route).toMatchObject({
      ApiId: { Ref: api.id },
      AuthorizationType: 'JWT',
      AuthorizerId: { Ref: authorizer.id },
    });
  });

  test('invokes its own function, which only this API may invoke', () => {
    const { integration, functionId } = resourcesOf(route);
    expect(functionId).toMatch(new RegExp(`^${name}Function`));
    expect(integration).toMatchObject({ IntegrationType: 'AWS_PROXY', PayloadFormatVersion: '2.0' });
    http.hasResourceProperties('AWS::Lambda::Permission', {
      Action: 'lambda:InvokeFunction',
      Principal: 'apigateway.amazonaws.com',
      FunctionName: { 'Fn::GetAtt': [functionId, 'Arn'] },
      SourceArn: { 'Fn::Join': ['', Match.arrayWith([{ Ref: api.id }, `/*/*${route.path}`])] },
    });
  });

  test('runs its own code on Node 24 and arm64, with a time-out of 10 seconds', () => {
    expect(codeOf(resourcesOf(route).handler)).toBe(kebab(operation));
    expect(resourcesOf(route).handler).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: 'start.handler',
      MemorySize: memoryOf(kebab(operation)),
      Timeout: 10,
      LoggingConfig: { LogFormat: 'JSON' },
      TracingConfig: { Mode: 'Active' },
    });
  });

  test('sets the environment variables that the contract row needs', () => {
    expect(withImports(at(resourcesOf(route).handler, 'Environment', 'Variables'), data)).toEqual({
      TABLE_NAME: { Ref: 'RoomsTable' },
      ...(route.access.bucket && { BUCKET_NAME: { Ref: 'FilesBucket' } }),
      ...(route.operation === 'createUpload' && { MAX_UPLOAD_BYTES: String(MAX_UPLOAD_BYTES) }),
      ...(route.counts && {
        USER_LIMITS: JSON.stringify(Object.fromEntries(route.counts.map((limit) => [limit, userLimits[limit]]))),
      }),
      METRICS_ENVIRONMENT: 'dev',
      ...(route.query &&
        'cursor' in route.query.entries && {
          CURSOR_KEY: { 'Fn::Select': [2, { 'Fn::Split': ['/', { Ref: 'AWS::StackId' }] }] },
        }),
    });
  });

  test('grants the access that the contract row declares, and writing its log', () => {
    const { role, logId } = resourcesOf(route);
    const table = { 'Fn::GetAtt': ['RoomsTable', 'Arn'] };
    const index = { 'Fn::Join': ['', [table, '/index/GSI1']] };
    const objects = { 'Fn::Join': ['', [{ 'Fn::GetAtt': ['FilesBucket', 'Arn'] }, '/rooms/*']] };
    const log = { 'Fn::GetAtt': [logId, 'Arn'] };
    const { access } = route;
    const expected = [
      ...['CreateLogStream', 'PutLogEvents'].map((action) => [`logs:${action}`, log]),
      ...tracing,
      ...Object.entries(access.table).map(([action, partitions]) => [`dynamodb:${action}`, table, within(partitions)]),
      ...(access.index ? [['dynamodb:Query', index, within(access.index)]] : []),
      ...(access.bucket ?? []).map((action) => [`s3:${action}`, objects]),
    ];
    expect(sorted(permissions(role, data))).toEqual(sorted(expected));
    expect(role).not.toHaveProperty('ManagedPolicyArns');
    expect(at(role, 'AssumeRolePolicyDocument', 'Statement')).toEqual([
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } },
    ]);
  });
});

describe('permissions as a whole', () => {
  test('have no wildcard in an action, and not the resource `*`', () => {
    for (const role of roles.values())
      for (const [action, resource] of permissions(role, data)) {
        expect(action).not.toContain('*');
        if (!action.startsWith('xray:')) expect(JSON.stringify(resource)).toContain('Fn::GetAtt');
      }
  });

  test('are granted by roles only', () => {
    for (const type of ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy', 'AWS::IAM::RolePolicy'])
      http.resourceCountIs(type, 0);
  });
});

describe('the API', () => {
  test('accepts tokens of the environment’s issuer for its audience only', () => {
    expect(authorizer.properties).toMatchObject({
      ApiId: { Ref: api.id },
      AuthorizerType: 'JWT',
      IdentitySource: ['$request.header.Authorization'],
      JwtConfiguration: { Issuer: ISSUER, Audience: AUDIENCE },
    });
  });

  test('allows CORS for the allowed origins, with the methods and headers in use', () => {
    expect(api.properties).toMatchObject({
      ProtocolType: 'HTTP',
      CorsConfiguration: {
        AllowOrigins: ['https://a.example'],
        AllowMethods: expect.toSatisfy(
          (methods: string[]) =>
            JSON.stringify([...methods].sort()) ===
            JSON.stringify([...new Set(allRoutes.map(({ method }) => method))].sort()),
        ),
        AllowHeaders: ['authorization', 'content-type', 'idempotency-key'],
        ExposeHeaders: ['retry-after', 'apigw-requestid'],
        MaxAge: 3600,
      },
    });
    expect(at(api.properties, 'CorsConfiguration')).not.toHaveProperty('AllowCredentials');
  });

  test('has no CORS without allowed origins', () => {
    expect(onlyOne(prod.http, 'AWS::ApiGatewayV2::Api').properties).not.toHaveProperty('CorsConfiguration');
    expect(onlyOne(prod.data, 'AWS::S3::Bucket').properties).not.toHaveProperty('CorsConfiguration');
  });

  test('creates a route before it is throttled, as API Gateway requires', () => {
    const [stage] = Object.values(http.findResources('AWS::ApiGatewayV2::Stage'));
    const keys = [stage?.DependsOn].flat().flatMap((id) => {
      const route = routes.get(String(id));
      return route ? [at(route, 'RouteKey')] : [];
    });
    expect(keys.sort()).toEqual(['DELETE /admin/room/{room_id}', 'GET /participant/room/{room_id}/upload']);
  });

  test('throttles the most expensive routes below the rest, in each environment', () => {
    const settings = at(onlyOne(prod.http, 'AWS::ApiGatewayV2::Stage').properties, 'RouteSettings');
    expect(settings).toEqual({
      'POST /room': { ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200 },
      'POST /admin/room/{room_id}/participant': { ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200 },
      'GET /participant/room/{room_id}/upload': { ThrottlingRateLimit: 200, ThrottlingBurstLimit: 400 },
    });
  });

  test('is throttled, and writes each request to the access log as JSON', () => {
    const stage = onlyOne(http, 'AWS::ApiGatewayV2::Stage').properties;
    expect(stage).toMatchObject({
      ApiId: { Ref: api.id },
      StageName: '$default',
      AutoDeploy: true,
      DefaultRouteSettings: { ThrottlingRateLimit: 12, ThrottlingBurstLimit: 34 },
      RouteSettings: {
        'GET /participant/room/{room_id}/upload': { ThrottlingRateLimit: 5, ThrottlingBurstLimit: 6 },
        'DELETE /admin/room/{room_id}': { ThrottlingRateLimit: 7, ThrottlingBurstLimit: 8 },
      },
    });
    const logId = at(stage, 'AccessLogSettings', 'DestinationArn', 'Fn::GetAtt', 0);
    expect(logGroups.has(String(logId))).toBe(true);
    expect(allRoutes.map((route) => resourcesOf(route).logId)).not.toContain(logId);

    const format: unknown = JSON.parse(String(at(stage, 'AccessLogSettings', 'Format')));
    expect(format).toMatchObject({
      request_id: '$context.requestId',
      route: '$context.routeKey',
      status: '$context.status',
      user: '$context.authorizer.claims.sub',
    });
    // The access log must not contain tokens or file names.
    expect(JSON.stringify(format)).not.toMatch(/\$context\.path|header|query|authorizer\.claims\.(?!sub)/i);
  });

  test('keeps every log for the retention period of the environment', () => {
    for (const [id, properties] of logGroups) expect(properties, id).toMatchObject({ RetentionInDays: 5 });
    http.allResources('AWS::Logs::LogGroup', { DeletionPolicy: 'Delete' });
    prod.http.allResources('AWS::Logs::LogGroup', { DeletionPolicy: 'Retain' });
  });
});
