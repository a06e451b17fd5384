import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startDynamoDb } from '../../local/dynamodb/dynamodb-local.ts';
import { startS3 } from '../../local/s3/s3.ts';
import { dataTemplate } from '../fixtures/data-template.ts';

const BUCKET = 'rooms-files';

declare module 'vitest' {
  interface ProvidedContext {
    dynamodbUrl: string;
    s3Url: string;
    bucketName: string;
    table: ReturnType<typeof dataTemplate>['table'];
  }
}

/** Starts DynamoDB Local and S3 once for all test files. Each file has its own database: see setup.ts. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { table, bucket } = dataTemplate();
  const directory = await mkdtemp(join(tmpdir(), 'rooms-s3-'));
  const [s3, dynamodb] = await Promise.all([
    startS3({ port: 0, directory, buckets: [{ name: BUCKET, properties: bucket }] }),
    startDynamoDb({ port: 0, databasePerRegion: true }),
  ]);
  project.provide('dynamodbUrl', dynamodb.url);
  project.provide('s3Url', s3.url);
  project.provide('bucketName', BUCKET);
  project.provide('table', table);
  return async () => {
    await Promise.all([s3.close(), dynamodb.close()]);
    await rm(directory, { recursive: true });
  };
}
