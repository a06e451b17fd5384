import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import * as v from 'valibot';
import { userId } from '../contract/fields.ts';
import { BEARER_SUB_PROTOCOL, SUB_PROTOCOL, SUB_PROTOCOLS, type SubProtocol } from '../contract/sub-protocols.ts';
import { env } from '../platform/env.ts';
import type { AuthorizerContext } from './socket-event.ts';

/*
 * Authenticates connections with the same checks as API Gateway's JWT authorizer for the HTTP API. The only difference:
 * it tolerates an issuer whose clock is some seconds ahead, which API Gateway does not promise.
 */

/** The supported signature algorithms of identity providers. Symmetric ones and `none` are excluded. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
/** How long a set of keys is cached. A key that is not in it is fetched at once. */
const JWKS_MAX_AGE_MS = 10 * 60_000;
/** The shortest time between two fetches of unknown keys: tokens with made-up keys must not flood the issuer. */
const JWKS_COOLDOWN_MS = 10_000;
const FETCH_TIMEOUT_MS = 3_000;
/**
 * How far the issuer's clock may be ahead of the service's, so that a client can connect with a token that was just
 * issued. `exp` is still checked to the second.
 */
const ISSUER_AHEAD_SECONDS = 10;

let keys: Promise<RemoteKeys> | undefined;
type RemoteKeys = ReturnType<typeof createRemoteJWKSet>;

async function discover(): Promise<RemoteKeys> {
  const issuer = env('ISSUER');
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`The issuer answers ${response.status} to its discovery document.`);
  const { jwks_uri } = v.parse(v.object({ jwks_uri: v.pipe(v.string(), v.url()) }), await response.json());
  return createRemoteJWKSet(new URL(jwks_uri), {
    cacheMaxAge: JWKS_MAX_AGE_MS,
    cooldownDuration: JWKS_COOLDOWN_MS,
    timeoutDuration: FETCH_TIMEOUT_MS,
  });
}

/** Returns the issuer's keys, whose URL is discovered once per process. */
function issuerKeys(): Promise<RemoteKeys> {
  keys ??= discover().catch((error: unknown) => {
    keys = undefined;
    throw error;
  });
  return keys;
}

/** Fetches the issuer's keys, so that the first handshake does not have to. */
export const fetchKeys = async (): Promise<void> => (await issuerKeys()).reload();

/** The headers of a WebSocket handshake. */
type Headers = Readonly<Record<string, string | undefined>>;

const find = (headers: Headers, wanted: string): string | undefined =>
  Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1];

const offeredIn = (headers: Headers): string[] =>
  (find(headers, 'sec-websocket-protocol') ?? '').split(',').map((protocol) => protocol.trim());

/**
 * Returns the token from the headers of a WebSocket handshake: from Authorization, or, for browsers, from the
 * sub-protocols.
 */
export function tokenOf(headers: Headers): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(find(headers, 'authorization') ?? '')?.[1];
  return (
    bearer ??
    offeredIn(headers)
      .find((protocol) => protocol.startsWith(BEARER_SUB_PROTOCOL))
      ?.slice(BEARER_SUB_PROTOCOL.length)
  );
}

/** Returns the protocol version of a connection: the newest one that its client offers. */
export function chooseProtocol(headers: Headers): SubProtocol {
  const offered = offeredIn(headers);
  return SUB_PROTOCOLS.find((protocol) => offered.includes(protocol)) ?? SUB_PROTOCOL;
}

/**
 * Returns whether a token was issued for this service. `client_id` counts only without an `aud`, as in the HTTP API.
 */
function isForUs({ aud, client_id }: JWTPayload): boolean {
  const ours = env('AUDIENCE').split(',');
  const given = aud === undefined ? [client_id] : [aud].flat();
  return given.some((audience) => typeof audience === 'string' && ours.includes(audience));
}

/**
 * Returns the `sub` of a token as a string. API Gateway's JWT authorizer converts all claims to strings for HTTP
 * functions, so numeric user IDs work there. This keeps them the same here. Integers beyond the exact range of JSON
 * numbers are not converted.
 */
function subjectOf(claims: { readonly sub?: unknown }): unknown {
  return Number.isSafeInteger(claims.sub) ? String(claims.sub) : claims.sub;
}

/** True if the token is wrong; false if the issuer or its keys are. */
const isRefusal = (error: unknown): error is errors.JOSEError =>
  error instanceof errors.JOSEError &&
  // jose has no error code for an issuer that did not respond with keys. See fetchJwks in jose.
  error.code !== errors.JOSEError.code &&
  !(error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error instanceof errors.JWKInvalid);

/** Why a token is invalid. Only for the log: the client does not receive it. */
export interface Refused {
  readonly refused: string;
}

/**
 * Returns the user of a token.
 *
 * @throws if the token is invalid, or if the issuer cannot be reached
 */
export async function identify(token: string | undefined): Promise<Omit<AuthorizerContext, 'protocol'> | Refused> {
  const refused = (reason: string): Refused => ({ refused: reason });
  if (!token) return refused('no token');
  const find = await issuerKeys();
  let payload: JWTPayload;
  try {
    ({ payload } = await jwtVerify(token, find, {
      issuer: env('ISSUER'),
      algorithms: ALGORITHMS,
      requiredClaims: ['sub', 'exp'],
      // The tolerance is for `nbf`. It would also apply to `exp`, so that is checked again below.
      clockTolerance: ISSUER_AHEAD_SECONDS,
    }));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // Bundles shorten the names of error classes to single letters.
    return refused(error.code);
  }
  if (!isForUs(payload)) return refused('audience');
  const now = Math.floor(Date.now() / 1_000);
  if (Number(payload.exp) <= now) return refused(errors.JWTExpired.code);
  if (payload.iat !== undefined && payload.iat > now + ISSUER_AHEAD_SECONDS) return refused('issued in the future');
  const user_id = v.safeParse(userId, subjectOf(payload));
  if (!user_id.success) return refused('sub');
  return { user_id: user_id.output, token_expires_at: String(payload.exp) };
}
