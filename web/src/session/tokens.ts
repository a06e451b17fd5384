/** A token is renewed this long before it expires, in milliseconds. */
const EARLY_MS = 60_000;

interface Token {
  readonly text: string;
  readonly expiresAt: number;
}

const property = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;

async function fetchJson(url: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`The identity provider responded with status ${response.status}.`);
  return response.json();
}

async function requestToken(issuer: string, userId: string): Promise<Token> {
  const discovery = await fetchJson(`${issuer}/.well-known/openid-configuration`);
  const endpoint = property(discovery, 'token_endpoint');
  if (typeof endpoint !== 'string')
    throw new Error('The discovery document of the identity provider has no token_endpoint.');
  const body = new URLSearchParams({
    grant_type: 'password',
    client_id: 'rooms-web',
    username: userId,
    password: 'any',
  });
  const answer = await fetchJson(endpoint, { method: 'POST', body });
  const text = property(answer, 'access_token');
  const seconds = property(answer, 'expires_in');
  if (typeof text !== 'string') throw new Error('The identity provider returned no access token.');
  return { text, expiresAt: Date.now() + (typeof seconds === 'number' ? seconds : 300) * 1_000 };
}

export interface Tokens {
  /** Returns a token that is valid for at least a minute. With `refresh`, requests a new one. */
  get(request: { readonly refresh: boolean }): Promise<string>;
  /** Makes the next call request a new token, because a restarted service can have other keys. */
  forget(): void;
}

/**
 * Returns access tokens of one user from the local identity provider, whose password grant accepts any name and password.
 * A token is kept only in memory, until a minute before it expires.
 */
export function tokenSource(issuer: string, userId: string): Tokens {
  let current: Promise<Token> | undefined;
  return {
    async get({ refresh }) {
      const kept = refresh ? undefined : await current?.catch(() => undefined);
      if (kept && kept.expiresAt - EARLY_MS > Date.now()) return kept.text;
      current = requestToken(issuer, userId);
      return (await current).text;
    },
    forget() {
      current = undefined;
    },
  };
}
