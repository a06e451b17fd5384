import * as v from 'valibot';
import { found, type Resolver, type Resource } from '../cloudformation/template.ts';
import { type Cors, corsProperties } from './cors.ts';
import { type Authorize, authorizerProperties, createJwtAuthorizer } from './jwt-authorizer.ts';
import type { RoutePattern } from './route-match.ts';
import { type Throttle, throttleProperties, throttlesOf } from './throttle.ts';

/** An HTTP API, as a template describes it. */
export interface HttpApi {
  readonly id: string;
  readonly stage: string;
  readonly cors: Cors | undefined;
  readonly routes: readonly RoutePattern<RouteTarget>[];
  /** Throttles by route key. `$default` applies to all routes without their own settings. */
  readonly throttles: ReadonlyMap<string, Throttle>;
}

export interface RouteTarget {
  readonly functionArn: string;
  /** Undefined if the route is public. */
  readonly authorize: Authorize | undefined;
  readonly scopes: readonly string[];
}

const apiProperties = v.object({
  ProtocolType: v.string(),
  CorsConfiguration: v.optional(corsProperties),
});
const memberProperties = v.object({ ApiId: v.string() });
const routeProperties = v.object({
  RouteKey: v.string(),
  Target: v.pipe(v.string(), v.startsWith('integrations/')),
  AuthorizationType: v.optional(v.picklist(['NONE', 'JWT']), 'NONE'),
  AuthorizerId: v.optional(v.string()),
  AuthorizationScopes: v.optional(v.array(v.string()), []),
});
const integrationProperties = v.object({
  IntegrationType: v.literal('AWS_PROXY'),
  IntegrationUri: v.string(),
  PayloadFormatVersion: v.literal('2.0'),
});
const stageProperties = v.object({
  StageName: v.literal('$default', 'the local gateway serves the stage $default only'),
  ...throttleProperties.entries,
});

/** Reads the HTTP APIs of the templates. `idOf` gives the physical ID of a resource, as Ref does. */
export function readHttpApis(resolver: Resolver, idOf: (resource: Resource) => string): HttpApi[] {
  const byId = (type: string) => new Map(resolver.ofType(type).map((resource) => [idOf(resource), resource]));
  const integrations = byId('AWS::ApiGatewayV2::Integration');
  const authorizers = byId('AWS::ApiGatewayV2::Authorizer');
  // Routes share their authorizer, so that its keys are fetched once.
  const authorizes = new Map<string, Authorize>();
  const authorizeOf = (id: string): Authorize => {
    const known = authorizes.get(id);
    if (known) return known;
    const authorize = createJwtAuthorizer(resolver.read(found(authorizers, id), authorizerProperties));
    authorizes.set(id, authorize);
    return authorize;
  };

  // Authorizers of other APIs are not read: those of a WebSocket API have other properties.
  const ofApi = (id: string, type: string) =>
    resolver.ofType(type).filter((resource) => resolver.read(resource, memberProperties).ApiId === id);

  return resolver.ofType('AWS::ApiGatewayV2::Api').flatMap((resource) => {
    const { ProtocolType, CorsConfiguration } = resolver.read(resource, apiProperties);
    if (ProtocolType !== 'HTTP') return [];
    const id = idOf(resource);
    const [stageResource] = ofApi(id, 'AWS::ApiGatewayV2::Stage');
    if (!stageResource)
      throw new Error(`${resource.stack}/${resource.id}: this API has no stage, so nothing can call it.`);
    const stage = resolver.read(stageResource, stageProperties);
    return {
      id,
      stage: stage.StageName,
      cors: CorsConfiguration,
      routes: ofApi(id, 'AWS::ApiGatewayV2::Route').map((routeResource) => {
        const route = resolver.read(routeResource, routeProperties);
        const integration = found(integrations, route.Target.slice('integrations/'.length));
        return {
          routeKey: route.RouteKey,
          target: {
            functionArn: resolver.read(integration, integrationProperties).IntegrationUri,
            authorize: route.AuthorizationType === 'JWT' ? authorizeOf(route.AuthorizerId ?? '') : undefined,
            scopes: route.AuthorizationScopes,
          },
        };
      }),
      throttles: throttlesOf(stage),
    };
  });
}
