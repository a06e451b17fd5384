import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { DeleteObjectsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SQSClient } from '@aws-sdk/client-sqs';
import { CREDENTIALS, REGION } from './emulator.ts';

/** Clients of the services behind the API, as an operator of the account has them. */
export function operator(endpoint: string) {
  const config = { endpoint, region: REGION, credentials: CREDENTIALS };
  return {
    dynamodb: new DynamoDBClient(config),
    s3: new S3Client({ ...config, forcePathStyle: true }),
    sqs: new SQSClient(config),
    events: new EventBridgeClient(config),
    scheduler: new SchedulerClient(config),
  };
}
export type Operator = ReturnType<typeof operator>;

/** Deletes all objects of a bucket, and says how many there were. */
export async function emptyBucket(s3: S3Client, bucket: string): Promise<number> {
  let count = 0;
  for (;;) {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    if (Contents.length === 0) return count;
    count += Contents.length;
    const Objects = Contents.map(({ Key }) => ({ Key }));
    await s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }));
  }
}

/**
 * A URL that a stack gave out, as it can be reached here. The names of APIs are those of AWS, which no DNS knows for an emulator:
 * it serves them below a path of its own as well.
 */
export function reachable(url: string, endpoint: string): string {
  const { protocol, hostname, pathname } = new URL(url);
  const [api = ''] = hostname.split('.');
  const here = new URL(`/_aws/execute-api/${api}${pathname.replace(/\/$/, '')}`, endpoint).href;
  return protocol === 'wss:' ? here.replace(/^https/, 'wss') : here;
}
