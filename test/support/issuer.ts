import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

/* A token issuer with the discovery document and the keys of an OpenID provider, and with failures on demand. */

export interface Issuer {
  readonly url: string;
  /**
   * Returns a signed token, valid for one hour and for the audience `rooms`. `claims` changes claims; undefined removes
   * one.
   */
  token(claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
  /** Like `token`, but signed with a symmetric key: the text of the issuer's public key, which everyone can read. */
  confusedToken(): Promise<string>;
  /** Creates a new key that signs all further tokens. The old key stays published unless `alone` is true. */
  rotate(options?: { alone?: boolean; alg?: string }): Promise<void>;
  /** The number of requests for the discovery document and for the keys. */
  readonly requests: { discovery: number; keys: number };
  /** How the issuer responds: correctly, with an error, with invalid content, never, or by closing the connection. */
  readonly health: { discovery: Health; keys: Health };
  close(): Promise<void>;
}
export type Health = 'well' | 'error' | 'nonsense' | 'no keys' | 'silent' | 'down';

export async function startIssuer(): Promise<Issuer> {
  let signer: { key: CryptoKey; publicKey: CryptoKey; kid: string; alg: string } | undefined;
  let published: JWK[] = [];

  const requests = { discovery: 0, keys: 0 };
  const health: Issuer['health'] = { discovery: 'well', keys: 'well' };
  const server = createServer((req, res) => {
    const what = req.url?.endsWith('/openid-configuration') ? 'discovery' : 'keys';
    requests[what]++;
    const state = health[what];
    if (state === 'down') return void req.socket.destroy();
    if (state === 'silent') return;
    if (state === 'error') return void res.writeHead(500).end('oops');
    const answer = what === 'discovery' ? { issuer: url, jwks_uri: `${url}/keys` } : { keys: published };
    res.setHeader('content-type', 'application/json');
    res.end(state === 'nonsense' ? '<html>' : JSON.stringify(state === 'no keys' ? {} : answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/realms/test`;

  const issuer: Issuer = {
    url,
    requests,
    health,
    async rotate({ alone = false, alg = 'RS256' } = {}) {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
      signer = { key: privateKey, publicKey, kid: randomUUID(), alg };
      const jwk = { ...(await exportJWK(publicKey)), kid: signer.kid, use: 'sig', alg };
      published = alone ? [jwk] : [...published, jwk];
    },
    async token(claims = {}, header = {}) {
      if (!signer) throw new Error('no key');
      return new SignJWT(claimsOf(url, claims))
        .setProtectedHeader({ alg: signer.alg, kid: signer.kid, typ: 'JWT', ...header })
        .sign(signer.key);
    },
    async confusedToken() {
      if (!signer) throw new Error('no key');
      const secret = new TextEncoder().encode(await exportSPKI(signer.publicKey));
      return new SignJWT(claimsOf(url, {})).setProtectedHeader({ alg: 'HS256', kid: signer.kid }).sign(secret);
    },
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
  await issuer.rotate();
  return issuer;
}

/** The claims of a valid token, with changes. */
export function claimsOf(issuer: string, changes: Record<string, unknown>): JWTPayload {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: issuer, aud: 'rooms', sub: 'alice', iat: now - 1, exp: now + 3_600, ...changes };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
