import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import * as v from 'valibot';
import { gatewayResponse, type Identity, type Request, type Response } from './payload.ts';

/*
 * The JWT authorizer of HTTP APIs
 * (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html).
 */

/** The properties of AWS::ApiGatewayV2::Authorizer that the local stack uses. */
export const authorizerProperties = v.object({
  AuthorizerType: v.literal('JWT'),
  IdentitySource: v.pipe(v.array(v.string()), v.length(1)),
  JwtConfiguration: v.object({ Issuer: v.string(), Audience: v.array(v.string()) }),
});

/**
 * Returns the identity of the caller or, for an invalid token, the response. `scopes` are those of the route; one of
 * them is enough.
 */
export type Authorize = (
  request: Request,
  scopes: readonly string[],
) => Promise<{ readonly identity: Identity } | { readonly refusal: Response }>;

/** "Currently, only RSA-based algorithms are supported." */
const ALGORITHMS = ['RS256', 'RS384', 'RS512'];

export function createJwtAuthorizer(properties: v.InferOutput<typeof authorizerProperties>): Authorize {
  const { Issuer: issuer, Audience: audiences } = properties.JwtConfiguration;
  const [source = ''] = properties.IdentitySource;
  let keys: ReturnType<typeof createRemoteJWKSet> | undefined;
  const keySet = async () => {
    keys ??= createRemoteJWKSet(await discover(issuer));
    return keys;
  };

  return async (request, scopes) => {
    const token = tokenOf(request, source);
    if (!token) return { refusal: unauthorized() };
    try {
      const { payload } = await jwtVerify(token, await keySet(), {
        issuer,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
      });
      if (!hasAudience(payload, audiences))
        return { refusal: unauthorized('the token does not have a valid audience') };
      if (payload.iat !== undefined && payload.iat > Date.now() / 1_000)
        return { refusal: unauthorized('the token was issued in the future') };
      const granted = scopesOf(payload);
      if (scopes.length > 0 && !scopes.some((scope) => granted.includes(scope))) return { refusal: forbidden(scopes) };
      const claims = Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, claimText(value)]));
      return { identity: { claims, scopes: scopes.length > 0 ? scopes : null } };
    } catch (error) {
      return { refusal: unauthorized(reasonOf(error)) };
    }
  };
}

/** "Bearer" before the token is optional. */
function tokenOf({ headers, rawQuery }: Request, source: string): string | undefined {
  const [, kind, name = ''] = /^\$request\.(header|querystring)\.(.+)$/.exec(source) ?? [];
  const value = kind === 'header' ? headers[name.toLowerCase()]?.[0] : new URLSearchParams(rawQuery).get(name);
  return value?.replace(/^Bearer /i, '').trim();
}

async function discover(issuer: string): Promise<URL> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  const { jwks_uri } = v.parse(v.object({ jwks_uri: v.string() }), await response.json());
  return new URL(jwks_uri);
}

/** `client_id` counts only if there is no `aud`. */
function hasAudience({ aud, client_id }: JWTPayload, audiences: readonly string[]): boolean {
  const given = aud === undefined ? [client_id] : [aud].flat();
  return given.some((audience) => typeof audience === 'string' && audiences.includes(audience));
}

function scopesOf({ scope, scp }: JWTPayload): string[] {
  const given = scope ?? scp;
  return Array.isArray(given) ? given.map(String) : typeof given === 'string' ? given.split(' ') : [];
}

/** Formats a claim like API Gateway: lists as `[a b]`, objects as `map[a:b]`. */
export function claimText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(claimText).join(' ')}]`;
  if (typeof value === 'object' && value !== null)
    return `map[${Object.entries(value)
      .map(([name, item]) => `${name}:${claimText(item)}`)
      .sort()
      .join(' ')}]`;
  return String(value);
}

const unauthorized = (reason?: string): Response =>
  gatewayResponse(401, 'Unauthorized', {
    'www-authenticate':
      reason === undefined ? 'Bearer' : `Bearer scope="" error="invalid_token" error_description="${reason}"`,
  });

const forbidden = (scopes: readonly string[]): Response =>
  gatewayResponse(403, 'Forbidden', {
    'www-authenticate': `Bearer scope="${scopes.join(' ')}" error="insufficient_scope" error_description="the token does not have the required scope"`,
  });

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return 'the token does not have a valid issuer';
    if (error.claim === 'nbf') return 'the token is not valid yet';
    return `the token does not have a valid ${error.claim}`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return 'the signing method is invalid';
  if (error instanceof errors.JWKSNoMatchingKey) return 'the token is signed with an unknown key';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature is invalid';
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return 'the token is malformed';
  return 'OIDC discovery endpoint communication error';
}
