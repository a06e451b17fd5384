import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { allRoutes } from '../core/contract/index.ts';
import { DEFAULT_MAX_UPLOAD_BYTES, MAX_PARTICIPANTS_PER_CALL } from '../core/contract/limits.ts';
import { DEFAULT_USER_LIMITS, type UserLimits, userLimitNames } from '../core/contract/user-limits.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import {
  type Context,
  flag,
  list,
  number,
  numbersByName,
  refuseUnknownKeys,
  text,
  throttle,
  throttlesByName,
} from './context.ts';
import { allEntries } from './entries.ts';

/*
 * Every setting that differs between environments. Choose an environment with `-c env=<name>`. Every setting can be
 * replaced with `-c <setting>=…`: see `readers`.
 */

/** The environments that can be deployed. */
export const deployableNames = ['dev', 'staging', 'prod'] as const;
/** All environments, including `local`, which only `npm start` serves. */
export const environmentNames = ['local', ...deployableNames] as const;
export type EnvironmentName = (typeof environmentNames)[number];

export interface Settings {
  /** AWS account to deploy to, 12 digits. Default: the account of the current credentials. */
  readonly account?: string;
  /** AWS region to deploy to, such as `eu-central-1`. Default: the region of the current AWS profile. */
  readonly region?: string;
  /**
   * Issuer of the access tokens, exactly as in their `iss` claim; `<issuer>/.well-known/openid-configuration` must be reachable.
   * In Keycloak: `https://<host>/realms/<realm>`. No default.
   */
  readonly issuer?: string;
  /**
   * A token must carry one of these in its `aud` claim (API Gateway looks at `client_id` where there is no `aud`). Keycloak
   * writes `account` unless the client has an audience mapper. Default: `rooms`.
   */
  readonly audience: readonly string[];
  /**
   * Origins whose pages may call the API and the bucket from a browser, such as `https://ops.example.com`. Empty if
   * no page may. No default, because a web application that is blocked by mistake is noticed late.
   */
  readonly allowedOrigins?: readonly string[];
  /** A custom domain name for the HTTP API. Default: none, and the API has the name that AWS assigns. */
  readonly httpDomain?: Domain;
  /** The same for the WebSocket API. It must be a different name. */
  readonly webSocketDomain?: Domain;
  /**
   * Where alarms are sent: the ARN of an SNS topic, or an email address. Default: nowhere; alarms are then only on
   * the dashboard.
   */
  readonly alarmTarget?: string;
  /**
   * Whether there are a dashboard, alarms, custom metrics, and traces. For one environment, AWS charges less than 4
   * dollars a month for the alarms, and less than one for the metrics while idle. Default: true.
   */
  readonly monitoring: boolean;
  /** Largest file that can be uploaded, in bytes; at most 5 GiB, S3's limit for one PUT. Default: 100 MiB. */
  readonly maxUploadBytes: number;
  /**
   * How long access logs and function logs are kept, in days; one of the retention periods of CloudWatch Logs.
   * Default: 30.
   */
  readonly logRetentionDays: number;
  /**
   * Requests that the API accepts in total: `rate` per second on average, `burst` at once. More requests get a 429.
   * Default: 500 and 1000, well within the default quota of an account (10,000 and 5,000) and within Lambda's 1,000
   * concurrent executions.
   */
  readonly throttling: { readonly rate: number; readonly burst: number };
  /**
   * The same for single routes of the HTTP API, by operation: each has its own limit, so that a flood of one route
   * does not affect the others. Default: 50 and 100 for the most expensive routes, `createRoom` and
   * `addParticipants`, 100 and 200 for `createUpload`.
   */
  readonly routeThrottling: Readonly<Record<string, { readonly rate: number; readonly burst: number }>>;
  /**
   * Limits of one user per minute, hour or day. Above a limit, requests get a 429 `too_many_requests` with `Retry-After`.
   * Default: 120 rooms a minute and 2,000 a day, 3,000 participants added and 600 uploads an hour, 60 profile changes
   * a minute, 300 WebSocket frames in 10 seconds. Limits that are not named keep their default.
   */
  readonly userLimits: Readonly<Record<string, number>>;
  /**
   * Budget for the whole AWS account, in US dollars a month. The alarm target receives a notification when 80 % and
   * 100 % are spent, and when AWS forecasts more. Needs `monitoring` and an `alarmTarget`. Default: none.
   */
  readonly monthlyBudget?: number;
  /**
   * Like `throttling`, for the frames of the WebSocket API. Opening a connection counts as one frame. More frames
   * are rejected. Default: 1000 and 2000, so that 1,000 clients can reconnect and join at once.
   */
  readonly webSocketThrottling: { readonly rate: number; readonly burst: number };
  /**
   * Requests, frames and posts a second that AWS allows the account in this region, over all of its API Gateway APIs ("Throttle quota per account, per Region"). One room
   * takes at most a quarter of it for posts. Default: 10,000; AWS gives 2,500 in 13 newer regions.
   */
  readonly apiGatewayQuota: number;
  /**
   * Whether the real-time stack sets API Gateway's role for writing logs. It is one setting for the account in its
   * region. A new account does not have it, and without it no WebSocket API can be deployed. False keeps an existing
   * role. Default: true.
   */
  readonly apiGatewayLogRole: boolean;
  /**
   * Reserved concurrency of functions, by the name of the function's entry. It limits functions that a flood could
   * make use all of the account's concurrency (1,000 by default). It also guarantees them this share, so that no
   * other flood blocks them. AWS requires 100 to stay unreserved, which a new account may not have. Default: none.
   */
  readonly reservedConcurrency: Readonly<Record<string, number>>;
  /**
   * Whether table, bucket and logs survive their stacks, and table and stacks refuse to be deleted. If false, `cdk
   * destroy` deletes the data, and deploys a function that may delete every file for that purpose. Default: true.
   */
  readonly retainData: boolean;
  /**
   * A restored table that replaces the stack's own: the ARN of its stream, which `npm run prepare-restored` prints.
   * Keep it until the data has moved back: a deployment without it points the APIs at the old table. See
   * docs/operate/recovery.md. Default: none.
   */
  readonly restoredTable?: string;
  /** The name of a restored bucket that replaces the stack's own. Default: none. */
  readonly restoredBucket?: string;
}

