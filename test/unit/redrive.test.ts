import { expect, test } from 'vitest';
import { runCommand } from '../support/run-command.ts';

const run = (args: readonly string[], variables?: Readonly<Record<string, string>>) =>
  runCommand('redrive', args, variables);

test('has --help', () => {
  expect(run(['--help'])).toEqual({ status: 0, stdout: expect.stringMatching(/^Usage: npm run redrive /), stderr: '' });
});

const whole = ['--env', 'dev', '--function', 'presence'];
test.each([
  [[], {}, 'Specify the environment: --env <name>.'],
  [
    ['--env', 'dev', '--function', 'connect'],
    {},
    'Specify the function: --function deliver-messages | room-changes | ',
  ],
  [[...whole, '--go', '--discard'], {}, 'Choose one of --go and --discard.'],
  [['--dry-run'], {}, "Unknown option '--dry-run'"],
  [
    whole,
    {},
    'Region is missing: set AWS_REGION and AWS_PROFILE, or other credentials, for the account of rooms-dev-realtime.',
  ],
  [
    whole,
    { AWS_REGION: 'eu-central-1' },
    'Could not load credentials from any providers: set AWS_REGION and AWS_PROFILE, ',
  ],
] as const)('called with %j and %j, reports missing or invalid arguments', (args, variables, sentence) => {
  const { status, stdout, stderr } = run(args, variables);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(sentence);
  expect(stderr.trim().split('\n').at(-1)).toBe('For details, run "npm run redrive -- --help".');
});
