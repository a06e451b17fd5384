import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startVitest } from 'vitest/node';

const HELP = `Usage: npm run test:deploy -- [options]

Deploys the CDK app to an emulated AWS on this machine, as "cdk bootstrap" and "cdk deploy --all -c env=dev" do it, tests what
was deployed through its own endpoints, deploys a change, and destroys it all. Beside it, in an account of its own, it practises
recovery (docs/operate/recovery.md). Needs Python 3.10 or later and the Python package
index; where either is missing, all tests are skipped. No AWS account is needed, and none is touched.

Options:
  --keep   leave it running at the end, until Ctrl-C, for a look (nothing is destroyed)
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
  console.error(`${given}; "npm run test:deploy -- --help" says what there is.`);
  process.exitCode = 2;
} else if (given.help) {
  process.stdout.write(HELP);
} else {
  if (given.keep) process.env.ROOMS_DEPLOY_KEEP = '1';
  const vitest = await startVitest('test', [], {
    config: fileURLToPath(new URL('vitest.config.ts', import.meta.url)),
    watch: false,
    // What is kept is closed by hand.
    ...(given.keep && { teardownTimeout: 2 ** 31 - 1 }),
  });
  await vitest.close();
}