/** A domain name, and the certificate for it. */
export interface Domain {
  /** For example `rooms.example.com`. The stack's output names the target of its DNS record. */
  readonly name: string;
  /** ARN of a certificate in AWS Certificate Manager, in the region of the API. */
  readonly certificateArn: string;
}

const defaults: Settings = {
  audience: ['rooms'],
  maxUploadBytes: DEFAULT_MAX_UPLOAD_BYTES,
  logRetentionDays: 30,
  throttling: { rate: 500, burst: 1_000 },
  routeThrottling: {
    createRoom: { rate: 50, burst: 100 },
    addParticipants: { rate: 50, burst: 100 },
    createUpload: { rate: 100, burst: 200 },
  },
  userLimits: {},
  webSocketThrottling: { rate: 1_000, burst: 2_000 },
  apiGatewayQuota: 10_000,
  apiGatewayLogRole: true,
  monitoring: true,
  reservedConcurrency: {},
  retainData: true,
};

/**
 * The placeholder issuer of `dev`: enough to synthesize the stacks. API Gateway accepts no issuer that it cannot
 * reach.
 */
export const MADE_UP_ISSUER = 'https://iams.example.com/realms/rooms-dev';

/** The settings of each environment. Add your accounts, issuers and origins here, or pass them with `-c`. */
const environments: { readonly [Name in EnvironmentName]: Partial<Settings> } = {
  // The environment that `npm start` serves. The port of its issuer is known only at run time, so `-c issuer=…` sets
  // it.
  local: {
    allowedOrigins: ['*'],
    logRetentionDays: 1,
    monitoring: false,
    retainData: false,
  },
  // `cdk destroy --all` deletes everything except the account's role for logs (see `apiGatewayLogRole`).
  dev: {
    issuer: MADE_UP_ISSUER,
    allowedOrigins: ['http://localhost:3000', 'http://localhost:5173'],
    logRetentionDays: 7,
    throttling: { rate: 50, burst: 100 },
    routeThrottling: {
      createRoom: { rate: 10, burst: 20 },
      addParticipants: { rate: 10, burst: 20 },
      createUpload: { rate: 20, burst: 40 },
    },
    webSocketThrottling: { rate: 100, burst: 200 },
    retainData: false,
  },
  staging: {},
  prod: {
    logRetentionDays: 365,
    throttling: { rate: 1_000, burst: 2_000 },
    routeThrottling: {
      createRoom: { rate: 100, burst: 200 },
      addParticipants: { rate: 100, burst: 200 },
      createUpload: { rate: 200, burst: 400 },
    },
    webSocketThrottling: { rate: 2_000, burst: 4_000 },
    reservedConcurrency: {
      // The stream readers need one invocation per shard. Above the limit, records wait in the stream and stay in order.
      'deliver-messages': 100,
      'room-changes': 100,
      // For batches of large rooms. Above the limit, the invokers deliver the batches themselves, which takes longer.
      'fan-out': 150,
      // For times when many rooms start, such as 9:00. Above the limit, invocations wait for Lambda's retry.
      announce: 50,
      // For a network failure, which closes many connections at once. Above the limit, a disconnect is not processed, and the
      // next broadcast removes the connection.
      disconnect: 150,
    },
  },
};

