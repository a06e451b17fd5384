import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

/** Runs the command where the SDK of AWS finds no configuration of any kind. */
function run(args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/reschedule.ts', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      HOME: '/nowhere',
      AWS_CONFIG_FILE: '/nowhere',
      AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  });
  return { status, stdout, stderr };
}

test('explains itself', () => {
  expect(run(['--help'])).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^Usage: npm run reschedule /),
    stderr: '',
  });
});

test.each([
  [[], 'Say which environment: --env <name>.'],
  [['--env', 'dev', '--read-units', '0'], '--read-units must be a whole number of 1 or more, not "0".'],
  [['--env', 'dev', '--concurrency', 'many'], '--concurrency must be a whole number of 1 or more, not "many".'],
  [['--env', 'dev', '--go'], "Unknown option '--go'"],
  [
    ['--env', 'dev'],
    'Region is missing: set AWS_REGION, and AWS_PROFILE or other credentials, to those of rooms-dev-data.',
  ],
  [['--env', 'local', '--port', '1'], 'local stack is running'],
] as const)('called with %j, says what is missing or wrong', (args, sentence) => {
  const { status, stdout, stderr } = run(args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(sentence);
  expect(stderr.trim().split('\n').at(-1)).toBe('"npm run reschedule -- --help" says more.');
});
