import { randomUUID } from 'node:crypto';

/*
 * The claims of Keycloak's tokens, as a realm issues them that has been set up as docs/guides/keycloak.md says. `iss`, `iat` and `exp` are
 * the issuer's.
 */

export const USER = '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f';

/** An access token that a user has got by way of the client `rooms-web`: default scopes, and the audience mapper. */
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

/** An access token that a back end has got with its client credentials: `sub` is its service account. */
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

/** A lightweight access token (Keycloak 24 and later, where the client asks for it): the rest is left to introspection. */
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