/** Returns the default settings of an environment. */
export const settingsOf = (name: EnvironmentName): Settings => ({ ...defaults, ...environments[name] });

export interface Environment extends Settings {
  readonly name: EnvironmentName;
  readonly issuer: string;
  readonly allowedOrigins: readonly string[];
  readonly userLimits: UserLimits;
}

const or = new Intl.ListFormat('en', { type: 'disjunction' });
const choose = (names: readonly string[]) => `choose ${or.format(names)} with -c env=<name>`;

const isLocalHost = (hostname: string): boolean => ['localhost', '127.0.0.1', '[::1]'].includes(hostname);

/** Whether a URL is https, or http on this machine. */
const isSafe = (value: string): boolean => {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return protocol === 'https:' || (protocol === 'http:' && isLocalHost(hostname));
};
/** Whether a text is an origin. It has no path and no trailing slash, because it is compared with the text that browsers send. */
const isOrigin = (value: string): boolean => isSafe(value) && new URL(value).origin === value;

const REGION = /^[a-z]{2}(-[a-z]+)+-\d$/;
const DOMAIN = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;
const CERTIFICATE = /^arn:aws[a-z-]*:acm:([a-z0-9-]+):\d{12}:certificate\/[\w-]+$/;
const TOPIC = /^arn:aws[a-z-]*:sns:([a-z0-9-]+):\d{12}:[\w-]{1,256}$/;
const STREAM = /^arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):(\d{12}):table\/[\w.-]{3,255}\/stream\/[\w.:-]+$/;
const BUCKET = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
const E_MAIL = /^[^\s@:]+@[^\s@:]+\.[^\s@:]+$/;

/** Returns whether an alarm target is an existing topic. */
export const isTopic = (alarmTarget: string): boolean => TOPIC.test(alarmTarget);

const domain = (context: Context, key: 'httpDomain' | 'webSocketDomain'): Domain | undefined => {
  const [name, certificateArn] = [text(context, key), text(context, `${key}Certificate`)];
  if (name === undefined && certificateArn === undefined) return undefined;
  if (name === undefined || certificateArn === undefined)
    throw new UsageError(`A domain needs a certificate: specify both -c ${key}=<name> and -c ${key}Certificate=<ARN>.`);
  return { name, certificateArn };
};

/** The reader of each setting for `-c`. The compiler requires a row for each setting. */
const readers: { readonly [Key in keyof Required<Settings>]: (context: Context) => Settings[Key] | undefined } = {
  account: (context) => text(context, 'account'),
  region: (context) => text(context, 'region'),
  issuer: (context) => text(context, 'issuer'),
  audience: (context) => list(context, 'audience', { empty: false }),
  allowedOrigins: (context) => list(context, 'allowedOrigins', { empty: true }),
  httpDomain: (context) => domain(context, 'httpDomain'),
  webSocketDomain: (context) => domain(context, 'webSocketDomain'),
  alarmTarget: (context) => text(context, 'alarmTarget'),
  monitoring: (context) => flag(context, 'monitoring'),
  monthlyBudget: (context) => number(context, 'monthlyBudget'),
  maxUploadBytes: (context) => number(context, 'maxUploadBytes'),
  logRetentionDays: (context) => number(context, 'logRetentionDays'),
  throttling: (context) => throttle(context, 'throttling'),
  routeThrottling: (context) => throttlesByName(context, 'routeThrottling'),
  userLimits: (context) => numbersByName(context, 'userLimits'),
  webSocketThrottling: (context) => throttle(context, 'webSocketThrottling'),
  apiGatewayQuota: (context) => number(context, 'apiGatewayQuota'),
  apiGatewayLogRole: (context) => flag(context, 'apiGatewayLogRole'),
  reservedConcurrency: (context) => numbersByName(context, 'reservedConcurrency'),
  retainData: (context) => flag(context, 'retainData'),
  restoredTable: (context) => text(context, 'restoredTable'),
  restoredBucket: (context) => text(context, 'restoredBucket'),
};

