import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import S3rver, { type Store } from '@20minutes/s3rver';
import S3Error from '@20minutes/s3rver/lib/models/error.js';
import v4 from '@20minutes/s3rver/lib/signature/v4.js';
import * as v from 'valibot';
import { type Listening, listen } from '../listen.ts';

/** The only access key that the local S3 accepts. DynamoDB Local accepts any key. */
export const CREDENTIALS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' } as const;

// Works around a bug of s3rver 5.0.0: it does not encode these characters of a query (RFC 3986), as Signature Version 4 does.
// It would reject the download of a file whose name has an apostrophe, a parenthesis or a non-ASCII character.
const { getStringToSign } = v4;
v4.getStringToSign = (canonicalRequest, request) =>
  getStringToSign(
    { ...canonicalRequest, querystring: canonicalRequest.querystring.replace(/[!'()*]/g, percentEncoded) },
    request,
  );
const percentEncoded = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

const strings = v.array(v.string());

/** The properties of AWS::S3::Bucket that the local stack uses. */
export const bucketProperties = v.object({
  BucketName: v.optional(v.string()),
  CorsConfiguration: v.optional(
    v.object({
      CorsRules: v.array(
        v.object({
          AllowedOrigins: strings,
          AllowedMethods: strings,
          AllowedHeaders: v.optional(strings, []),
          ExposedHeaders: v.optional(strings, []),
          MaxAge: v.optional(v.number()),
        }),
      ),
    }),
  ),
});

export interface Bucket {
  readonly name: string;
  readonly properties: v.InferOutput<typeof bucketProperties>;
}

/**
 * Starts an S3 server with these buckets.
 *
 * @param port 0 for any free port
 * @param directory the folder of the objects
 */
export async function startS3(options: {
  port: number;
  directory: string;
  buckets: readonly Bucket[];
}): Promise<Listening> {
  await mkdir(options.directory, { recursive: true });
  const server = new S3rver({
    directory: options.directory,
    silent: true,
    vhostBuckets: false,
    configureBuckets: options.buckets.map(({ name, properties }) => ({ name, configs: corsXml(properties) })),
  });
  await server.configureBuckets();
  const headers = new AsyncLocalStorage<IncomingHttpHeaders>();
  enforceIfNoneMatch(server.store, () => headers.getStore()?.['if-none-match'] === '*');
  const serve = server.getMiddleware();
  return listen((request, response) => headers.run(request.headers, () => serve(request, response)), options.port);
}

/**
 * Makes a store reject a conditional PUT of an existing object, as S3 does and s3rver 5.0.0 does not. If several PUTs run in
 * parallel, the first to finish succeeds. Until then, the body is stored under another key, so that an interrupted upload leaves no
 * object behind.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
function enforceIfNoneMatch(store: Store, isConditional: () => boolean): void {
  const putObject = store.putObject.bind(store);
  const finishing = new Set<string>();
  const requireAbsent = async (bucket: string, key: string): Promise<void> => {
    if (await store.existsObject(bucket, key)) throw preconditionFailed();
  };
  store.putObject = async (object) => {
    if (!isConditional()) return putObject(object);
    const { bucket, key } = object;
    await requireAbsent(bucket, key);
    // In the root of the bucket, because s3rver removes empty folders, even if another upload is about to write to them.
    const staged = `unfinished-${randomUUID()}`;
    try {
      const stored = await putObject(
        Object.assign(Object.create(Object.getPrototypeOf(object)), object, { key: staged }),
      );
      const name = `${bucket}/${key}`;
      if (finishing.has(name)) throw preconditionFailed();
      finishing.add(name);
      try {
        await requireAbsent(bucket, key);
        await store.copyObject(bucket, staged, bucket, key);
      } finally {
        finishing.delete(name);
      }
      return stored;
    } finally {
      await store.deleteObject(bucket, staged);
    }
  };
}

const preconditionFailed = (): Error =>
  new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
    Condition: 'If-None-Match',
  });

/** Returns a bucket's CORS rules in the format of S3's API. */
function corsXml({ CorsConfiguration: cors }: Bucket['properties']): string[] {
  if (!cors) return [];
  const all = (name: string, values: readonly (string | number)[]): string =>
    values.map((value) => `<${name}>${escapeXml(String(value))}</${name}>`).join('');
  const rules = cors.CorsRules.map(
    (rule) =>
      `<CORSRule>${all('AllowedOrigin', rule.AllowedOrigins)}${all('AllowedMethod', rule.AllowedMethods)}${all(
        'AllowedHeader',
        rule.AllowedHeaders,
      )}${all('ExposeHeader', rule.ExposedHeaders)}${all('MaxAgeSeconds', rule.MaxAge === undefined ? [] : [rule.MaxAge])}</CORSRule>`,
  );
  return [`<CORSConfiguration>${rules.join('')}</CORSConfiguration>`];
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
