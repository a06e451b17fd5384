import { expect, test } from 'vitest';
import { runCommand } from '../support/run-command.ts';

const run = (args: readonly string[]) => runCommand('reschedule', args);

test('has --help', () => {
  expect(run(['--help'])).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^Usage: npm run reschedule /),
    stderr: '',
  });
});

test.each([
  [[], 'Specify the environment: --env <name>.'],
  [['--env', 'dev', '--read-units', '0'], '--read-units must be a whole number of 1 or more, not "0".'],
  [['--env', 'dev', '--concurrency', 'many'], '--concurrency must be a whole number of 1 or more, not "many".'],
  [['--env', 'dev', '--go'], "Unknown option '--go'"],
  [
    ['--env', 'dev'],
    'Region is missing: set AWS_REGION and AWS_PROFILE, or other credentials, for the account of rooms-dev-data.',
  ],
  [['--env', 'local', '--port', '1'], 'local stack is running'],
] as const)('called with %j, reports missing or invalid arguments', (args, sentence) => {
  const { status, stdout, stderr } = run(args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(sentence);
  expect(stderr.trim().split('\n').at(-1)).toBe('For details, run "npm run reschedule -- --help".');
});
