import { parseArgs } from 'node:util';
import { UsageError } from '../tools/cli/usage-error.ts';
import { runCommand } from './operations/command.ts';
import { dynamodbClient, s3Client } from './operations/places.ts';
import { bucketSettings, expectedSettings, RestoredTable, type Setting } from './operations/restored.ts';
import { outputsOf } from './operations/stack.ts';

const HELP = `Usage: npm run prepare-restored -- --env <name> --table <name> [--bucket <name>] [--apply]

Checks the settings of a restored table that AWS does not restore: stream, time to live, point-in-time recovery, deletion protection
and tags. With --apply, adds missing settings. Then prints the settings with which the stacks use the table. You can repeat it.

  --env      the environment, such as prod
  --table    the restored table
  --bucket   a restored bucket, if the files are in another bucket than before
  --apply    add missing settings
  --help     print this

Exit codes: 0 ready; 1 settings are missing; 2 usage error.`;

async function prepare(settings: readonly Setting[], apply: boolean): Promise<number> {
  let missing = 0;
  for (const { name, isRight, apply: make } of settings) {
    let state = (await isRight()) ? 'right' : make ? 'missing' : 'wrong';
    if (state === 'missing' && apply) {
      await make?.();
      state = (await isRight()) ? 'added' : 'missing';
    }
    if (state === 'missing' || state === 'wrong') missing++;
    console.log(`  ${state.padEnd(8)} ${name}`);
    // The other settings can be checked only after this one is correct.
    if (state === 'wrong') break;
  }
  return missing;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      env: { type: 'string' },
      table: { type: 'string' },
      bucket: { type: 'string' },
      apply: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { env, table, bucket, apply } = values;
  if (env === undefined) throw new UsageError('Specify the environment: --env <name>.');
  if (table === undefined) throw new UsageError('Specify the table: --table <name>.');
  const stack = `rooms-${env}-data`;
  const inUse = (await outputsOf(`rooms-${env}-realtime`))('TableName');
  const wanted = await expectedSettings(stack);
  const restored = new RestoredTable(dynamodbClient(), table);
  const [, partition = 'aws'] = ((await restored.describe()).TableArn ?? '').split(':');

  console.log(`Table ${table}${table === inUse ? ', which is in use' : ''}:`);
  let missing = await prepare(restored.settings(wanted), apply);
  if (bucket !== undefined) {
    console.log(`Bucket ${bucket}:`);
    missing += await prepare(bucketSettings(s3Client(), bucket, partition, wanted), apply);
  }
  if (missing > 0) {
    console.log(apply ? 'Not ready.' : 'Not ready: add --apply.');
    return 1;
  }
  const { LatestStreamArn = '' } = await restored.describe();
  console.log(`Ready. Deploy ${env} with its usual settings, and:

  -c restoredTable=${LatestStreamArn}${bucket === undefined ? '' : ` -c restoredBucket=${bucket}`}
`);
  return 0;
}

await runCommand('prepare-restored', main);
