import { randomUUID } from 'node:crypto';

/*
 * The claims of Keycloak's tokens, from a realm that was set up as in docs/guides/keycloak.md. The issuer adds `iss`,
 * `iat` and `exp`.
 */

export const USER = '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f';

/** A user's access token from the client `rooms-web`, with default scopes and the audience mapper. */
export const accessToken = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  auth_time: Math.floor(Date.now() / 1_000) - 60,
  jti: `onrtac:${randomUUID()}`,
  aud: ['rooms', 'account'],
  sub: USER,
  typ: 'Bearer',
  azp: 'rooms-web',
  sid: randomUUID(),
  acr: '1',
  'allowed-origins': ['https://ops.example.com'],
  realm_access: { roles: ['default-roles-ucs', 'offline_access', 'uma_authorization'] },
  resource_access: { account: { roles: ['manage-account', 'manage-account-links', 'view-profile'] } },
  scope: 'openid email profile rooms',
  email_verified: true,
  name: 'Alice Example',
  preferred_username: 'alice',
  given_name: 'Alice',
  family_name: 'Example',
  email: 'alice@example.com',
  ...changes,
});

/** A back end's access token from client credentials. `sub` is its service account. */
export const serviceAccountToken = (changes: Record<string, unknown> = {}): Record<string, unknown> =>
  accessToken({
    jti: `trrtcc:${randomUUID()}`,
    azp: 'ucs-backend',
    client_id: 'ucs-backend',
    clientHost: '10.0.0.7',
    clientAddress: '10.0.0.7',
    preferred_username: 'service-account-ucs-backend',
    sid: undefined,
    auth_time: undefined,
    'allowed-origins': undefined,
    name: undefined,
    given_name: undefined,
    family_name: undefined,
    email: undefined,
    scope: 'email profile rooms',
    ...changes,
  });

/** A lightweight access token, which Keycloak 24 and later issue on request. It lacks most claims. */
export const lightweightToken = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  jti: `onltac:${randomUUID()}`,
  aud: 'rooms',
  sub: USER,
  typ: 'Bearer',
  azp: 'rooms-web',
  sid: randomUUID(),
  scope: 'openid email profile rooms',
  ...changes,
});
