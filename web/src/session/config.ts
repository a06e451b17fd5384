/** Addresses of the stack that serves this page. */
export interface Config {
  readonly http: string;
  readonly ws: string;
  readonly issuer: string;
  /** The client ID of this page at an external identity provider; absent if the stack has its own issuer. */
  readonly clientId?: string;
}

const isConfig = (value: unknown): value is Config =>
  typeof value === 'object' &&
  value !== null &&
  ['http', 'ws', 'issuer'].every(
    (name) => typeof Object.entries(value).find(([key]) => key === name)?.[1] === 'string',
  );

/** Time limit for the response of the stack, in milliseconds. */
const TIMEOUT_MS = 3_000;

/** Loads the addresses from the stack. Throws if it does not respond in time. */
export async function loadConfig(): Promise<Config> {
  const response = await fetch('/_local/config.json', { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const config: unknown = response.ok ? await response.json() : undefined;
  if (!isConfig(config)) throw new Error('The response of the local stack is invalid.');
  return config;
}

export const isSameConfig = (a: Config, b: Config): boolean =>
  a.http === b.http && a.ws === b.ws && a.issuer === b.issuer && a.clientId === b.clientId;
