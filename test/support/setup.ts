import { randomUUID } from 'node:crypto';
import { DeleteTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, inject } from 'vitest';
import { DEFAULT_USER_LIMITS } from '../../core/contract/user-limits.ts';
import { createTable } from '../../local/dynamodb/dynamodb-local.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';

/*
 * Runs before the handlers are loaded in each file of function tests. Sets the environment variables that CDK and
 * Lambda would set, and creates a table for this file.
 */

const endpoint = inject('dynamodbUrl');
/*
 * Each region is a separate database. In a shared one, each write makes DynamoDB Local search the stream records of all
 * earlier tables. With 20,000 of them, it is 15 times as slow, even after the tables are deleted.
 */
const region = `test-${randomUUID()}`;
const TableName = `rooms-${randomUUID()}`;

Object.assign(process.env, {
  AWS_REGION: region,
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
  AWS_ENDPOINT_URL_DYNAMODB: endpoint,
  AWS_ENDPOINT_URL_S3: inject('s3Url'),
  TABLE_NAME: TableName,
  BUCKET_NAME: inject('bucketName'),
  MAX_UPLOAD_BYTES: '1000000',
  USER_LIMITS: JSON.stringify(DEFAULT_USER_LIMITS),
  CURSOR_KEY: randomUUID(),
});

const client = new DynamoDBClient({ endpoint });
// Without a stream, DynamoDB Local's writes are two to three times as fast. stream.ts enables it if a test needs it.
await createTable(client, TableName, { ...inject('table'), StreamSpecification: undefined });
afterAll(async () => {
  // Remaining tables would slow down the next files.
  await client.send(new DeleteTableCommand({ TableName }));
  client.destroy();
});
