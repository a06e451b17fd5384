import { randomUUID } from 'node:crypto';
import { DeleteTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, inject } from 'vitest';
import { DEFAULT_USER_LIMITS } from '../../core/contract/user-limits.ts';
import { createTable } from '../../local/dynamodb/dynamodb-local.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';

/*
 * Runs in every file of function tests before its handlers are loaded: sets what CDK and Lambda would set, and makes a table that
 * the file has to itself.
 */

const endpoint = inject('dynamodbUrl');
/*
 * Each region is a database of its own. In a database that files share, DynamoDB Local searches the stream records of all earlier tables
 * with every write: it is 15 times as slow after 20,000 of them, even where their tables are deleted.
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
// Its stream makes DynamoDB Local's writes two to three times as expensive: stream.ts enables it where a test reads it.
await createTable(client, TableName, { ...inject('table'), StreamSpecification: undefined });
afterAll(async () => {
  // What earlier files have left behind would make the next ones slower.
  await client.send(new DeleteTableCommand({ TableName }));
  client.destroy();
});
