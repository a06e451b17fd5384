/** Claims of an access token, used only for scheduling. The service validates the token. */
export interface TokenFacts {
  /** The user: `sub`. */
  readonly userId?: string;
  /** `exp`, in epoch milliseconds. */
  readonly expiresAt?: number;
}

/** Returns the claims of a JWT, or an empty object if the token is not a JWT. */
export function tokenFacts(token: string): TokenFacts {
  try {
    const part = (token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const { sub, exp } = claims as { readonly sub?: unknown; readonly exp?: unknown };
    return {
      ...(typeof sub === 'string' && { userId: sub }),
      ...(typeof exp === 'number' && { expiresAt: exp * 1_000 }),
    };
  } catch {
    return {};
  }
}
