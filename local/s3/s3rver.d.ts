declare module '@20minutes/s3rver' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface StoredObject {
    readonly bucket: string;
    readonly key: string;
  }

  export interface Store {
    putObject(object: StoredObject): Promise<{ readonly size: number; readonly md5: string }>;
    copyObject(fromBucket: string, fromKey: string, toBucket: string, toKey: string): Promise<unknown>;
    existsObject(bucket: string, key: string): Promise<boolean>;
    deleteObject(bucket: string, key: string): Promise<unknown>;
  }

  export default class S3rver {
    readonly store: Store;

    constructor(options: {
      directory: string;
      silent: boolean;
      vhostBuckets: boolean;
      configureBuckets: readonly { name: string; configs: readonly string[] }[];
    });
    /** Creates the buckets that the options name. */
    configureBuckets(): Promise<unknown>;
    getMiddleware(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}

declare module '@20minutes/s3rver/lib/signature/v4.js' {
  interface CanonicalRequest {
    readonly querystring: string;
  }
  const v4: { getStringToSign(canonicalRequest: CanonicalRequest, request: unknown): string };
  export default v4;
}

declare module '@20minutes/s3rver/lib/models/error.js' {
  /** The code determines the HTTP status. */
  export default class S3Error extends Error {
    constructor(code: string, message: string, detail?: Readonly<Record<string, string>>);
  }
}