/** Every key that `-c` accepts. */
const KEYS = ['env', ...Object.keys(readers), 'httpDomainCertificate', 'webSocketDomainCertificate'];

/** Returns the settings in the context. Missing settings are omitted, so that they replace nothing. */
const fromContext = (context: Context): Partial<Settings> =>
  Object.fromEntries(
    Object.entries(readers)
      .map(([key, read]): [string, unknown] => [key, read(context)])
      .filter(([, value]) => value !== undefined),
  );

/**
 * Returns the environment that the context chooses, complete.
 *
 * @param names the environments to choose from. Default: those that can be deployed.
 * @throws UsageError if the context names no environment or an unknown setting, or a setting is missing or wrong.
 */
export function chosenEnvironment(context: Context, names: readonly EnvironmentName[] = deployableNames): Environment {
  refuseUnknownKeys(context, KEYS);
  const wanted = context.env;
  if (wanted === undefined) throw new UsageError(`No environment was chosen: ${choose(names)}.`);
  const name = names.find((each) => each === wanted);
  if (name === undefined)
    throw new UsageError(
      wanted === 'local'
        ? `The environment "local" cannot be deployed, only served by npm start: ${choose(names)}.`
        : `There is no environment ${JSON.stringify(wanted)}: ${choose(names)}.`,
    );

  const settings: Settings = { ...settingsOf(name), ...fromContext(context) };
  const { issuer, allowedOrigins } = settings;
  if (issuer === undefined)
    throw new UsageError(
      `The environment "${name}" has no issuer: set it with -c issuer=<URL> or in lib/environments.ts.`,
    );
  if (allowedOrigins === undefined)
    throw new UsageError(
      `The environment "${name}" has no allowed origins: specify -c allowedOrigins=<origin,…>, or ` +
        '"none", or set allowedOrigins in lib/environments.ts.',
    );
  const userLimits = { ...DEFAULT_USER_LIMITS, ...settings.userLimits };
  const environment: Environment = { ...settings, name, issuer, allowedOrigins, userLimits };
  check(environment);
  return environment;
}

const fail = (message: string): never => {
  throw new UsageError(message);
};
const quoted = JSON.stringify;

/** S3's limit for one PUT. */
const MAX_PUT_BYTES = 5 * 1024 ** 3;
const isWhole = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max;

/** Checks the settings that are numbers. */
export function checkNumbers(settings: Omit<Settings, 'issuer' | 'allowedOrigins'>): void {
  const { maxUploadBytes, logRetentionDays, reservedConcurrency, apiGatewayQuota } = settings;
  if (!isWhole(apiGatewayQuota, 100, 1_000_000))
    fail(`apiGatewayQuota must be a whole number from 100 to 1000000, but is ${quoted(apiGatewayQuota)}.`);
  if (!isWhole(maxUploadBytes, 1, MAX_PUT_BYTES))
    fail(`maxUploadBytes must be a whole number from 1 to ${MAX_PUT_BYTES}, but is ${quoted(maxUploadBytes)}.`);
  const periods = Object.values(RetentionDays).filter(
    (days) => typeof days === 'number' && days < RetentionDays.INFINITE,
  );
  if (!periods.includes(logRetentionDays))
    fail(`logRetentionDays must be one of ${periods.join(', ')}, but is ${quoted(logRetentionDays)}.`);
  const { throttling, webSocketThrottling, routeThrottling, userLimits } = settings;
  const operations = allRoutes.map(({ operation }) => operation);
  for (const operation of Object.keys(routeThrottling))
    if (!operations.includes(operation))
      fail(`routeThrottling has no operation ${quoted(operation)}: ${operations.join(', ')}.`);
  for (const [name, { rate, burst }] of Object.entries({ throttling, webSocketThrottling, ...routeThrottling }))
    if (!(rate > 0) || !isWhole(burst, 1, Number.MAX_SAFE_INTEGER))
      fail(`${name} must have a rate above 0 and a whole burst, but is ${quoted({ rate, burst })}.`);
  for (const [name, max] of Object.entries(userLimits)) {
    if (!userLimitNames.some((limit) => limit === name))
      fail(`There is no user limit ${quoted(name)}: ${userLimitNames.join(', ')}.`);
    // The limit must allow one call with the maximum number of participants.
    const least = name === 'participantsPerHour' ? MAX_PARTICIPANTS_PER_CALL : 1;
    if (!isWhole(max, least, 1_000_000_000))
      fail(`The user limit ${name} must be a whole number from ${least} to 1000000000, but is ${quoted(max)}.`);
  }
  const names = allEntries.map((entry) => entry.name);
  for (const [name, share] of Object.entries(reservedConcurrency)) {
    if (!names.includes(name)) fail(`reservedConcurrency has no function ${quoted(name)}: ${names.join(', ')}.`);
    if (!isWhole(share, 1, Number.MAX_SAFE_INTEGER))
      fail(`The reserved concurrency of ${name} must be a whole number of 1 or more, but is ${quoted(share)}.`);
  }
}

