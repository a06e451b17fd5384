import type { User } from 'oidc-client-ts';
import type { Tokens } from './tokens.ts';

/*
 * Sign-in at an external identity provider (`npm start -- --issuer URL`) with an authorization code and PKCE. The library is loaded on
 * demand.
 */

/** A user who has signed in. */
export interface ProviderUser {
  /** The `sub` claim. */
  readonly userId: string;
  readonly tokens: Tokens;
  /** Ends the session at the identity provider by a redirect. */
  signOut(): Promise<void>;
}

export interface Provider {
  /** Returns the user of this tab, also after a redirect from the identity provider. Returns undefined if no user is signed in. */
  user(): Promise<ProviderUser | undefined>;
  /** Redirects to the identity provider. */
  signIn(): Promise<void>;
}

/** A token is renewed this long before it expires, in seconds. */
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
    // Each tab has its own user, as with the local identity provider.
    userStore: new WebStorageStateStore({ store: sessionStorage }),
    // Tokens are renewed on demand by refresh token. The Content Security Policy does not allow the frames of automatic renewal.
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
          // Returns to the room that was open, and removes the code from the URL, because it can be used only once.
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
