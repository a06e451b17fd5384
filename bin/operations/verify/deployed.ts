import { CloudFormationClient, GetTemplateCommand, paginateListStackResources } from '@aws-sdk/client-cloudformation';
import * as v from 'valibot';
import { allRoutes } from '../../../core/contract/index.ts';
import { capital } from '../../../core/contract/names.ts';
import { chosenEnvironment, environmentNames } from '../../../lib/environments.ts';
import { outputsOf } from '../stack.ts';

/** Properties of a deployment that are read from its stacks. */
export interface Deployed {
  readonly http: string;
  readonly webSocket: string;
  /** Origins whose pages may call the HTTP API. */
  readonly origins: readonly string[];
  /** Returns the burst limit of a route, or undefined if the route has no limit of its own. */
  burstOf(method: string, path: string): number | undefined;
  /** Returns the names of the functions of the HTTP API, by operation. Undefined if they are not on Lambda. */
  readonly functionsOf?: (operations: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

const resource = v.looseObject({ Type: v.string(), Properties: v.optional(v.looseObject({}), {}) });
const template = v.pipe(v.string(), v.parseJson(), v.object({ Resources: v.record(v.string(), resource) }));
const apiProperties = v.object({
  CorsConfiguration: v.optional(v.object({ AllowOrigins: v.optional(v.array(v.string()), []) })),
});
const stageProperties = v.object({
  RouteSettings: v.optional(v.record(v.string(), v.looseObject({ ThrottlingBurstLimit: v.optional(v.number()) })), {}),
});

/**
 * Reads the stacks of an environment.
 *
 * @throws UsageError if there is no such stack, or there are no credentials
 */
export async function deployedAs(env: string): Promise<Deployed> {
  const stack = `rooms-${env}-http`;
  const [http, realtime] = [await outputsOf(stack), await outputsOf(`rooms-${env}-realtime`)];
  const client = new CloudFormationClient();
  const { TemplateBody } = await client.send(new GetTemplateCommand({ StackName: stack }));
  const resources = Object.values(v.parse(template, TemplateBody).Resources);
  const propertiesOf = (type: string): unknown => resources.find(({ Type }) => Type === type)?.Properties ?? {};
  const { CorsConfiguration } = v.parse(apiProperties, propertiesOf('AWS::ApiGatewayV2::Api'));
  const { RouteSettings } = v.parse(stageProperties, propertiesOf('AWS::ApiGatewayV2::Stage'));
  return {
    http: http('HttpApiUrl'),
    webSocket: realtime('WebSocketUrl'),
    origins: CorsConfiguration?.AllowOrigins ?? [],
    burstOf: (method, path) => RouteSettings[`${method} ${path}`]?.ThrottlingBurstLimit,
    async functionsOf(operations) {
      const names = new Map<string, string>();
      for await (const page of paginateListStackResources({ client }, { StackName: stack }))
        for (const { ResourceType, LogicalResourceId = '', PhysicalResourceId } of page.StackResourceSummaries ?? []) {
          const operation = operations.find((each) => LogicalResourceId.startsWith(`${capital(each)}Function`));
          if (ResourceType === 'AWS::Lambda::Function' && operation && PhysicalResourceId)
            names.set(operation, PhysicalResourceId);
        }
      return names;
    },
  };
}

/** Returns the properties of a local stack, which has no CloudFormation. */
export function deployedHere({ http, ws, issuer }: { http: string; ws: string; issuer: string }): Deployed {
  const { allowedOrigins, routeThrottling } = chosenEnvironment({ env: 'local', issuer }, environmentNames);
  return {
    http,
    webSocket: ws,
    origins: allowedOrigins,
    burstOf(method, path) {
      const route = allRoutes.find((each) => each.method === method && each.path === path);
      return route && routeThrottling[route.operation]?.burst;
    },
  };
}