/** Throws UsageError for a setting that AWS would reject only during a deployment, or accept with harmful effects. */
function check({ name, ...settings }: Environment): void {
  const { account, region, issuer, audience, allowedOrigins, httpDomain, webSocketDomain, alarmTarget } = settings;
  if (account !== undefined && !/^\d{12}$/.test(account))
    fail(`The account must be a number of 12 digits, but is ${quoted(account)}.`);
  if (region !== undefined && !REGION.test(region))
    fail(`The region must be an AWS region such as eu-central-1, but is ${quoted(region)}.`);
  if (!isSafe(issuer)) fail(`The issuer must be an https URL (http only on localhost), but is ${quoted(issuer)}.`);
  if (audience.length === 0) fail('There must be at least one audience.');
  for (const origin of allowedOrigins)
    if (!isOrigin(origin) && !(origin === '*' && name === 'local'))
      fail(
        origin === '*'
          ? 'The allowed origins must be listed: "*" is only for the environment "local".'
          : `An allowed origin must be https://<host>[:<port>] and nothing else (http only on localhost), but is ${quoted(origin)}.`,
      );
  for (const domain of [httpDomain, webSocketDomain]) {
    if (!domain) continue;
    if (!DOMAIN.test(domain.name))
      fail(`A domain must be a name such as rooms.example.com, but is ${quoted(domain.name)}.`);
    inRegion(domain.certificateArn, CERTIFICATE, `The certificate of ${domain.name} must be the ARN of one in ACM`);
  }
  if (httpDomain && httpDomain.name === webSocketDomain?.name)
    fail(`The HTTP API and the WebSocket API cannot share a domain: both are ${httpDomain.name}.`);
  if (alarmTarget !== undefined && !E_MAIL.test(alarmTarget))
    inRegion(alarmTarget, TOPIC, 'The alarm target must be an email address or the ARN of an SNS topic');
  if (settings.monthlyBudget !== undefined) {
    if (!(settings.monthlyBudget >= 1 && settings.monthlyBudget <= 1_000_000_000))
      fail(`The monthly budget must be 1 to 1000000000 US dollars, but is ${quoted(settings.monthlyBudget)}.`);
    if (!settings.monitoring || alarmTarget === undefined)
      fail('A monthly budget needs monitoring and an alarm target.');
  }
  const { restoredTable, restoredBucket } = settings;
  if (restoredTable !== undefined) {
    inRegion(
      restoredTable,
      STREAM,
      'restoredTable must be the ARN of a table\'s stream (see "npm run prepare-restored")',
    );
    if (account !== undefined && STREAM.exec(restoredTable)?.[2] !== account)
      fail(`restoredTable must be in the account ${account}, but is ${quoted(restoredTable)}.`);
  }
  // The name of the bucket is part of the host name. With a dot in it, the TLS certificate would not match.
  if (restoredBucket !== undefined && !BUCKET.test(restoredBucket))
    fail(`restoredBucket must be the name of a bucket, without dots, but is ${quoted(restoredBucket)}.`);
  checkNumbers(settings);

  function inRegion(arn: string, pattern: RegExp, rule: string): void {
    const found = pattern.exec(arn);
    if (!found) fail(`${rule}, but is ${quoted(arn)}.`);
    if (region !== undefined && found?.[1] !== region) fail(`${rule} in ${region}, but is ${quoted(arn)}.`);
  }
}
