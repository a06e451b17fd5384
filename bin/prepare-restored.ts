import { parseArgs } from 'node:util';
import { UsageError } from '../tools/cli/usage-error.ts';
import { runCommand } from './operations/command.ts';
import { dynamodbClient, s3Client } from './operations/places.ts';
import { bucketSettings, RestoredTable, type Setting, wantedOf } from './operations/restored.ts';
import { outputsOf } from './operations/stack.ts';

const HELP = `Usage: npm run prepare-restored -- --env <name> --table <name> [--bucket <name>] [--apply]

Checks whether a restored table has what AWS does not restore: stream, time to live, point-in-time recovery, deletion protection and
tags. With --apply, it adds what is missing. Then it prints the settings that point the stacks at the table. It may be run again.

  --env      the environment, such as prod
  --table    the restored table
  --bucket   a restored bucket, where the files are in another one than before
  --apply    add what is missing
  --help     print this

Exit codes: 0 ready; 1 something is missing; 2 the command was called wrongly.`;

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
    // The other settings cannot be checked yet.
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
  if (env === undefined) throw new UsageError('Say which environment: --env <name>.');
  if (table === undefined) throw new UsageError('Say which table: --table <name>.');
  const stack = `rooms-${env}-data`;
  const inUse = (await outputsOf(`rooms-${env}-realtime`))('TableName');
  const wanted = await wantedOf(stack);
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
  console.log(`Ready. Deploy with all settings that ${env} has, and:

  -c restoredTable=${LatestStreamArn}${bucket === undefined ? '' : ` -c restoredBucket=${bucket}`}
`);
  return 0;
}

await runCommand('prepare-restored', main);
