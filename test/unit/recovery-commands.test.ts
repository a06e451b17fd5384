import { expect, test } from 'vitest';
import { findingKinds } from '../../bin/operations/findings.ts';
import { runCommand } from '../support/run-command.ts';

const COMMANDS = ['check', 'prepare-restored', 'restore-room', 'disconnect-all'] as const;

test.each(COMMANDS)('%s has --help', (command) => {
  const { status, stdout, stderr } = runCommand(command, ['--help']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(new RegExp(`^Usage: npm run ${command} -- --env <name>`));
  expect(stdout).toContain('Exit codes: 0 ');
  if (command === 'check') for (const kind of findingKinds) expect(stdout).toContain(`  ${kind}\n`);
});

test.each([
  ['check', [], 'Specify the environment: --env <name>.'],
  ['check', ['--env', 'dev', '--only', 'ghosts'], 'There is no finding "ghosts".'],
  ['check', ['--env', 'dev', '--concurrency', '0'], '--concurrency must be a whole number of 1 or more, not "0".'],
  ['check', ['--env', 'dev', '--apply'], "Unknown option '--apply'"],
  [
    'check',
    ['--env', 'dev'],
    'Region is missing: set AWS_REGION and AWS_PROFILE, or other credentials, for the account of ',
  ],
  ['prepare-restored', ['--env', 'dev'], 'Specify the table: --table <name>.'],
  ['restore-room', ['--env', 'dev', '--room', 'x'], 'Specify the restored table: --from-table <name>.'],
  ['restore-room', ['--env', 'dev', '--from-table', 'x'], 'Specify the room: --room <id>.'],
  [
    'restore-room',
    ['--env', 'dev', '--from-table', 'x', '--room', 'y', '--at', 'yesterday'],
    '--at must be a time such as 2026-03-01T10:00Z, not "yesterday".',
  ],
  ['disconnect-all', ['--env', 'dev'], 'Specify the table: --table <name>.'],
] as const)('%s, called with %j, reports missing or invalid arguments', (command, args, sentence) => {
  const { status, stdout, stderr } = runCommand(command, args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(sentence);
  expect(stderr.trim().split('\n').at(-1)).toBe(`For details, run "npm run ${command} -- --help".`);
});
