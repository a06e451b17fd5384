import { S3Client } from '@aws-sdk/client-s3';
import { S3RequestPresigner } from '@aws-sdk/s3-request-presigner';
import { SignatureV4 } from '@smithy/signature-v4';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Credentials, presignedPath, signedHeaders } from '../../core/aws/sigv4.ts';

/** AWS's own hash. */
const { sha256 } = new S3Client({ region: 'us-east-1' }).config;

/** Returns the query that AWS's own presigner gives the same request. */
async function presignedByTheSdk(
  request: Parameters<typeof presignedPath>[0],
  credentials: Credentials,
  { region, seconds, time }: Parameters<typeof presignedPath>[2],
) {
  const presigner = new S3RequestPresigner({ credentials, region, sha256 });
  const { query = {} } = await presigner.presign(
    {
      method: request.method,
      protocol: 'https:',
      hostname: request.host,
      path: request.path,
      headers: { ...request.headers, host: request.host },
      query: { ...request.query },
    },
    {
      expiresIn: seconds,
      signingDate: new Date(time),
      signableHeaders: new Set(['host', ...Object.keys(request.headers)]),
    },
  );
  return query;
}

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
const requests = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'DELETE'),
  host: fc.constantFrom('files.s3.eu-central-1.amazonaws.com', '127.0.0.1:9000'),
  path: fc.uuid().map((id) => `/rooms/${id}/${id}`),
  headers: fc.oneof(
    fc.constant({}),
    fc.record({
      'content-length': fc.nat().map(String),
      'content-type': fc.constantFrom('text/plain', 'text/plain;  charset=utf-8', 'application/pdf'),
      'if-none-match': fc.constant('*'),
    }),
  ),
  query: fc.oneof(
    fc.constant({}),
    fc.record({ 'response-content-disposition': text, 'response-content-type': fc.constant('image/png') }),
  ),
});
const credentials = fc.record(
  {
    accessKeyId: fc.stringMatching(/^[A-Z0-9]{20}$/),
    secretAccessKey: fc.base64String({ minLength: 4 }),
    sessionToken: fc.base64String({ minLength: 4 }),
  },
  { requiredKeys: ['accessKeyId', 'secretAccessKey'] },
);

const regions = fc.constantFrom('eu-central-1', 'us-east-1');
const times = fc
  .date({ min: new Date('2020-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString());

const queryOf = (path: string) => Object.fromEntries(new URLSearchParams(path.slice(path.indexOf('?'))));

describe('a presigned URL', () => {
  test('has the parameters and the signature that the SDK gives it', async () => {
    const options = fc.record({ region: regions, seconds: fc.integer({ min: 1, max: 604_800 }), time: times });
    await fc.assert(
      fc.asyncProperty(requests, credentials, options, async (request, own, scope) => {
        const path = presignedPath(request, own, scope);
        expect(queryOf(path)).toEqual(await presignedByTheSdk(request, own, scope));
        expect(path.slice(0, path.indexOf('?'))).toBe(request.path);
      }),
    );
  });

  test('is signed with the key of its day and its credentials', () => {
    const request = { method: 'GET', host: 'x', path: '/y', headers: {}, query: {} };
    const at = (time: string, secretAccessKey: string) => {
      const own = { accessKeyId: 'a', secretAccessKey };
      return queryOf(presignedPath(request, own, { region: 'eu-central-1', seconds: 60, time }))['X-Amz-Signature'];
    };
    const first = at('2026-11-27T23:59:59.000Z', 'b');
    expect(at('2026-11-28T00:00:00.000Z', 'b')).not.toBe(first);
    expect(at('2026-11-27T23:59:59.000Z', 'c')).not.toBe(first);
    expect(at('2026-11-27T23:59:59.000Z', 'b')).toBe(first);
  });
});

test('a signed request has the headers that the SDK gives it', async () => {
  const paths = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}=?$/).map((id) => `/v1/@connections/${encodeURIComponent(id)}`);
  const signable = fc.record({
    method: fc.constantFrom('POST', 'DELETE'),
    host: fc.constantFrom('abc.execute-api.eu-central-1.amazonaws.com', '127.0.0.1:9000'),
    path: paths,
    headers: fc.record({ 'content-length': fc.nat().map(String) }),
    body: text,
  });
  await fc.assert(
    fc.asyncProperty(signable, credentials, regions, times, async (request, own, region, time) => {
      const scope = { service: 'execute-api', region, time };
      const signer = new SignatureV4({ ...scope, credentials: own, sha256, applyChecksum: false });
      const { host, ...rest } = request;
      const sent = { ...rest, protocol: 'https:', hostname: host, headers: { ...request.headers, host } };
      const { headers } = await signer.sign(sent, { signingDate: new Date(time) });
      expect(signedHeaders(request, own, scope)).toEqual(headers);
    }),
  );
});
