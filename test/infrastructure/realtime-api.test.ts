import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { actions } from '../../core/contract/realtime.ts';
import { at, ofType, onlyOne, synthesize } from './synthesize.ts';

const { realtime, codeOf } = synthesize('dev', {
  logRetentionDays: 5,
  webSocketThrottling: { rate: 12, burst: 34 },
});
const prod = synthesize('prod', { apiGatewayLogRole: false });

const api = onlyOne(realtime, 'AWS::ApiGatewayV2::Api');
const routes = ofType(realtime, 'AWS::ApiGatewayV2::Route');
const integrations = ofType(realtime, 'AWS::ApiGatewayV2::Integration');
const functions = ofType(realtime, 'AWS::Lambda::Function');
const authorizer = onlyOne(realtime, 'AWS::ApiGatewayV2::Authorizer');
const stage = onlyOne(realtime, 'AWS::ApiGatewayV2::Stage');

/** The function to which a URI refers. */
function functionAt(uri: unknown): { id: string; properties: unknown } {
  const parts = at(uri, 'Fn::Join', 1);
  const id = Array.isArray(parts) ? parts.map((part) => Object(part)['Fn::GetAtt']?.[0]).find(Boolean) : undefined;
  expect(JSON.stringify(parts)).toContain(':lambda:path/2015-03-31/functions/');
  return { id, properties: functions.get(id) };
}

/** Finds the resources of a route key through the references in the template, as a frame would. */
function resourcesOf(routeKey: string) {
  const [found, ...more] = [...routes].filter(([, each]) => at(each, 'RouteKey') === routeKey);
  if (found === undefined || more.length > 0) throw new Error(`Not exactly one route ${routeKey}.`);
  const [routeId, route] = found;
  const integrationId = String(at(route, 'Target', 'Fn::Join', 1, 1, 'Ref'));
  const integration = integrations.get(integrationId);
  return { routeId, route, integrationId, integration, handler: functionAt(at(integration, 'IntegrationUri')) };
}

const answered = [...Object.keys(actions), '$default'];
const keys = ['$connect', '$disconnect', ...answered];

describe('the WebSocket API', () => {
  test('has a route for each action, $connect, $disconnect and $default', () => {
    expect(api.properties).toMatchObject({
      ProtocolType: 'WEBSOCKET',
      RouteSelectionExpression: '$request.body.action',
    });
    expect([...routes.values()].map((route) => at(route, 'RouteKey')).sort()).toEqual([...keys].sort());
  });

  test.each(keys)('%s invokes its own function, which only this route may invoke', (routeKey) => {
    const { route, integration, handler } = resourcesOf(routeKey);
    expect(route).toMatchObject({ ApiId: { Ref: api.id } });
    expect(integration).toMatchObject({ ApiId: { Ref: api.id }, IntegrationType: 'AWS_PROXY' });
    expect(codeOf(handler.properties)).toBe(routeKey.replace('$', ''));
    realtime.hasResourceProperties('AWS::Lambda::Permission', {
      Action: 'lambda:InvokeFunction',
      Principal: 'apigateway.amazonaws.com',
      FunctionName: { 'Fn::GetAtt': [handler.id, 'Arn'] },
      SourceArn: { 'Fn::Join': ['', Match.arrayWith([{ Ref: api.id }, `/*${routeKey}`])] },
    });
  });

  test('shares no function or integration between routes', () => {
    expect(new Set(keys.map((key) => resourcesOf(key).integrationId)).size).toBe(keys.length);
    expect(new Set(keys.map((key) => resourcesOf(key).handler.id)).size).toBe(keys.length);
    realtime.resourceCountIs('AWS::ApiGatewayV2::Integration', keys.length);
    // One more for the authorizer.
    realtime.resourceCountIs('AWS::Lambda::Permission', keys.length + 1);
  });

  test('replies to every frame with the result of the function', () => {
    const replying = [...ofType(realtime, 'AWS::ApiGatewayV2::RouteResponse').values()];
    expect(replying).toHaveLength(answered.length);
    for (const key of answered) {
      const { routeId, route } = resourcesOf(key);
      expect(route, key).toMatchObject({ RouteResponseSelectionExpression: '$default' });
      expect(replying).toContainEqual({
        ApiId: { Ref: api.id },
        RouteId: { Ref: routeId },
        RouteResponseKey: '$default',
      });
    }
    // API Gateway has no route responses for these routes.
    for (const key of ['$connect', '$disconnect'])
      expect(resourcesOf(key).route).not.toHaveProperty('RouteResponseSelectionExpression');
  });

  test('accepts only connections that the authorizer accepts', () => {
    expect(resourcesOf('$connect').route).toMatchObject({
      AuthorizationType: 'CUSTOM',
      AuthorizerId: { Ref: authorizer.id },
    });
    expect(authorizer.properties).toMatchObject({ ApiId: { Ref: api.id }, AuthorizerType: 'REQUEST' });
    const { id, properties } = functionAt(at(authorizer.properties, 'AuthorizerUri'));
    expect(codeOf(properties)).toBe('authorizer');
    realtime.hasResourceProperties('AWS::Lambda::Permission', {
      Action: 'lambda:InvokeFunction',
      Principal: 'apigateway.amazonaws.com',
      FunctionName: { 'Fn::GetAtt': [id, 'Arn'] },
      SourceArn: {
        'Fn::Join': ['', Match.arrayWith([{ Ref: api.id }, '/authorizers/', { Ref: authorizer.id }])],
      },
    });
  });

  test('invokes the authorizer for every connection, for any position of the token', () => {
    expect(authorizer.properties).not.toHaveProperty('IdentitySource');
    expect(authorizer.properties).not.toHaveProperty('AuthorizerResultTtlInSeconds');
  });

  test('has one authorizer, on $connect, and accepts no API key', () => {
    for (const key of keys.filter((each) => each !== '$connect')) {
      expect(resourcesOf(key).route).toMatchObject({ AuthorizationType: 'NONE' });
      expect(resourcesOf(key).route).not.toHaveProperty('AuthorizerId');
    }
  });
});

