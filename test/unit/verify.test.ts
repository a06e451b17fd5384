import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Check, type Emulator, percentiles, quantile } from '../../bin/operations/verify/check.ts';
import { CheckFailed, NotShown } from '../../bin/operations/verify/outcome.ts';
import { samplers } from '../../bin/operations/verify/route-checks.ts';
import { allChecks, runCheck } from '../../bin/operations/verify/run.ts';
import { Session, type Target } from '../../bin/operations/verify/session.ts';
import { allRoutes } from '../../core/contract/index.ts';
import { runCommand } from '../support/run-command.ts';

const page = readFileSync(new URL('../../docs/operate/verify.md', import.meta.url), 'utf8');

describe('the table of checks', () => {
  test('has unique names', () => {
    const names = allChecks.map(({ name }) => name);
    expect([...new Set(names)]).toEqual(names);
  });

  test('is documented, with a note for each check on whether an emulator can run it', () => {
    const rows = new Map([...page.matchAll(/^\| `([^`]+)` \| .* \| ([a-z ]+) \|$/gm)].map((row) => [row[1], row[2]]));
    const documented = new Set(
      allChecks.map(({ name }) => (name.startsWith('latency-') ? 'latency-<operation>' : name)),
    );
    expect([...rows.keys()].sort()).toEqual([...documented].sort());
    for (const { name, lacks = {} } of allChecks) {
      if (name.startsWith('latency-')) continue;
      const shown = { both: [], 'local stack': ['ministack'], neither: ['ministack', 'local'] }[rows.get(name) ?? ''];
      expect([name, Object.keys(lacks)]).toEqual([name, shown]);
    }
  });

  test('has a sample request for every route', () => {
    expect(Object.keys(samplers).sort()).toEqual(allRoutes.map(({ operation }) => operation).sort());
  });
});

describe('running a check', () => {
  const target: Target = {
    http: 'http://127.0.0.1:1',
    webSocket: 'ws://127.0.0.1:1',
    user: { id: 'alice', token: async () => 'token' },
    other: undefined,
    deployed: undefined,
    origin: undefined,
    requests: 1,
    maxP99: 1_000,
  };
  const checked = (run: Check['run'], { imitation, lacks }: { imitation?: Emulator; lacks?: Check['lacks'] } = {}) => {
    const check: Check = { name: 'x', proves: '', how: '', seconds: 0.2, run, ...(lacks && { lacks }) };
    return runCheck(check, new Session(target), { imitation, signal: new AbortController().signal });
  };
  const fails = () => Promise.reject(new CheckFailed('it is red'));

  test('reports the measurement', async () => {
    expect(await checked(async () => '12 ms')).toMatchObject({ outcome: 'passed', detail: '12 ms' });
  });

  test('reports why a check failed, even if the cause is a missing feature of the emulator', async () => {
    expect(await checked(fails)).toMatchObject({ outcome: 'failed', detail: 'it is red' });
    expect(await checked(fails, { lacks: { ministack: 'no' } })).toMatchObject({
      outcome: 'failed',
      detail: 'it is red',
    });
  });

  test('reports a check that cannot run, with the reason', async () => {
    const cannot = () => Promise.reject(new NotShown('no second user'));
    expect(await checked(cannot)).toMatchObject({ outcome: 'not_shown', detail: 'no second user' });
  });

  test('reports the failure of a check that the emulator does not support as not shown', async () => {
    const lacking = { imitation: 'ministack', lacks: { ministack: 'it does not throttle' } } as const;
    expect(await checked(fails, lacking)).toMatchObject({
      outcome: 'not_shown',
      detail: 'it does not throttle (here: it is red)',
    });
  });

  test('fails a check that passes although the emulator is declared not to support it', async () => {
    const lacking = { imitation: 'ministack', lacks: { ministack: 'it does not throttle' } } as const;
    expect(await checked(async () => '429', lacking)).toMatchObject({
      outcome: 'failed',
      detail: 'ministack now passes this check, so remove its exception ("it does not throttle"): 429',
    });
  });

  test('stops a check that takes too long', async () => {
    const result = await checked(() => new Promise(() => {}));
    expect(result).toMatchObject({ outcome: 'failed', detail: 'it took longer than 0.2 s' });
  });

  test('requires a second user or an origin only if a selected check needs one', () => {
    const session = new Session(target);
    expect(() => session.other).toThrow(NotShown);
    expect(() => session.origin).toThrow(NotShown);
    expect(new Session({ ...target, origin: 'https://a.example' }).origin).toBe('https://a.example');
  });
});

describe('the command', () => {
  const run = (args: readonly string[]) => runCommand('verify', args);
  const urls = ['--url', 'https://127.0.0.1:1', '--websocket-url', 'wss://127.0.0.1:1'];

  test('has --help', () => {
    expect(run(['--help'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Usage: npm run verify /) });
    expect(run(['--list', '--only', 'cors-401'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^cors-401\n.*\n {2}How: .*\n {2}Not shown without AWS: ministack/),
    });
  });

  test.each([
    [[], 'Specify what to verify'],
    [urls.slice(0, 2), 'Specify what to verify'],
    [urls, 'Specify a user'],
    [[...urls, '--only', 'cors-402'], 'There is no check "cors-402"'],
    [[...urls, '--requests', '0'], '--requests must be a whole number of 1 or more, not "0"'],
    [['--url', 'ftp://a', '--websocket-url', 'wss://b'], '--url must be a URL that begins with https: or http:'],
  ])('called with %j, reports missing or invalid arguments', (args, sentence) => {
    const { status, stdout, stderr } = run(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split('\n').at(-1)).toBe('For details, run "npm run verify -- --help".');
  });
});

test('percentiles use the nearest rank', () => {
  const samples = Array.from({ length: 100 }, (_, n) => 100 - n);
  expect(quantile(samples, 0.5)).toBe(50);
  expect(quantile(samples, 0.99)).toBe(99);
  expect(percentiles([3])).toBe('p50 3 ms, p99 3 ms');
});
