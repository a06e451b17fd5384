import * as v from 'valibot';
import { found, type Resolver, type Resource } from '../cloudformation/template.ts';
import { type RequestAuthorizer, requestAuthorizerProperties } from './request-authorizer.ts';
import { type Throttle, throttleProperties, throttlesOf } from './throttle.ts';

/** A WebSocket API, as a template describes it. */
export interface WebSocketApi {
  readonly id: string;
  readonly stage: string;
  /** The route selection expression, such as `$request.body.action`. */
  readonly routeSelectionExpression: string;
  /** The routes by route key. */
  readonly routes: ReadonlyMap<string, SocketRoute>;
  /** The authorizer of `$connect`. Undefined if the API is public. */
  readonly authorizer: RequestAuthorizer | undefined;
  /** Throttles by route key. `$default` applies to all routes without their own settings. */
  readonly throttles: ReadonlyMap<string, Throttle>;
}

export interface SocketRoute {
  readonly functionArn: string;
  /** Whether the result of the function is sent to the client. */
  readonly twoWay: boolean;
}

const apiProperties = v.object({ ProtocolType: v.string(), RouteSelectionExpression: v.optional(v.string(), '') });
const ofApi = v.object({ ApiId: v.string() });
const routeProperties = v.object({
  RouteKey: v.string(),
  Target: v.pipe(v.string(), v.startsWith('integrations/')),
  AuthorizationType: v.optional(v.picklist(['NONE', 'CUSTOM']), 'NONE'),
  AuthorizerId: v.optional(v.string()),
  RouteResponseSelectionExpression: v.optional(v.string()),
});
const integrationProperties = v.object({ IntegrationType: v.literal('AWS_PROXY'), IntegrationUri: v.string() });
const routeResponseProperties = v.object({ RouteId: v.string(), RouteResponseKey: v.literal('$default') });
const stageProperties = v.object({
  StageName: v.string(),
  ...throttleProperties.entries,
});

/** Extracts the function's ARN from `arn:aws:apigateway:…:lambda:path/2015-03-31/functions/<ARN>/invocations`. */
const functionOf = (uri: string): string => /\/functions\/(.+)\/invocations$/.exec(uri)?.[1] ?? uri;

/** Reads the WebSocket APIs of the templates. `idOf` gives the physical ID of a resource, as Ref does. */
export function readWebSocketApis(resolver: Resolver, idOf: (resource: Resource) => string): WebSocketApi[] {
  return resolver.ofType('AWS::ApiGatewayV2::Api').flatMap((resource) => {
    const { ProtocolType, RouteSelectionExpression } = resolver.read(resource, apiProperties);
    if (ProtocolType !== 'WEBSOCKET') return [];
    const id = idOf(resource);
    const own = (kind: string): Resource[] =>
      resolver.ofType(`AWS::ApiGatewayV2::${kind}`).filter((each) => resolver.read(each, ofApi).ApiId === id);
    const byId = (kind: string) => new Map(own(kind).map((each) => [idOf(each), each]));
    const [integrations, authorizers] = [byId('Integration'), byId('Authorizer')];
    const responses = new Set(own('RouteResponse').map((each) => resolver.read(each, routeResponseProperties).RouteId));
    const [stageResource] = own('Stage');
    if (!stageResource)
      throw new Error(`${resource.stack}/${resource.id}: this API has no stage, so nothing can call it.`);
    const stage = resolver.read(stageResource, stageProperties);

    const routes = own('Route').map((each) => ({ id: idOf(each), ...resolver.read(each, routeProperties) }));
    const connect = routes.find(({ RouteKey }) => RouteKey === '$connect');
    const authorizer =
      connect?.AuthorizationType === 'CUSTOM'
        ? resolver.read(found(authorizers, connect.AuthorizerId ?? ''), requestAuthorizerProperties)
        : undefined;
    return {
      id,
      stage: stage.StageName,
      routeSelectionExpression: RouteSelectionExpression,
      authorizer: authorizer && {
        functionArn: functionOf(authorizer.AuthorizerUri),
        identitySources: authorizer.IdentitySource,
      },
      routes: new Map(
        routes.map((route) => {
          const integration = found(integrations, route.Target.slice('integrations/'.length));
          const { IntegrationUri } = resolver.read(integration, integrationProperties);
          const twoWay = responses.has(route.id) && route.RouteResponseSelectionExpression === '$default';
          return [route.RouteKey, { functionArn: functionOf(IntegrationUri), twoWay }];
        }),
      ),
      throttles: throttlesOf(stage),
    };
  });
}
