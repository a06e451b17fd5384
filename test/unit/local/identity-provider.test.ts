import { afterEach, expect, test } from 'vitest';
import { type Listening, listen } from '../../../local/listen.ts';
import { ProviderError, tokenOriginsOf } from '../../../local/oidc/identity-provider.ts';

const open: Listening[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

/** A provider with this discovery document, which may contain the provider's URL. */
async function provider(document: (url: string) => unknown, status = 200): Promise<string> {
  const server = await listen((request, response) => {
    response.statusCode = request.url === '/.well-known/openid-configuration' ? status : 404;
    response.end(JSON.stringify(document(server.url)));
  }, 0);
  open.push(server);
  return server.url;
}

const good = (url: string) => ({
  issuer: url,
  jwks_uri: `${url}/keys`,
  authorization_endpoint: `${url}/authorize`,
  token_endpoint: 'https://tokens.example.com/token',
});

test('returns the origins from which a page gets tokens', async () => {
  const url = await provider(good);
  expect(await tokenOriginsOf(url)).toEqual([url, 'https://tokens.example.com']);
});

test.each<[string, (url: string) => unknown, number, (url: string) => string]>([
  [
    'another issuer',
    (url) => ({ ...good(url), issuer: 'https://iams.example.com' }),
    200,
    () => 'The issuer of this identity provider is https://iams.example.com. Pass exactly this value as --issuer.',
  ],
  [
    'another format',
    () => ({ hello: 'world' }),
    200,
    (url) => `${url}/.well-known/openid-configuration is not an OpenID Connect discovery document.`,
  ],
  [
    'a provider that responds with an error',
    good,
    503,
    (url) => `The identity provider cannot be reached at ${url}/.well-known/openid-configuration (status 503).`,
  ],
])('rejects a discovery document of %s', async (_, document, status, message) => {
  const url = await provider(document, status);
  await expect(tokenOriginsOf(url)).rejects.toThrow(new ProviderError(message(url)));
});

test('rejects an address that does not respond', async () => {
  const url = await provider(good);
  for (const server of open.splice(0)) await server.close();
  await expect(tokenOriginsOf(url)).rejects.toThrow(
    `The identity provider cannot be reached at ${url}/.well-known/openid-configuration (ECONNREFUSED).`,
  );
});
