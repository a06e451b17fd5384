/** Renewed this long before it expires, in milliseconds. */
const EARLY_MS = 60_000;

interface Token {
  readonly text: string;
  readonly expiresAt: number;
}

const property = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;

async function fetchJson(url: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`The identity provider answered with status ${response.status}.`);
  return response.json();
}

async function requestToken(issuer: string, userId: string): Promise<Token> {
  const discovery = await fetchJson(`${issuer}/.well-known/openid-configuration`);
  const endpoint = property(discovery, 'token_endpoint');
  if (typeof endpoint !== 'string') throw new Error('The identity provider did not say where it issues tokens.');
  const body = new URLSearchParams({
    grant_type: 'password',
    client_id: 'rooms-web',
    username: userId,
    password: 'any',
  });
  const answer = await fetchJson(endpoint, { method: 'POST', body });
  const text = property(answer, 'access_token');
  const seconds = property(answer, 'expires_in');
  if (typeof text !== 'string') throw new Error('The identity provider gave no access token.');
  return { text, expiresAt: Date.now() + (typeof seconds === 'number' ? seconds : 300) * 1_000 };
}

export interface Tokens {
  /** Gives a token that is good for a minute or more. `refresh` asks for a new one. */
  get(request: { readonly refresh: boolean }): Promise<string>;
  /** Makes the next call ask for a new token: the service may have come back with other keys. */
  forget(): void;
}

/**
 * Access tokens of one user, from the local identity provider: its password grant takes any name and any password, as no real one does.
 * A token is kept in memory until a minute before it expires, and nowhere else.
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
