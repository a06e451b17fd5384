import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startDynamoDb } from '../../local/dynamodb.ts';
import { startS3 } from '../../local/s3.ts';
import { dataTemplate } from './data-template.ts';

const BUCKET = 'rooms-files';

declare module 'vitest' {
  interface ProvidedContext {
    dynamodbUrls: readonly string[];
    s3Url: string;
    bucketName: string;
    table: ReturnType<typeof dataTemplate>['table'];
  }
}

/** How many DynamoDB Locals there are: one for each of the two workers that run at a time on a machine with two cores. */
const DATABASES = 2;

/** DynamoDB Local and S3, once for all test files. Each file has a table of its own: see setup.ts. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { table, bucket } = dataTemplate();
  const directory = await mkdtemp(join(tmpdir(), 'rooms-s3-'));
  const [s3, ...databases] = await Promise.all([
    startS3({ port: 0, directory, buckets: [{ name: BUCKET, properties: bucket }] }),
    ...Array.from({ length: DATABASES }, () => startDynamoDb({ port: 0 })),
  ]);
  project.provide(
    'dynamodbUrls',
    databases.map(({ url }) => url),
  );
  project.provide('s3Url', s3.url);
  project.provide('bucketName', BUCKET);
  project.provide('table', table);
  return async () => {
    await Promise.all([s3.close(), ...databases.map(({ close }) => close())]);
    await rm(directory, { recursive: true });
  };
}
