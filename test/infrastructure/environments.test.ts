import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { describe, expect, it } from 'vitest';
import { chosenEnvironment, environmentNames } from '../../lib/environments.ts';
import { UsageError } from '../../lib/usage-error.ts';

const choose = (given: Record<string, unknown>) => chosenEnvironment((key) => given[key]);
const ISSUER = 'https://iams.test.example/realms/rooms';

describe('an environment that cannot be chosen', () => {
  it.each([
    [{}, 'No environment was chosen: choose local, dev, staging or prod with -c env=<name>.'],
    [{ env: 'test' }, 'There is no environment "test": choose local, dev, staging or prod with -c env=<name>.'],
    [{ env: '' }, 'There is no environment "": choose local, dev, staging or prod with -c env=<name>.'],
    [
      { env: 'constructor' },
      'There is no environment "constructor": choose local, dev, staging or prod with -c env=<name>.',
    ],
    [{ env: 5 }, 'There is no environment 5: choose local, dev, staging or prod with -c env=<name>.'],
    [
      { env: 'local' },
      'The environment "local" has no issuer: give one with -c issuer=<URL> or in lib/environments.ts, or choose local, dev, ' +
        'staging or prod with -c env=<name>.',
    ],
    [{ env: 'dev', issuer: 'iams' }, 'The issuer must be an https URL (http only on localhost), but is "iams".'],
    [
      { env: 'dev', issuer: 'http://iams.test.example' },
      'The issuer must be an https URL (http only on localhost), but is "http://iams.test.example".',
    ],
    [{ env: 'dev', issuer: '' }, '-c issuer=… needs a value, but got "".'],
    [{ env: 'dev', issuer: true }, '-c issuer=… needs a value, but got true.'],
    [{ env: 'dev', audience: ' ' }, '-c audience=… needs a value, but got " ".'],
    [{ env: 'dev', audience: ', ,' }, '-c audience=… needs at least one audience, separated by commas.'],
  ])('%j is told what to do', (given, message) => {
    expect(() => choose(given)).toThrow(new UsageError(message));
  });
});

describe('a chosen environment', () => {
  it.each(environmentNames)('%s is complete and within what AWS takes', (env) => {
    const environment = choose(env === 'local' ? { env, issuer: ISSUER } : { env });
    expect(environment.name).toBe(env);
    expect(environment.audience.length).toBeGreaterThan(0);
    expect(environment.allowedOrigins.length).toBeGreaterThan(0);
    expect(Object.values(RetentionDays)).toContain(environment.logRetentionDays);
    expect(environment.maxUploadBytes).toBeLessThanOrEqual(5 * 1024 ** 3);
    for (const { rate, burst } of [environment.throttling, environment.webSocketThrottling]) {
      expect(rate).toBeGreaterThan(0);
      expect(burst).toBeGreaterThanOrEqual(rate);
    }
    // All APIs of an account share 10,000 a second, and 5,000 at once.
    expect(environment.throttling.rate + environment.webSocketThrottling.rate).toBeLessThanOrEqual(10_000);
    expect(environment.webSocketThrottling.burst).toBeLessThanOrEqual(5_000);
  });

  it('takes issuer and audience from the command line', () => {
    const { issuer, audience } = choose({ env: 'prod', issuer: ISSUER, audience: 'rooms, account' });
    expect(issuer).toBe(ISSUER);
    expect(audience).toEqual(['rooms', 'account']);
  });

  it.each(['http://localhost:8080', 'http://127.0.0.1:8080/realms/x', 'http://[::1]:8080'])(
    'can have an issuer without TLS on this machine: %s',
    (issuer) => {
      expect(choose({ env: 'local', issuer }).issuer).toBe(issuer);
    },
  );

  it('lets any origin in only on this machine', () => {
    for (const env of environmentNames.filter((name) => name !== 'local'))
      expect(choose({ env }).allowedOrigins).not.toContain('*');
  });
});
