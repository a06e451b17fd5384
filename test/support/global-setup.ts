import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startS3 } from '../../local/s3.ts';
import { dataTemplate } from './data-template.ts';

const BUCKET = 'rooms-files';

declare module 'vitest' {
  interface ProvidedContext {
    s3Url: string;
    bucketName: string;
    table: ReturnType<typeof dataTemplate>['table'];
  }
}

/** S3, once for all test files. Each has a DynamoDB Local of its own: see setup.ts. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { table, bucket } = dataTemplate();
  const directory = await mkdtemp(join(tmpdir(), 'rooms-s3-'));
  // Port 0: any that is free.
  const s3 = await startS3({ port: 0, directory, buckets: [{ name: BUCKET, properties: bucket }] });
  project.provide('s3Url', s3.url);
  project.provide('bucketName', BUCKET);
  project.provide('table', table);
  return async () => {
    await s3.close();
    await rm(directory, { recursive: true });
  };
}
