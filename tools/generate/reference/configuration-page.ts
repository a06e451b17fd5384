import { deployableNames, type Settings, settingsOf } from '../../../lib/environments.ts';
import { code, page, table } from './markdown.ts';

interface SettingText {
  readonly what: string;
  /** Examples for `-c`. Default: the name of the setting and this value. */
  readonly example: string;
}

/** The description of each setting. The compiler requires an entry for each setting. */
const TEXTS: { readonly [Key in keyof Required<Settings>]: SettingText } = {
  issuer: {
    what: 'Issuer of the access tokens, exactly as in their `iss` claim. `<issuer>/.well-known/openid-configuration` must be reachable from the internet.',
    example: 'issuer=https://id.example.com/realms/rooms',
  },
  audience: {
    what: 'Accepted `aud` values, comma-separated. A token needs one of them.',
    example: 'audience=rooms,ops-hub',
  },
  allowedOrigins: {
    what: 'Web origins that may call the HTTP API and S3 from a browser, comma-separated. `none` allows no origin.',
    example: 'allowedOrigins=https://ops.example.com',
  },
  account: {
    what: 'AWS account to deploy to. Default: the account of the credentials in use.',
    example: 'account=111122223333',
  },
  region: {
    what: 'AWS Region to deploy to. Default: the Region of the AWS profile in use.',
    example: 'region=eu-central-1',
  },
  httpDomain: {
    what: 'Custom domain of the HTTP API, with the ARN of its ACM certificate in the same Region. Create a DNS alias for the stack output `…DomainAlias…`.',
    example: 'httpDomain=rooms.example.com -c httpDomainCertificate=arn:aws:acm:…',
  },
  webSocketDomain: {
    what: 'Custom domain of the WebSocket API, as `httpDomain`. It must be another name.',
    example: 'webSocketDomain=ws.example.com -c webSocketDomainCertificate=arn:aws:acm:…',
  },
  alarmTarget: {
    what: 'Receiver of alarms: an email address or the ARN of an SNS topic. Without it, alarms are only on the dashboard.',
    example: 'alarmTarget=oncall@example.com',
  },
  monitoring: {
    what: 'Whether to create the dashboard, alarms, custom metrics and traces. They cost about $4 a month.',
    example: 'monitoring=false',
  },
  monthlyBudget: {
    what: 'Budget of the AWS account in US dollars. The alarm target is notified at 80 %, at 100 %, and of a forecast above it. The policy of an SNS topic must let `budgets.amazonaws.com` publish.',
    example: 'monthlyBudget=200',
  },
  throttling: {
    what: 'HTTP requests per second, and burst. API Gateway rejects more with 429.',
    example: 'throttling=500,1000',
  },
  webSocketThrottling: {
    what: 'WebSocket connects and frames per second, and burst.',
    example: 'webSocketThrottling=1000,2000',
  },
  apiGatewayQuota: {
    what: 'Requests per second that AWS allows the account, over all APIs. One room uses at most a quarter of it for posts.',
    example: 'apiGatewayQuota=2500',
  },
  routeThrottling: {
    what: 'Throttles of single HTTP routes, by operation: `<operation>:<rate>:<burst>`.',
    example: 'routeThrottling=createRoom:50:100,createUpload:100:200',
  },
  userLimits: {
    what: 'Limits per user, by name. Limits that are not given keep their [default](limits.md#limits-per-user).',
    example: 'userLimits=roomsPerMinute:120,uploadsPerHour:600',
  },
  reservedConcurrency: {
    what: 'Reserved concurrency of single functions, by name; `none` for no function. The account must allow 1,000 concurrent executions for the values of `prod`.',
    example: 'reservedConcurrency=deliver-messages:100,fan-out:150',
  },
  logRetentionDays: { what: 'How long logs are kept, in days.', example: 'logRetentionDays=90' },
  retainData: {
    what: 'Whether table, bucket and logs survive the deletion of their stacks, and the stacks are protected from deletion.',
    example: 'retainData=false',
  },
  restoredTable: {
    what: 'A restored table that the stacks use instead of their own: the ARN of its stream. See [Recovery](../operate/recovery.md).',
    example: 'restoredTable=arn:aws:dynamodb:…:table/rooms-restored/stream/…',
  },
  restoredBucket: {
    what: 'A restored bucket that the stacks use instead of their own, by its name.',
    example: 'restoredBucket=rooms-restored-files',
  },
  maxUploadBytes: { what: 'Maximum file size in bytes, at most 5 GiB.', example: 'maxUploadBytes=26214400' },
  apiGatewayLogRole: {
    what: 'Whether the stack sets the role with which API Gateway writes logs, a setting of the whole account and Region. Use `false` if the account has one.',
    example: 'apiGatewayLogRole=false',
  },
};

const listed = (entries: readonly string[]): string => (entries.length > 0 ? entries.map(code).join(', ') : 'none');

function shown(value: unknown): string {
  if (value === undefined) return '–';
  if (Array.isArray(value)) return listed(value.map(String));
  if (typeof value !== 'object' || value === null) return code(String(value));
  if ('rate' in value && 'burst' in value) return code(`${value.rate},${value.burst}`);
  return listed(
    Object.entries(value).map(([name, each]: [string, unknown]) =>
      typeof each === 'object' && each !== null && 'rate' in each && 'burst' in each
        ? `${name}:${each.rate}:${each.burst}`
        : `${name}:${each}`,
    ),
  );
}

const names = Object.keys(TEXTS) as (keyof Settings)[];

/** Returns docs/reference/configuration.md. */
export const configurationPage = (): string =>
  page(
    '# Configuration',
    'For operators: every setting of an environment.',
    'Set values in `lib/environments.ts` for each environment, with `-c <setting>=<value>` on the command line, or under `context` in `cdk.json`. The command line takes precedence. ' +
      '`-c env=dev|staging|prod` chooses the environment and is required. An unknown key is an error that suggests the closest setting.',
    'Required settings without a value stop the deployment before it begins: `issuer`, and `allowedOrigins`. `dev` has placeholders for both, so that its templates can be synthesized.',
    ...names.flatMap((name) => [
      `## \`${name}\``,
      TEXTS[name].what,
      `Example: \`-c ${TEXTS[name].example}\``,
      table([...deployableNames], [deployableNames.map((environment) => shown(settingsOf(environment)[name]))]),
    ]),
    '## Local stack',
    '`npm start -- --help` lists the options of the local stack.',
  );
