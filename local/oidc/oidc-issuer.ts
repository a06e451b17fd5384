import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Events, type MutableResponse, type MutableToken, OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server';
import * as v from 'valibot';
import { type Listening, listen } from '../listen.ts';
import { readIfExists } from '../read-if-exists.ts';

/** The default client ID for requests to the local issuer: the `azp` of its tokens. */
export const CLIENT_ID = 'rooms-web';

const tokenRequest = v.object({
  grant_type: v.string(),
  username: v.optional(v.string()),
  client_id: v.optional(v.string(), CLIENT_ID),
  claims: v.optional(
    v.pipe(
      v.string(),
      v.parseJson(undefined, 'claims must be a JSON object'),
      v.record(v.string(), v.unknown(), 'claims must be a JSON object'),
    ),
  ),
});

/**
 * Starts an OpenID Connect issuer. Its access tokens have the format of Keycloak, and expire after 1 hour.
 *
 * The password grant accepts any user name without a password, and uses it as the `sub`. The form field `claims`, a JSON object,
 * overrides claims, for example to test an expired token. A value of null removes a claim.
 *
 * @param port 0 for any free port
 * @param audience the `aud` claim of the tokens
 * @param keysFile file that stores the signing key between runs. Default: each run creates a key
 */
export async function startOidcIssuer(options: {
  port: number;
  audience: string;
  keysFile?: string | undefined;
}): Promise<Listening> {
  const issuer = new OAuth2Issuer();
  const service = new OAuth2Service(issuer);
  await loadKeys(issuer, options.keysFile);

  service.on(Events.BeforeTokenSigning, ({ payload }: MutableToken, { body }: { body: unknown }) => {
    const request = v.safeParse(tokenRequest, body);
    if (!request.success) return;
    const { username, client_id, claims } = request.output;
    // The ID token in the same response has no `amr`. It is not changed.
    const isAccessToken = Object.hasOwn(payload, 'amr');
    if (username !== undefined) payload.sub = username;
    if (!isAccessToken) return;
    const { scope } = payload;
    Object.assign(payload, {
      jti: randomUUID(),
      typ: 'Bearer',
      azp: client_id,
      aud: [options.audience, 'account'],
      scope: scope ?? 'openid profile',
      preferred_username: payload.sub,
      realm_access: { roles: ['default-roles-rooms'] },
    });
    for (const [name, value] of Object.entries(claims ?? {}))
      if (value === null) delete payload[name];
      else payload[name] = value;
  });

  service.on(Events.BeforeResponse, (response: MutableResponse, { body }: { body: unknown }) => {
    const request = v.safeParse(tokenRequest, body);
    const fault = request.success
      ? request.output.grant_type === 'password' && !request.output.username
        ? 'username is missing; any value is accepted'
        : undefined
      : request.issues[0].message;
    if (fault === undefined) return;
    response.statusCode = 400;
    response.body = { error: 'invalid_request', error_description: fault };
  });

  const listening = await listen(service.requestHandler, options.port);
  issuer.url = listening.url;
  return listening;
}

const keySet = v.object({
  keys: v.pipe(v.array(v.looseObject({ kty: v.string(), kid: v.string(), alg: v.string() })), v.minLength(1)),
});

/** Loads the issuer's key from a file, or creates one and stores it there. */
async function loadKeys(issuer: OAuth2Issuer, file: string | undefined): Promise<void> {
  const text = file === undefined ? undefined : await readIfExists(file);
  const kept = v.safeParse(v.pipe(v.string(), v.parseJson(), keySet), text);
  if (kept.success) {
    for (const key of kept.output.keys) await issuer.keys.add(key);
    return;
  }
  await issuer.keys.generate('RS256', { kid: randomUUID() });
  // Other users of this machine must not read the key, because it signs tokens that this stack accepts.
  if (file !== undefined)
    await writeFile(file, `${JSON.stringify({ keys: issuer.keys.toJSON(true) })}\n`, { mode: 0o600 });
}

/**
 * Requests an access token of a user from an issuer.
 *
 * @throws if the issuer returns none
 */
export async function requestToken(
  issuer: string,
  userId: string,
  claims?: Readonly<Record<string, unknown>>,
): Promise<string> {
  const discovery = await fetchJson(`${issuer}/.well-known/openid-configuration`);
  const { token_endpoint } = v.parse(v.object({ token_endpoint: v.string() }), discovery);
  const form = new URLSearchParams({
    grant_type: 'password',
    client_id: CLIENT_ID,
    username: userId,
    password: 'any',
    ...(claims && { claims: JSON.stringify(claims) }),
  });
  const answer = await fetchJson(token_endpoint, { method: 'POST', body: form });
  return v.parse(v.object({ access_token: v.string() }), answer).access_token;
}

async function fetchJson(url: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${url} responded with ${response.status}: ${await response.text()}`);
  return response.json();
}
