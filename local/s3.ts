import { mkdir } from 'node:fs/promises';
import S3rver from '@20minutes/s3rver';
import v4 from '@20minutes/s3rver/lib/signature/v4.js';
import * as v from 'valibot';
import { type Listening, listen } from './listen.ts';

/** The only access key that the local S3 knows; DynamoDB Local takes any. */
export const CREDENTIALS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' } as const;

// Signature version 4 has these characters of a query encoded too (RFC 3986), which s3rver 5.0.0 forgets: it would refuse the
// download of a file whose name has an apostrophe, a parenthesis or anything that is not ASCII in it.
const { getStringToSign } = v4;
v4.getStringToSign = (canonicalRequest, request) =>
  getStringToSign(
    { ...canonicalRequest, querystring: canonicalRequest.querystring.replace(/[!'()*]/g, percentEncoded) },
    request,
  );
const percentEncoded = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

const strings = v.array(v.string());

/** The properties of AWS::S3::Bucket that mean something on this machine. */
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
 * Starts an S3 server that has these buckets.
 *
 * @param port the usual port; another one is found when it is taken
 * @param directory where the objects are kept
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
  return listen(server.getMiddleware(), { usual: options.port });
}

/** A bucket's CORS rules as S3's API writes them. */
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
