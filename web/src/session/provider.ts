import type { User } from 'oidc-client-ts';
import type { Tokens } from './tokens.ts';

/*
 * Signing in at an identity provider of the user's own (`npm start -- --issuer URL`): authorization code with PKCE. The library is
 * loaded only then.
 */

/** A user who has signed in. */
export interface ProviderUser {
  /** The `sub` claim. */
  readonly userId: string;
  readonly tokens: Tokens;
  /** Ends the session at the identity provider, and leaves this page. */
  signOut(): Promise<void>;
}

export interface Provider {
  /** The user of this tab: who comes back from the identity provider, or has signed in before. Undefined where there is none. */
  user(): Promise<ProviderUser | undefined>;
  /** Leaves this page for the identity provider. */
  signIn(): Promise<void>;
}

/** A token that is good for less than this is renewed, in seconds. */
const EARLY_SECONDS = 30;
const TIMEOUT_SECONDS = 10;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

export async function openProvider(issuer: string, clientId: string): Promise<Provider> {
  const { UserManager, WebStorageStateStore } = await import('oidc-client-ts');
  const page = `${location.origin}/`;
  const manager = new UserManager({
    authority: issuer,
    client_id: clientId,
    redirect_uri: page,
    post_logout_redirect_uri: page,
    scope: 'openid',
    // Of this tab alone, as for users of the local identity provider.
    userStore: new WebStorageStateStore({ store: sessionStorage }),
    // Tokens are renewed when they are asked for, by refresh token: the page's policy allows no frames.
    automaticSilentRenew: false,
    monitorSession: false,
    loadUserInfo: false,
    requestTimeoutInSeconds: TIMEOUT_SECONDS,
  });

  function providerUser(first: User): ProviderUser {
    let current = first;
    let renewing: Promise<User | null> | undefined;
    let isStale = false;
    async function renew(): Promise<void> {
      renewing ??= manager.signinSilent().finally(() => {
        renewing = undefined;
      });
      const renewed = await renewing;
      if (!renewed) throw new Error('The session at the identity provider has ended. Sign out, and sign in again.');
      current = renewed;
      isStale = false;
    }
    return {
      userId: first.profile.sub,
      tokens: {
        async get({ refresh }) {
          if (refresh || isStale || (current.expires_in ?? 0) < EARLY_SECONDS) await renew();
          return current.access_token;
        },
        forget() {
          isStale = true;
        },
      },
      signOut: () => manager.signoutRedirect(),
    };
  }

  return {
    async user() {
      const answer = new URLSearchParams(location.search);
      if (answer.has('state') && (answer.has('code') || answer.has('error'))) {
        try {
          const user = await manager.signinRedirectCallback();
          // Back to the room that was open. A code is of no use a second time: reloading must not send it again.
          history.replaceState(null, '', `/${textOf(user.state)}`);
          return providerUser(user);
        } catch (error) {
          history.replaceState(null, '', '/');
          throw error;
        }
      }
      const user = await manager.getUser();
      return user ? providerUser(user) : undefined;
    },
    signIn: () => manager.signinRedirect({ state: location.hash }),
  };
}
