import type { Readable } from 'node:stream';

/*
 * Settings of every SDK client. They keep the SDK from reading configuration files: a function has none, and reading
 * would load parts of Node that nothing else needs.
 */

/** These are the SDK's own defaults. */
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
 * Time limits of a client. All attempts together end within a function's time-out of 10 seconds.
 *
 * @param milliseconds for the start of a response, and between two parts of its body, in each of three attempts
 */
export const timeLimits = (milliseconds: number) => ({
  maxAttempts: 3,
  requestHandler: {
    connectionTimeout: 1_000,
    requestTimeout: milliseconds,
    // Without this limit, the SDK would wait forever for the rest of a body: `requestTimeout` ends with the headers.
    socketTimeout: milliseconds,
    throwOnRequestTimeout: true,
  },
});

/** The time limits of clients whose services answer within tens of milliseconds. */
export const SHORT_TIME_LIMITS = timeLimits(3_000);

/** Collects the body of a response. The SDK's own collector also supports web streams, and so loads Node's. */
function streamCollector(stream: Readable): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    stream
      .on('data', (chunk: Uint8Array) => chunks.push(chunk))
      .once('error', reject)
      .once('end', () => resolve(Buffer.concat(chunks)));
  });
}

/** The endpoint of a service in the local stack. */
type Endpoint = `AWS_ENDPOINT_URL_${'DYNAMODB' | 'S3'}`;

interface Client {
  readonly config: { serviceConfiguredEndpoint?: () => Promise<string | undefined> };
}

/** Returns the client. It reads its endpoint only from the environment, at its first request, like the SDK. */
export function withEndpoint<C extends Client>(client: C, variable: Endpoint): C {
  client.config.serviceConfiguredEndpoint = async () => process.env[variable] ?? process.env.AWS_ENDPOINT_URL;
  return client;
}
