import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { timeLimits } from '../../core/platform/client-settings.ts';
import { connectionsClient } from './connections.ts';
import type { Places } from './inspect.ts';
import { outputsOf } from './stack.ts';

/*
 * Finds the table, bucket, schedule group and WebSocket API of a deployed environment.
 */

/** A page of the table has up to 1 MB. */
const dynamodbLimits = timeLimits(10_000);
const limits = timeLimits(5_000);

/** Clients for DynamoDB and S3 with the credentials of the operator. */
export const dynamodbClient = (): DynamoDBDocumentClient =>
  DynamoDBDocumentClient.from(new DynamoDBClient(dynamodbLimits), {
    marshallOptions: { removeUndefinedValues: true },
  });
export const s3Client = (): S3Client =>
  new S3Client({ ...limits, forcePathStyle: process.env.AWS_ENDPOINT_URL !== undefined });

/**
 * Returns the places of an environment, and sets the variable `TABLE_NAME`, by which code that is shared with
 * functions finds the table.
 *
 * @throws UsageError if the stacks do not exist, or are of an earlier release
 */
export async function placesOf(env: string): Promise<Places> {
  const [data, realtime] = await Promise.all([outputsOf(`rooms-${env}-data`), outputsOf(`rooms-${env}-realtime`)]);
  const table = realtime('TableName');
  process.env.TABLE_NAME = table;
  return {
    schedules: {
      dynamodb: dynamodbClient(),
      scheduler: new SchedulerClient(limits),
      table,
      settings: {
        group: data('ScheduleGroupName'),
        functionArn: realtime('AnnounceFunctionArn'),
        roleArn: realtime('ScheduleRoleArn'),
      },
    },
    objects: { s3: s3Client(), bucket: realtime('BucketName') },
    connections: connectionsClient(process.env.CALLBACK_URL ?? realtime('CallbackUrl')),
  };
}