describe('the stage', () => {
  test('is deployed with every change, and throttled', () => {
    expect(stage.properties).toMatchObject({
      ApiId: { Ref: api.id },
      StageName: 'v1',
      AutoDeploy: true,
      DefaultRouteSettings: { ThrottlingRateLimit: 12, ThrottlingBurstLimit: 34 },
    });
  });

  test('is part of the URL for clients', () => {
    realtime.hasOutput('WebSocketUrl', {
      Value: { 'Fn::Join': ['', ['wss://', { Ref: api.id }, '.execute-api.', ...regionAndStage]] },
    });
  });

  test('writes each frame to its own log as JSON, without its contents', () => {
    const logId = String(at(stage.properties, 'AccessLogSettings', 'DestinationArn', 'Fn::GetAtt', 0));
    expect(ofType(realtime, 'AWS::Logs::LogGroup').get(logId)).toMatchObject({ RetentionInDays: 5 });
    const inUse = [...functions.values()].map((fn) => at(fn, 'LoggingConfig', 'LogGroup', 'Ref'));
    expect(inUse).not.toContain(logId);

    const format: unknown = JSON.parse(String(at(stage.properties, 'AccessLogSettings', 'Format')));
    expect(format).toMatchObject({
      event: '$context.eventType',
      route: '$context.routeKey',
      status: '$context.status',
      connection_id: '$context.connectionId',
      user: '$context.authorizer.user_id',
    });
    expect(JSON.stringify(format)).not.toMatch(/header|query|body|error\.message|claims/i);
  });

  test('depends on the role with which API Gateway writes logs, which survives the stack', () => {
    const account = onlyOne(realtime, 'AWS::ApiGateway::Account');
    const roleId = String(at(account.properties, 'CloudWatchRoleArn', 'Fn::GetAtt', 0));
    expect(ofType(realtime, 'AWS::IAM::Role').get(roleId)).toMatchObject({
      AssumeRolePolicyDocument: {
        Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'apigateway.amazonaws.com' } }],
      },
      ManagedPolicyArns: [
        {
          'Fn::Join': [
            '',
            ['arn:', { Ref: 'AWS::Partition' }, ':iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs'],
          ],
        },
      ],
    });
    realtime.hasResource('AWS::ApiGatewayV2::Stage', { DependsOn: Match.arrayWith([account.id]) });
    const resources = realtime.toJSON().Resources;
    for (const id of [account.id, roleId])
      expect(resources[id]).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  test('uses an existing role if the environment says so', () => {
    prod.realtime.resourceCountIs('AWS::ApiGateway::Account', 0);
    prod.realtime.resourcePropertiesCountIs('AWS::IAM::Role', { ManagedPolicyArns: Match.anyValue() }, 0);
  });
});

const regionAndStage = [{ Ref: 'AWS::Region' }, '.', { Ref: 'AWS::URLSuffix' }, '/v1'];
