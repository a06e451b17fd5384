import type { Readable } from 'node:stream';

/*
 * What every client of the SDK is told, so that it looks for nothing in configuration files: a function has no home directory
 * with any, and to look there it would load parts of Node that nothing else needs.
 */

/** All of these are the SDK's own defaults. */
export const CLIENT_SETTINGS = {
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  authSchemePreference: [],
  retryMode: 'standard',
  userAgentAppId: '',
  disableClockSkewCorrection: false,
  streamCollector,
};

/**
 * Time limits of a client. All attempts together end within a function's time-out of ten seconds.
 *
 * @param milliseconds for an answer to begin, and between two parts of its body, for each of three attempts
 */
export const timeLimits = (milliseconds: number) => ({
  maxAttempts: 3,
  requestHandler: {
    connectionTimeout: 1_000,
    requestTimeout: milliseconds,
    // Without it, an answer whose body breaks off is waited for without end: `requestTimeout` is over with the headers.
    socketTimeout: milliseconds,
    throwOnRequestTimeout: true,
  },
});

/** The body of an answer. The SDK's own collector looks whether it is a web stream, and so loads Node's. */
function streamCollector(stream: Readable): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    stream
      .on('data', (chunk: Uint8Array) => chunks.push(chunk))
      .once('error', reject)
      .once('end', () => resolve(Buffer.concat(chunks)));
  });
}

/** A service's endpoint, where it is not AWS's: the local stack's. */
type Endpoint = `AWS_ENDPOINT_URL_${'DYNAMODB' | 'S3'}`;

interface Client {
  readonly config: { serviceConfiguredEndpoint?: () => Promise<string | undefined> };
}

/** The client, which takes its endpoint from the environment with its first request, as the SDK would, and from nowhere else. */
export function withEndpoint<C extends Client>(client: C, variable: Endpoint): C {
  client.config.serviceConfiguredEndpoint = async () => process.env[variable] ?? process.env.AWS_ENDPOINT_URL;
  return client;
}
