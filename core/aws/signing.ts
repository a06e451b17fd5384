import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { defaultProvider } from './environment-credentials.ts';

/*
 * Signature version 4, by AWS's own package, with what a Lambda function finds in its environment.
 */

type Data = string | ArrayBuffer | ArrayBufferView;

const bytesOf = (data: Data): string | Uint8Array => {
  if (typeof data === 'string') return data;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
};

/** Node's SHA-256, or HMAC-SHA-256 where there is a secret, as the package wants it. */
class Sha256 {
  readonly #secret: Data | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: Data) {
    this.#secret = secret;
    this.#hash = this.#fresh();
  }

  #fresh(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(this.#secret));
  }

  update(data: Data): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#fresh();
  }
}

/** The region that this process works in. */
export function region(): string {
  const { AWS_REGION } = process.env;
  if (!AWS_REGION) throw new Error('AWS_REGION must be set in the environment.');
  return AWS_REGION;
}

/** What the names of AWS's endpoints in a region end in. */
export const domainOf = (name: string): string => (name.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com');

/** Signs requests to a service. S3 wants paths as they are; all others want them escaped once more. */
export const signerFor = (service: 'dynamodb' | 's3'): SignatureV4 =>
  new SignatureV4({
    service,
    region: async () => region(),
    credentials: defaultProvider(),
    sha256: Sha256,
    uriEscapePath: service !== 's3',
  });
