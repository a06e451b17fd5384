import * as v from 'valibot';
import type { LocalFunction } from '../lambda/lambda.ts';

/*
 * Lambda authorizers of the type REQUEST
 * (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html).
 */

/** The properties of AWS::ApiGatewayV2::Authorizer that the local stack uses. */
export const requestAuthorizerProperties = v.object({
  AuthorizerType: v.literal('REQUEST'),
  AuthorizerUri: v.string(),
  IdentitySource: v.optional(v.array(v.string()), []),
});

export interface RequestAuthorizer {
  readonly functionArn: string;
  /** Identity sources. A request that lacks one of these values is rejected without an invocation. */
  readonly identitySources: readonly string[];
}

/** The values in `requestContext.authorizer`. All are text. */
export type AuthorizerContext = Readonly<Record<string, string>>;

export type Authorization = { readonly context: AuthorizerContext } | { readonly status: 401 | 403 | 500 };

const oneOrMore = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((value) => [value].flat()),
);
const authorizerResult = v.object({
  principalId: v.string(),
  policyDocument: v.object({
    Statement: v.array(v.object({ Effect: v.picklist(['Allow', 'Deny']), Action: oneOrMore, Resource: oneOrMore })),
  }),
  context: v.nullish(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
});

/** Returns the values of a request that an identity source may name. */
export interface RequestParts {
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
}

/** Whether a request has a value for an identity source, such as `route.request.header.Auth` or `route.request.querystring.token`. */
export function hasIdentity(source: string, { headers, query }: RequestParts): boolean {
  const [, kind, name = ''] = /^route\.request\.(header|querystring)\.(.+)$/.exec(source) ?? [];
  if (kind === 'header')
    return Object.entries(headers).some(([each, value]) => each.toLowerCase() === name.toLowerCase() && value !== '');
  if (kind === 'querystring') return Boolean(query[name]);
  throw new Error(`The local stack does not support the identity source ${source}.`);
}

/** Invokes an authorizer for a request. */
export async function authorize(
  authorizer: RequestAuthorizer,
  fn: LocalFunction,
  request: RequestParts,
  event: string,
  methodArn: string,
): Promise<Authorization> {
  if (!authorizer.identitySources.every((source) => hasIdentity(source, request))) return { status: 401 };
  const { ok, payload } = await fn.invoke(event);
  const result: unknown = JSON.parse(payload);
  // Only this message rejects the request. Any other error is a failure of the authorizer.
  if (!ok) {
    const error = v.safeParse(v.object({ errorMessage: v.literal('Unauthorized') }), result);
    return { status: error.success ? 401 : 500 };
  }
  const parsed = v.safeParse(authorizerResult, result);
  if (!parsed.success) return { status: 500 };
  const { principalId, policyDocument, context } = parsed.output;
  if (!isAllowed(policyDocument.Statement, methodArn)) return { status: 403 };
  const texts = Object.entries(context ?? {}).map(([name, value]) => [name, String(value)] as const);
  return { context: { ...Object.fromEntries(texts), principalId } };
}

interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
}

/** Evaluates policies like IAM: the default is to deny, and a Deny overrides an Allow. */
export function isAllowed(statements: readonly Statement[], methodArn: string): boolean {
  const effects = statements
    .filter(({ Action }) => Action.some((action) => matches(action.toLowerCase(), 'execute-api:invoke')))
    .filter(({ Resource }) => Resource.some((resource) => matches(resource, methodArn)))
    .map(({ Effect }) => Effect);
  return effects.includes('Allow') && !effects.includes('Deny');
}

/** Matches text with a pattern, in which `*` is any text and `?` any character. */
function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
