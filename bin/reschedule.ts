import { parseArgs } from 'node:util';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { GetFunctionConfigurationCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { timeLimits } from '../core/platform/client-settings.ts';
import type { ScheduleSettings } from '../core/realtime/schedule.ts';
import { chooseStack } from '../local/cli/endpoints.ts';
import { ACCOUNT, REGION } from '../local/cloudformation/template.ts';
import { CREDENTIALS } from '../local/s3/s3.ts';
import { summaryOf } from '../tools/cli/error-text.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { numberOption, runCommand } from './operations/command.ts';
import { MAX_FAILURES, type Progress, reschedule, type ScheduleTarget } from './operations/schedules.ts';
import { outputsOf } from './operations/stack.ts';

const HELP = `Usage: npm run reschedule -- --env <name> [--apply] [options]

Recreates the schedules that announce starts and ends of rooms from the table. Without --apply, only reports missing and outdated
schedules. You can run it at any time and repeat it: it writes only missing and outdated schedules.

  --env           the environment, such as prod; "local" is the running local stack
  --apply         create and update schedules
  --missed        also announce the starts and ends of this many past minutes at once, in case their schedules were missing.
                  Repeated announcements have no effect (default: 0)
  --from          cursor from an earlier run, to continue it
  --read-units    maximum read units per second (default: 1000, which is 8 MB)
  --concurrency   number of rooms to process in parallel (default: 10)
  --port          port of the local stack, if several are running
  --state-dir     state directory of the local stack, if it was started with one
  --help          print this

It reads the whole table. A table of 50 GB takes about 2 hours with the defaults, and 6.5 million read request units. Ctrl-C ends the
run after the current page and prints a cursor. Exits with 1 if it was not finished, or if schedules of a room could not be written.`;

/** A page of the table has up to 1 MB. */
const dynamodbLimits = timeLimits(10_000);
const schedulerLimits = timeLimits(3_000);

async function targetOf(
  env: string,
  port: number | undefined,
  stateDirectory: string | undefined,
): Promise<ScheduleTarget> {
  if (env === 'local') return localTarget(port, stateDirectory);
  const [data, realtime] = [await outputsOf(`rooms-${env}-data`), await outputsOf(`rooms-${env}-realtime`)];
  return {
    dynamodb: DynamoDBDocumentClient.from(new DynamoDBClient(dynamodbLimits)),
    scheduler: new SchedulerClient(schedulerLimits),
    // Release 0.1.0 has no output for the table in use, because it always uses its own table.
    table: (realtime.has('TableName') ? realtime : data)('TableName'),
    settings: realtime.has('AnnounceFunctionArn')
      ? {
          group: data('ScheduleGroupName'),
          functionArn: realtime('AnnounceFunctionArn'),
          roleArn: realtime('ScheduleRoleArn'),
        }
      : await settingsOf(realtime('RoomChangesFunctionName')),
  };
}

const scheduleVariables = v.object({
  SCHEDULE_GROUP: v.string(),
  ANNOUNCE_FUNCTION_ARN: v.string(),
  SCHEDULE_ROLE_ARN: v.string(),
});

/**
 * Reads the settings from a deployed function. After a rollback to 0.1.0, the stacks have no outputs for
 * them.
 */
async function settingsOf(functionName: string): Promise<ScheduleSettings> {
  const { Environment } = await new LambdaClient().send(
    new GetFunctionConfigurationCommand({ FunctionName: functionName }),
  );
  const { SCHEDULE_GROUP, ANNOUNCE_FUNCTION_ARN, SCHEDULE_ROLE_ARN } = v.parse(
    scheduleVariables,
    Environment?.Variables,
  );
  return { group: SCHEDULE_GROUP, functionArn: ANNOUNCE_FUNCTION_ARN, roleArn: SCHEDULE_ROLE_ARN };
}

/** Returns the settings of the local stack, which has no CloudFormation. Its names are derived from the templates. */
async function localTarget(port: number | undefined, stateDirectory: string | undefined): Promise<ScheduleTarget> {
  const stack = await chooseStack(stateDirectory, port);
  if (!stack) throw new UsageError('No local stack is running. Start one with "npm start".');
  if (!stack.dynamodb || !stack.aws)
    throw new UsageError('The local stack was started by an earlier release. Restart it.');
  const common = { region: REGION, credentials: CREDENTIALS };
  return {
    dynamodb: DynamoDBDocumentClient.from(
      new DynamoDBClient({ ...dynamodbLimits, ...common, endpoint: stack.dynamodb }),
    ),
    scheduler: new SchedulerClient({ ...schedulerLimits, ...common, endpoint: stack.aws }),
    table: 'rooms-local-data-RoomsTable',
    settings: {
      group: 'rooms-local-schedules',
      functionArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:rooms-local-announce`,
      roleArn: `arn:aws:iam::${ACCOUNT}:role/rooms-local-schedules-${REGION}`,
    },
  };
}

const numbers = new Intl.NumberFormat('en-US');
const summary = ({ items, rooms, current, missing, outdated, failed }: Progress, apply: boolean): string =>
  [
    `${numbers.format(items)} items read`,
    `${numbers.format(rooms)} rooms with a future start or end`,
    `schedules: ${numbers.format(current)} right`,
    `${numbers.format(missing)} ${apply ? 'created' : 'missing'}`,
    `${numbers.format(outdated)} ${apply ? 'updated' : 'outdated'}`,
    `${numbers.format(failed)} rooms failed`,
  ].join(', ');

/** Interval between progress reports, in milliseconds. */
const PROGRESS_MS = 2_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      env: { type: 'string' },
      apply: { type: 'boolean', default: false },
      from: { type: 'string' },
      missed: { type: 'string', default: '0' },
      'read-units': { type: 'string', default: '1000' },
      concurrency: { type: 'string', default: '10' },
      port: { type: 'string' },
      'state-dir': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { env, apply, from, port } = values;
  if (env === undefined) throw new UsageError('Specify the environment: --env <name>.');
  const readUnits = numberOption('read-units', values['read-units']);
  const missedMinutes = values.missed === '0' ? 0 : numberOption('missed', values.missed);
  const concurrency = numberOption('concurrency', values.concurrency);
  const target = await targetOf(env, port === undefined ? undefined : numberOption('port', port), values['state-dir']);

  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  process.once('SIGTERM', () => interrupted.abort());
  let cursor = from;
  let printed = performance.now();
  const goOn = () =>
    `Continue with: npm run reschedule -- --env ${env}${apply ? ' --apply' : ''}${missedMinutes > 0 ? ` --missed ${missedMinutes}` : ''}${cursor ? ` --from ${cursor}` : ''}`;
  try {
    const progress = await reschedule(target, {
      apply,
      readUnits,
      concurrency,
      from,
      missedMinutes,
      signal: interrupted.signal,
      onProgress(now) {
        cursor = now.cursor;
        if (performance.now() - printed < PROGRESS_MS) return;
        printed = performance.now();
        console.error(summary(now, apply));
      },
      onFailure(room_id, error) {
        console.error(`${room_id}: ${summaryOf(error)}`);
      },
    });
    console.log(`${summary(progress, apply)}.`);
    if (progress.failed >= MAX_FAILURES) console.error('Too many rooms failed. Fix the cause first.');
    if (!progress.finished || progress.failed > 0) {
      console.error(goOn());
      return 1;
    }
    if (!apply && progress.missing + progress.outdated > 0) console.log('Nothing was written: add --apply.');
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) console.error(goOn());
    throw error;
  }
}

await runCommand('reschedule', main);
