import { DEFAULT_MAX_UPLOAD_BYTES } from '../core/contract/limits.ts';
import { UsageError } from './usage-error.ts';

/*
 * Every setting in which environments differ. Choose one with `-c env=<name>`; `-c issuer=<URL>` and `-c audience=<a,b>`
 * replace what is written here.
 */

export const environmentNames = ['local', 'dev', 'staging', 'prod'] as const;
export type EnvironmentName = (typeof environmentNames)[number];

export interface Settings {
  /** AWS account to deploy to. Default: the one of the credentials in use. */
  readonly account?: string;
  /** AWS region to deploy to. Default: the one of the AWS profile in use. */
  readonly region?: string;
  /**
   * Issuer of the access tokens, exactly as in their `iss` claim; `<issuer>/.well-known/openid-configuration` must answer.
   * In Keycloak: `https://<host>/realms/<realm>`. No default.
   */
  readonly issuer?: string;
  /**
   * A token must carry one of these in its `aud` claim (API Gateway looks at `client_id` where there is no `aud`). Keycloak
   * writes `account` unless the client has an audience mapper. Default: `rooms`.
   */
  readonly audience: readonly string[];
  /** Origins whose pages may call the API and the bucket from a browser. Default: none. */
  readonly allowedOrigins: readonly string[];
  /** Largest file that can be uploaded, in bytes; at most 5 GiB, S3's limit for one PUT. Default: 100 MiB. */
  readonly maxUploadBytes: number;
  /** How long access logs and function logs are kept, in days; one of the periods that CloudWatch Logs knows. Default: 30. */
  readonly logRetentionDays: number;
  /**
   * Requests that the API takes, in total: `rate` a second on average, `burst` at once. What is above is a 429. Default: 500
   * and 1000, well within what an account may do by itself (10,000 and 5,000) and within Lambda's 1,000 at a time.
   */
  readonly throttling: { readonly rate: number; readonly burst: number };
  /**
   * Frames that the WebSocket API takes, in total, where opening a connection counts as one; as `throttling`. What is above
   * is refused. Default: 1000 and 2000, so that a thousand can come back at once, connect, and join.
   */
  readonly webSocketThrottling: { readonly rate: number; readonly burst: number };
  /**
   * Whether API Gateway's role for writing logs is set by the real-time stack. It is one setting for the account in its
   * region, which nobody has made in a new account and without which no WebSocket API is deployed. False leaves the one alone
   * that there is. Default: true.
   */
  readonly apiGatewayLogRole: boolean;
  /**
   * Whether table, bucket and logs outlive the stack, and table and stack refuse to be deleted. Where false, `cdk destroy`
   * takes the data along (S3 deletes no bucket that has files in it: empty it first). Default: true.
   */
  readonly retainData: boolean;
}

const defaults: Settings = {
  audience: ['rooms'],
  allowedOrigins: [],
  maxUploadBytes: DEFAULT_MAX_UPLOAD_BYTES,
  logRetentionDays: 30,
  throttling: { rate: 500, burst: 1_000 },
  webSocketThrottling: { rate: 1_000, burst: 2_000 },
  apiGatewayLogRole: true,
  retainData: true,
};

/** Put your own issuers and origins here; those of `.example` are placeholders, and API Gateway refuses to deploy them. */
const environments: { readonly [Name in EnvironmentName]: Partial<Settings> } = {
  // What `npm start` serves. The port of its issuer is known only when it runs, so `-c issuer=…` gives it.
  local: {
    allowedOrigins: ['*'],
    logRetentionDays: 1,
    retainData: false,
  },
  dev: {
    issuer: 'https://iams.dev.agil.example/realms/agil',
    allowedOrigins: ['https://dev.agil.example', 'http://localhost:3000', 'http://localhost:5173'],
    logRetentionDays: 7,
    throttling: { rate: 50, burst: 100 },
    webSocketThrottling: { rate: 100, burst: 200 },
    retainData: false,
  },
  staging: {
    issuer: 'https://iams.staging.agil.example/realms/agil',
    allowedOrigins: ['https://staging.agil.example'],
  },
  prod: {
    issuer: 'https://iams.agil.example/realms/agil',
    allowedOrigins: ['https://agil.example'],
    logRetentionDays: 90,
    throttling: { rate: 1_000, burst: 2_000 },
    webSocketThrottling: { rate: 2_000, burst: 4_000 },
  },
};

export interface Environment extends Settings {
  readonly name: EnvironmentName;
  readonly issuer: string;
}

/** What `-c key=value` gave, or undefined. */
export type Context = (key: string) => unknown;

const choices = `${environmentNames.slice(0, -1).join(', ')} or ${environmentNames.at(-1)}`;
const choose = `choose ${choices} with -c env=<name>`;

const isName = (value: unknown): value is EnvironmentName => environmentNames.some((name) => name === value);

/** A token issuer is an https URL; a local one may do without TLS. */
const isIssuer = (value: string): boolean => {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname));
};

/** The text of a context value, or undefined where it is not given. Throws UsageError for one that is empty or no text. */
const text = (context: Context, key: string): string | undefined => {
  const value = context(key);
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.trim() === '')
    throw new UsageError(`-c ${key}=… needs a value, but got ${JSON.stringify(value)}.`);
  return value.trim();
};

/** The environment that the context chooses, complete. Throws UsageError where it names none or leaves something out. */
export function chosenEnvironment(context: Context): Environment {
  const name = context('env');
  if (name === undefined) throw new UsageError(`No environment was chosen: ${choose}.`);
  if (!isName(name)) throw new UsageError(`There is no environment ${JSON.stringify(name)}: ${choose}.`);

  const settings = { ...defaults, ...environments[name] };
  const issuer = text(context, 'issuer') ?? settings.issuer;
  if (issuer === undefined)
    throw new UsageError(
      `The environment "${name}" has no issuer: give one with -c issuer=<URL> or in lib/environments.ts, or ${choose}.`,
    );
  if (!isIssuer(issuer))
    throw new UsageError(`The issuer must be an https URL (http only on localhost), but is ${JSON.stringify(issuer)}.`);

  const audience = text(context, 'audience')
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  if (audience?.length === 0) throw new UsageError('-c audience=… needs at least one audience, separated by commas.');

  return { ...settings, name, issuer, audience: audience ?? settings.audience };
}
