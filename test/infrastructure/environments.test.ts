import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { describe, expect, test } from 'vitest';
import { DEFAULT_USER_LIMITS } from '../../core/contract/user-limits.ts';
import { allEntries } from '../../lib/entries.ts';
import { checkNumbers, chosenEnvironment, deployableNames, environmentNames } from '../../lib/environments.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';

const choose = (given: Record<string, unknown>) => chosenEnvironment(given);
const ISSUER = 'https://iams.test.example/realms/rooms';
const CERTIFICATE = 'arn:aws:acm:eu-central-1:123456789012:certificate/0b9c1f5e-1d2c-4a53-9e66-d7f2f6c1a001';
const STREAM = 'arn:aws:dynamodb:eu-central-1:123456789012:table/rooms-restored/stream/2026-11-27T03:14:15.926';
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:on-call';
/** The required settings of an environment. */
const complete = { issuer: ISSUER, allowedOrigins: 'https://ops.test.example' };
const dev = { env: 'dev', issuer: ISSUER };

describe('an invalid choice of environment', () => {
  test.each([
    [{}, 'No environment was chosen: choose dev, staging, or prod with -c env=<name>.'],
    [{ env: 'test' }, 'There is no environment "test": choose dev, staging, or prod with -c env=<name>.'],
    [{ env: '' }, 'There is no environment "": choose dev, staging, or prod with -c env=<name>.'],
    [{ env: 'constructor' }, 'There is no environment "constructor": choose dev, staging, or prod with -c env=<name>.'],
    [{ env: 5 }, 'There is no environment 5: choose dev, staging, or prod with -c env=<name>.'],
    [
      { env: 'local' },
      'The environment "local" cannot be deployed, only served by npm start: choose dev, staging, or prod with -c env=<name>.',
    ],
    [{ env: 'prod' }, 'The environment "prod" has no issuer: set it with -c issuer=<URL> or in lib/environments.ts.'],
    [
      { env: 'prod', issuer: ISSUER },
      'The environment "prod" has no allowed origins: specify -c allowedOrigins=<origin,…>, or ' +
        '"none", or set allowedOrigins in lib/environments.ts.',
    ],
    [{ env: 'dev', issuer: 'iams' }, 'The issuer must be an https URL (http only on localhost), but is "iams".'],
    [
      { env: 'dev', issuer: 'http://iams.test.example' },
      'The issuer must be an https URL (http only on localhost), but is "http://iams.test.example".',
    ],
    [{ env: 'dev', issuer: '' }, '-c issuer=… needs a value, but got "".'],
    [{ env: 'dev', issuer: true }, '-c issuer=… needs a value, but got true.'],
    [{ ...dev, audience: ' ' }, '-c audience=… needs a value, but got " ".'],
    [{ ...dev, audience: ', ,' }, '-c audience=… needs at least one audience, separated by commas.'],
    [{ ...dev, isuer: ISSUER }, 'There is no setting "isuer". Did you mean -c issuer=…?'],
    [{ ...dev, ISSUER }, 'There is no setting "ISSUER". Did you mean -c issuer=…?'],
    [{ ...dev, maxUploadByte: '5' }, 'There is no setting "maxUploadByte". Did you mean -c maxUploadBytes=…?'],
    [{ ...dev, maxFileSizeInMegabytes: '5' }, 'There is no setting "maxFileSizeInMegabytes". -c takes env, account, '],
    [{ ...dev, constructor: 'x' }, 'There is no setting "constructor". -c takes env, account, '],
    [{ ...dev, monitoring: 'no' }, '-c monitoring=… needs true or false, but got "no".'],
    [{ ...dev, maxUploadBytes: '5 MB' }, '-c maxUploadBytes=… needs a number, but got "5 MB".'],
    [{ ...dev, maxUploadBytes: '' }, '-c maxUploadBytes=… needs a number, but got "".'],
    [{ ...dev, maxUploadBytes: '0' }, 'maxUploadBytes must be a whole number from 1 to 5368709120, but is 0.'],
    [{ ...dev, logRetentionDays: '45' }, 'logRetentionDays must be one of 1, 3, 5, 7, 14, 30, 60, 90, '],
    [{ ...dev, throttling: '500' }, '-c throttling=… needs a rate and a burst, such as 500,1000, but got "500".'],
    [{ ...dev, throttling: 'a,b' }, '-c throttling=… needs a rate and a burst, such as 500,1000, but got "a,b".'],
    [
      { ...dev, throttling: '0,1' },
      'throttling must have a rate above 0 and a whole burst, but is {"rate":0,"burst":1}.',
    ],
    [
      { ...dev, reservedConcurrency: 'announce' },
      '-c reservedConcurrency=… needs names with numbers, such as announce:50,fan-out:100, but got "announce".',
    ],
    [{ ...dev, reservedConcurrency: 'anounce:5' }, 'reservedConcurrency has no function "anounce": create-room, '],
    [
      { ...dev, routeThrottling: 'createRoom:5' },
      '-c routeThrottling=… needs names with a rate and a burst, such as createRoom:50:100, but got "createRoom:5".',
    ],
    [{ ...dev, userLimits: 'roomsPerDay' }, '-c userLimits=… needs names with numbers'],
    [{ ...dev, monthlyBudget: 'ten' }, '-c monthlyBudget=… needs a number, but got "ten".'],
    [
      { ...dev, alarmTarget: 'on-call@test.example', monthlyBudget: '0' },
      'The monthly budget must be 1 to 1000000000 US dollars, but is 0.',
    ],
    [{ ...dev, monthlyBudget: '50' }, 'A monthly budget needs monitoring and an alarm target.'],
    [
      { ...dev, alarmTarget: 'on-call@test.example', monitoring: 'false', monthlyBudget: '50' },
      'A monthly budget needs monitoring and an alarm target.',
    ],
    [{ ...dev, account: '123' }, 'The account must be a number of 12 digits, but is "123".'],
    [{ ...dev, account: 123456789012 }, '-c account=… needs a value, but got 123456789012.'],
    [{ ...dev, region: 'Frankfurt' }, 'The region must be an AWS region such as eu-central-1, but is "Frankfurt".'],
    [
      { ...dev, allowedOrigins: 'https://a.example/app' },
      'An allowed origin must be https://<host>[:<port>] and nothing else (http only on localhost), but is "https://a.example/app".',
    ],
    [
      { ...dev, allowedOrigins: 'https://a.example,http://b.example' },
      'An allowed origin must be https://<host>[:<port>] and nothing else (http only on localhost), but is "http://b.example".',
    ],
    [{ ...dev, allowedOrigins: '*' }, 'The allowed origins must be listed: "*" is only for the environment "local".'],
    [
      { ...dev, httpDomain: 'a.example.com' },
      'A domain needs a certificate: specify both -c httpDomain=<name> and -c httpDomainCertificate=<ARN>.',
    ],
    [
      { ...dev, webSocketDomainCertificate: CERTIFICATE },
      'A domain needs a certificate: specify both -c webSocketDomain=<name> and -c webSocketDomainCertificate=<ARN>.',
    ],
    [
      { ...dev, httpDomain: 'https://a.example.com', httpDomainCertificate: CERTIFICATE },
      'A domain must be a name such as rooms.example.com, but is "https://a.example.com".',
    ],
    [
      { ...dev, httpDomain: 'a.example.com', httpDomainCertificate: 'arn:aws:iam::123456789012:server-certificate/x' },
      'The certificate of a.example.com must be the ARN of one in ACM, but is "arn:aws:iam::123456789012:server-certificate/x".',
    ],
    [
      { ...dev, region: 'us-east-1', httpDomain: 'a.example.com', httpDomainCertificate: CERTIFICATE },
      `The certificate of a.example.com must be the ARN of one in ACM in us-east-1, but is "${CERTIFICATE}".`,
    ],
    [
      {
        ...dev,
        httpDomain: 'a.example.com',
        httpDomainCertificate: CERTIFICATE,
        webSocketDomain: 'a.example.com',
        webSocketDomainCertificate: CERTIFICATE,
      },
      'The HTTP API and the WebSocket API cannot share a domain: both are a.example.com.',
    ],
    [
      { ...dev, alarmTarget: 'ops' },
      'The alarm target must be an email address or the ARN of an SNS topic, but is "ops".',
    ],
    [
      { ...dev, region: 'us-east-1', alarmTarget: TOPIC },
      `The alarm target must be an email address or the ARN of an SNS topic in us-east-1, but is "${TOPIC}".`,
    ],
    [
      { ...dev, restoredTable: 'rooms-restored' },
      'restoredTable must be the ARN of a table\'s stream (see "npm run prepare-restored"), but is "rooms-restored".',
    ],
    [
      { ...dev, region: 'us-east-1', restoredTable: STREAM },
      `restoredTable must be the ARN of a table's stream (see "npm run prepare-restored") in us-east-1, but is "${STREAM}".`,
    ],
    [
      { ...dev, account: '210987654321', restoredTable: STREAM },
      `restoredTable must be in the account 210987654321, but is "${STREAM}".`,
    ],
    [
      { ...dev, restoredBucket: 'rooms.restored' },
      'restoredBucket must be the name of a bucket, without dots, but is "rooms.restored".',
    ],
  ])('%j is reported with a hint', (given, message) => {
    expect(() => choose(given)).toThrow(UsageError);
    expect(() => choose(given)).toThrow(message);
  });
});

