import { randomUUID } from 'node:crypto';
import { Events, type MutableResponse, type MutableToken, OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server';
import * as v from 'valibot';
import { type Listening, listen } from './listen.ts';

/** Who asks the local IAMS for tokens, unless they name another client: the `azp` of their tokens. */
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
 * Starts an OpenID Connect issuer whose access tokens look as Keycloak's do, and are good for an hour.
 *
 * The password grant takes any user name and no password; the user name becomes the `sub`. The form field `claims`, a JSON
 * object, overrides claims and, with null, leaves them out: for trying an expired token, say.
 *
 * @param port the usual port; another one is found when it is taken
 * @param audience what the tokens are for: the `aud` claim
 */
export async function startIams(options: { port: number; audience: string }): Promise<Listening> {
  const issuer = new OAuth2Issuer();
  const service = new OAuth2Service(issuer);
  await issuer.keys.generate('RS256', { kid: randomUUID() });

  service.on(Events.BeforeTokenSigning, ({ payload }: MutableToken, { body }: { body: unknown }) => {
    const request = v.safeParse(tokenRequest, body);
    if (!request.success) return;
    const { username, client_id, claims } = request.output;
    // The ID token, which comes with the same answer, is the one without `amr`.
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
        ? 'username is missing: any will do'
        : undefined
      : request.issues[0].message;
    if (fault === undefined) return;
    response.statusCode = 400;
    response.body = { error: 'invalid_request', error_description: fault };
  });

  const listening = await listen(service.requestHandler, { usual: options.port });
  issuer.url = listening.url;
  return listening;
}

/** Asks an issuer for an access token of a user. Throws where it gives none. */
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
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}
