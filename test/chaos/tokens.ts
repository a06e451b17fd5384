import { requestToken } from '../../local/oidc/oidc-issuer.ts';

/** Provides a user's access tokens. */
export interface Tokens {
  /** Returns a token that is valid for at least some more seconds. `refresh` always requests a new one. */
  get(refresh?: boolean): Promise<string>;
}

/** Tokens that are cached until shortly before they expire, as in an application. */
export function tokensOf(issuer: string, user: string, seconds: number): Tokens {
  let kept: { readonly token: Promise<string>; readonly until: number } | undefined;
  return {
    get(refresh = false) {
      const now = Date.now();
      if (refresh || !kept || kept.until < now + 2_000) {
        const exp = Math.floor(now / 1_000) + seconds;
        kept = { token: requestToken(issuer, user, { exp }), until: exp * 1_000 };
        kept.token.catch(() => {
          kept = undefined;
        });
      }
      return kept.token;
    },
  };
}