describe('a number that AWS would reject, or that would have harmful effects', () => {
  const prod = choose({ env: 'prod', ...complete });
  test.each([
    [
      { maxUploadBytes: 6 * 1024 ** 3 },
      'maxUploadBytes must be a whole number from 1 to 5368709120, but is 6442450944.',
    ],
    [{ maxUploadBytes: 0.5 }, 'maxUploadBytes must be a whole number from 1 to 5368709120, but is 0.5.'],
    [{ logRetentionDays: 45 }, 'logRetentionDays must be one of 1, 3, 5, 7, 14, 30, 60, 90, '],
    [
      { throttling: { rate: 0, burst: 1 } },
      'throttling must have a rate above 0 and a whole burst, but is {"rate":0,"burst":1}.',
    ],
    [{ apiGatewayQuota: 99 }, 'apiGatewayQuota must be a whole number from 100 to 1000000, but is 99'],
    [{ apiGatewayQuota: 2_500.5 }, 'apiGatewayQuota must be a whole number'],
    [{ webSocketThrottling: { rate: 1, burst: 0 } }, 'webSocketThrottling must have a rate above 0 and a whole burst'],
    [{ reservedConcurrency: { anounce: 50 } }, 'reservedConcurrency has no function "anounce": create-room, '],
    [
      { reservedConcurrency: { announce: 0 } },
      'The reserved concurrency of announce must be a whole number of 1 or more, but is 0.',
    ],
    [{ routeThrottling: { upload: { rate: 1, burst: 1 } } }, 'routeThrottling has no operation "upload": '],
    [
      { routeThrottling: { createRoom: { rate: 0, burst: 1 } } },
      'createRoom must have a rate above 0 and a whole burst',
    ],
    [
      { userLimits: { rooms: 5 } },
      'There is no user limit "rooms": roomsPerMinute, roomsPerDay, participantsPerHour, ',
    ],
    [
      { userLimits: { roomsPerDay: 0 } },
      'The user limit roomsPerDay must be a whole number from 1 to 1000000000, but is 0.',
    ],
    [
      { userLimits: { participantsPerHour: 49 } },
      'The user limit participantsPerHour must be a whole number from 50 to 1000000000, but is 49.',
    ],
  ])('%j is reported', (wrong, message) => {
    expect(() => checkNumbers(prod)).not.toThrow();
    expect(() => checkNumbers({ ...prod, ...wrong })).toThrow(UsageError);
    expect(() => checkNumbers({ ...prod, ...wrong })).toThrow(message);
  });
});

