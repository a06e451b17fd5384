import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startVitest } from 'vitest/node';

const HELP = `Usage: npm run test:deploy -- [options]

Deploys the CDK app to an emulated AWS on this machine with "cdk bootstrap" and "cdk deploy --all -c env=dev". Tests the deployed
endpoints, deploys a change, and destroys all stacks. In a second account, tests recovery (docs/operate/recovery.md).

Needs Python 3.10 or later and access to the Python package index. If either is missing, all tests are skipped. Needs no AWS account.

Options:
  --keep   keep the stacks running at the end until Ctrl-C
  --help   print this help
`;

function options(): { keep?: boolean | undefined; help?: boolean | undefined } | string {
  try {
    return parseArgs({ options: { keep: { type: 'boolean' }, help: { type: 'boolean' } } }).values;
  } catch (error) {
    return error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error);
  }
}

const given = options();
if (typeof given === 'string') {
  console.error(`${given}; run "npm run test:deploy -- --help".`);
  process.exitCode = 2;
} else if (given.help) {
  process.stdout.write(HELP);
} else {
  if (given.keep) process.env.ROOMS_DEPLOY_KEEP = '1';
  const vitest = await startVitest('test', [], {
    config: fileURLToPath(new URL('vitest.config.ts', import.meta.url)),
    watch: false,
    // With --keep, the teardown waits for Ctrl-C.
    ...(given.keep && { teardownTimeout: 2 ** 31 - 1 }),
  });
  await vitest.close();
}
