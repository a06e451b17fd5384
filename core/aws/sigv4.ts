import { createHash, createHmac } from 'node:crypto';

/*
 * AWS Signature Version 4, for URLs of S3 and for requests that are sent by the thousand. The SDK's signer takes twice as long, and what it
 * brings with it more: it awaits every hash, and signs for every service. Tests compare the signatures of both.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
 */

const ALGORITHM = 'AWS4-HMAC-SHA256';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface UnsignedRequest {
  readonly method: string;
  readonly host: string;
  /** As it is sent: what a URL has to escape is escaped. */
  readonly path: string;
  /** Part of the signature: a request with other values is refused. */
  readonly headers: Readonly<Record<string, string>>;
}

/** As Signature Version 4 wants it (RFC 3986). */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

const byName = ([a]: readonly [string, string], [b]: readonly [string, string]): number => (a < b ? -1 : 1);

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const sha256 = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex');

/** The last signing key. It is that of a day and takes four hashes; a function has the same credentials as long as it lives. */
let derived: { readonly from: string; readonly key: Buffer } | undefined;

function signingKey(secret: string, scope: string): Buffer {
  const from = `${secret}/${scope}`;
  if (derived?.from !== from)
    derived = { from, key: scope.split('/').reduce<Buffer>(hmac, Buffer.from(`AWS4${secret}`)) };
  return derived.key;
}

/** What a signature is good for. `time` is ISO 8601. */
interface Scope {
  readonly service: string;
  readonly region: string;
  readonly time: string;
}

/** Returns the time as signatures have it, such as `20261127T070000Z`, and what the signing key is derived for. */
function scopeOf({ service, region, time }: Scope): { stamp: string; scope: string } {
  const stamp = time.replace(/[-:]|\.\d+/g, '');
  return { stamp, scope: `${stamp.slice(0, 8)}/${region}/${service}/aws4_request` };
}

/** Returns header names in lower case and their values, sorted, as they are signed. */
const canonicalHeaders = (headers: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(headers)
    .map(([name, value]): [string, string] => [name.toLowerCase(), value.trim().replace(/\s+/g, ' ')])
    .sort(byName);

const namesOf = (headers: readonly (readonly [string, string])[]): string => headers.map(([name]) => name).join(';');

function signatureOf(
  [method, path, query, payload]: readonly [method: string, path: string, query: string, payloadHash: string],
  headers: readonly (readonly [string, string])[],
  { stamp, scope }: ReturnType<typeof scopeOf>,
  secret: string,
): string {
  const lines = headers.map(([name, value]) => `${name}:${value}\n`).join('');
  const canonical = [method, path, query, lines, namesOf(headers), payload].join('\n');
  return hmac(signingKey(secret, scope), [ALGORITHM, stamp, scope, sha256(canonical)].join('\n')).toString('hex');
}

const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/**
 * Returns the path and query of a request to S3, signed in the query.
 *
 * @param query parameters, part of the signature
 * @param seconds how long the URL is valid
 * @param time when that begins, ISO 8601
 */
export function presignedPath(
  { method, host, path, headers, query }: UnsignedRequest & { readonly query: Readonly<Record<string, string>> },
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  { region, seconds, time }: { readonly region: string; readonly seconds: number; readonly time: string },
): string {
  const scope = scopeOf({ service: 's3', region, time });
  const signed = canonicalHeaders({ ...headers, host });
  const parameters = Object.entries({
    ...query,
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Content-Sha256': UNSIGNED_PAYLOAD,
    'X-Amz-Credential': `${accessKeyId}/${scope.scope}`,
    'X-Amz-Date': scope.stamp,
    'X-Amz-Expires': String(seconds),
    ...(sessionToken && { 'X-Amz-Security-Token': sessionToken }),
    'X-Amz-SignedHeaders': namesOf(signed),
  })
    .map(([name, value]): [string, string] => [encoded(name), encoded(value)])
    .sort(byName)
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const signature = signatureOf([method, path, parameters, UNSIGNED_PAYLOAD], signed, scope, secretAccessKey);
  return `${path}?${parameters}&X-Amz-Signature=${signature}`;
}

/** Returns the headers of a request with a signature for any service but S3, which wants its path escaped otherwise. */
export function signedHeaders(
  { method, host, path, headers, body }: UnsignedRequest & { readonly body: string | Uint8Array },
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  at: Scope,
): Record<string, string> {
  const scope = scopeOf(at);
  const all: Record<string, string> = {
    ...headers,
    host,
    'x-amz-date': scope.stamp,
    ...(sessionToken && { 'x-amz-security-token': sessionToken }),
  };
  const signed = canonicalHeaders(all);
  const escaped = path.split('/').map(encoded).join('/');
  const signature = signatureOf([method, escaped, '', sha256(body)], signed, scope, secretAccessKey);
  const authorization = `${ALGORITHM} Credential=${accessKeyId}/${scope.scope}, SignedHeaders=${namesOf(signed)}, Signature=${signature}`;
  return { ...all, authorization };
}