describe('a chosen environment', () => {
  test.each(environmentNames)('%s is complete and within AWS limits', (env) => {
    const environment = chosenEnvironment({ env, ...complete }, environmentNames);
    expect(environment.name).toBe(env);
    expect(environment.audience.length).toBeGreaterThan(0);
    expect(environment.allowedOrigins.length).toBeGreaterThan(0);
    expect(Object.values(RetentionDays)).toContain(environment.logRetentionDays);
    expect(environment.maxUploadBytes).toBeLessThanOrEqual(5 * 1024 ** 3);
    for (const { rate, burst } of [environment.throttling, environment.webSocketThrottling]) {
      expect(rate).toBeGreaterThan(0);
      expect(burst).toBeGreaterThanOrEqual(rate);
    }
    // All APIs of an account share a quota of 10,000 requests per second, with bursts of 5,000.
    expect(environment.throttling.rate + environment.webSocketThrottling.rate).toBeLessThanOrEqual(10_000);
    expect(environment.webSocketThrottling.burst).toBeLessThanOrEqual(5_000);
    // All functions of an account share a concurrency of 1,000, and AWS requires that 100 remain unreserved.
    const reserved = Object.entries(environment.reservedConcurrency);
    expect(reserved.reduce((sum, [, share]) => sum + share, 0)).toBeLessThanOrEqual(900);
    for (const [name] of reserved) expect(allEntries.map((entry) => entry.name)).toContain(name);
  });

  test('takes settings from the command line', () => {
    const given = {
      issuer: ISSUER,
      account: '012345678901',
      region: 'eu-central-1',
      alarmTarget: 'on-call@test.example',
    };
    const lists = { audience: 'rooms, account', allowedOrigins: 'https://a.test.example,https://b.test.example:8443' };
    expect(choose({ env: 'prod', ...given, ...lists })).toMatchObject({
      ...given,
      audience: ['rooms', 'account'],
      allowedOrigins: ['https://a.test.example', 'https://b.test.example:8443'],
    });
    expect(choose({ ...dev, allowedOrigins: 'none' }).allowedOrigins).toEqual([]);
    expect(choose({ ...dev, region: 'eu-central-1', alarmTarget: TOPIC }).alarmTarget).toBe(TOPIC);
    expect(
      choose({
        ...dev,
        monitoring: 'false',
        maxUploadBytes: '5',
        logRetentionDays: '3',
        throttling: '10, 20',
        webSocketThrottling: '0.5,7',
        apiGatewayQuota: '2500',
        apiGatewayLogRole: 'false',
        reservedConcurrency: 'announce:50, fan-out:100',
        retainData: 'true',
        routeThrottling: 'createRoom:5:10, endRoom:0.5:1',
        userLimits: 'roomsPerMinute:240,participantsPerHour:50',
      }),
    ).toMatchObject({
      monitoring: false,
      maxUploadBytes: 5,
      logRetentionDays: 3,
      throttling: { rate: 10, burst: 20 },
      webSocketThrottling: { rate: 0.5, burst: 7 },
      apiGatewayQuota: 2_500,
      apiGatewayLogRole: false,
      reservedConcurrency: { announce: 50, 'fan-out': 100 },
      retainData: true,
      routeThrottling: { createRoom: { rate: 5, burst: 10 }, endRoom: { rate: 0.5, burst: 1 } },
      userLimits: { ...DEFAULT_USER_LIMITS, roomsPerMinute: 240, participantsPerHour: 50 },
    });
    expect(choose({ ...dev, alarmTarget: 'on-call@test.example', monthlyBudget: '250' }).monthlyBudget).toBe(250);
    const restored = { restoredTable: STREAM, restoredBucket: 'rooms-restored' };
    expect(choose({ ...dev, region: 'eu-central-1', account: '123456789012', ...restored })).toMatchObject(restored);
    const domain = { httpDomain: 'a.example.com', httpDomainCertificate: CERTIFICATE };
    expect(choose({ ...dev, ...domain }).httpDomain).toEqual({ name: 'a.example.com', certificateArn: CERTIFICATE });
  });

  test('ignores the keys of the CDK', () => {
    const ofTheCdk = {
      '@aws-cdk/core:checkSecretUsage': true,
      'aws:cdk:version-reporting': false,
      'vpc-provider:account=1': {},
      'cli-telemetry': false,
    };
    expect(choose({ ...dev, ...ofTheCdk }).issuer).toBe(ISSUER);
  });

  test('of dev can be deleted; staging and prod retain all data', () => {
    const retained = deployableNames.filter((env) => choose({ env, ...complete }).retainData);
    expect(retained).toEqual(['staging', 'prod']);
    const kept = (env: string) => choose({ env, ...complete }).logRetentionDays;
    expect(kept('prod')).toBeGreaterThan(kept('staging'));
    expect(kept('staging')).toBeGreaterThan(kept('dev'));
  });

  test.each(['http://localhost:8080', 'http://127.0.0.1:8080/realms/x', 'http://[::1]:8080'])(
    'can have a local issuer without TLS: %s',
    (issuer) => {
      expect(chosenEnvironment({ env: 'local', issuer }, ['local']).issuer).toBe(issuer);
    },
  );

  test('allows any origin only in the local environment', () => {
    expect(chosenEnvironment({ env: 'local', issuer: ISSUER }, ['local']).allowedOrigins).toEqual(['*']);
    expect(choose(dev).allowedOrigins).not.toContain('*');
  });
});
