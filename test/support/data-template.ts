import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as v from 'valibot';
import { DataStack } from '../../lib/data-stack.ts';
import { chosenEnvironment } from '../../lib/environments.ts';
import { tableProperties } from '../../local/dynamodb/dynamodb-local.ts';
import { bucketProperties } from '../../local/s3/s3.ts';

const context: Readonly<Record<string, string>> = { env: 'local', issuer: 'http://127.0.0.1' };

/** Returns the table and the bucket as the data stack declares them, so that no test repeats their settings. */
export function dataTemplate() {
  const outdir = mkdtempSync(join(tmpdir(), 'rooms-data-'));
  try {
    const environment = chosenEnvironment(context, ['local']);
    const stack = new DataStack(new App({ outdir }), 'data', { environment });
    const template = Template.fromStack(stack);
    const properties = (type: string): unknown => Object.values(template.findResources(type))[0]?.Properties;
    return {
      table: v.parse(tableProperties, properties('AWS::DynamoDB::Table')),
      bucket: v.parse(bucketProperties, properties('AWS::S3::Bucket')),
    };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
