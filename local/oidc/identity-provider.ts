import * as v from 'valibot';

/** An external identity provider whose tokens the stack accepts. */
export interface IdentityProvider {
  /** Issuer URL, exactly as in the `iss` claim of its tokens. */
  readonly issuer: string;
  /** Accepted `aud` values, comma-separated. */
  readonly audience: string;
  /** The client ID of the web client. */
  readonly clientId: string;
}

/** Thrown if an identity provider cannot be used. Its message is for the user. */
export class ProviderError extends Error {}

const TIMEOUT_MS = 10_000;

const discovery = v.object({
  issuer: v.string(),
  jwks_uri: v.pipe(v.string(), v.url()),
  authorization_endpoint: v.pipe(v.string(), v.url()),
  token_endpoint: v.pipe(v.string(), v.url()),
});

/**
 * Reads the discovery document of an identity provider, and returns the origins from which a page gets tokens.
 *
 * @throws ProviderError if it cannot be read, or belongs to another issuer
 */
export async function tokenOriginsOf(issuer: string): Promise<string[]> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  let document: unknown;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    document = await response.json();
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : message;
    throw new ProviderError(`The identity provider cannot be reached at ${url} (${reason}).`, { cause: error });
  }
  const found = v.safeParse(discovery, document);
  if (!found.success) throw new ProviderError(`${url} is not an OpenID Connect discovery document.`);
  if (found.output.issuer !== issuer)
    throw new ProviderError(
      `The issuer of this identity provider is ${found.output.issuer}. Pass exactly this value as --issuer.`,
    );
  return [...new Set([issuer, found.output.jwks_uri, found.output.token_endpoint].map((each) => new URL(each).origin))];
}
