/** Where the parts of the stack are that serves this page. */
export interface Config {
  readonly http: string;
  readonly ws: string;
  readonly issuer: string;
}

const isConfig = (value: unknown): value is Config =>
  typeof value === 'object' &&
  value !== null &&
  ['http', 'ws', 'issuer'].every(
    (name) => typeof Object.entries(value).find(([key]) => key === name)?.[1] === 'string',
  );

/** Asks the stack. Throws where it does not answer. */
export async function loadConfig(): Promise<Config> {
  const response = await fetch('/_local/config.json');
  const config: unknown = response.ok ? await response.json() : undefined;
  if (!isConfig(config)) throw new Error('The local stack did not say where its parts are.');
  return config;
}
