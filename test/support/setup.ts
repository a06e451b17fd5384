import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, inject } from 'vitest';
import { createTable, startDynamoDb } from '../../local/dynamodb.ts';
import { CREDENTIALS } from '../../local/s3.ts';

/*
 * Runs in every file of function tests before its handlers are loaded: sets what CDK and Lambda would set, and makes a table in
 * a DynamoDB Local that the file has to itself: one that has served other files answers many times slower.
 */

const dynamodb = await startDynamoDb({ port: 0 });
afterAll(() => dynamodb.close());

Object.assign(process.env, {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
  AWS_ENDPOINT_URL_DYNAMODB: dynamodb.url,
  AWS_ENDPOINT_URL_S3: inject('s3Url'),
  TABLE_NAME: 'rooms',
  BUCKET_NAME: inject('bucketName'),
  MAX_UPLOAD_BYTES: '1000000',
  CURSOR_KEY: randomUUID(),
});

const client = new DynamoDBClient();
await createTable(client, process.env.TABLE_NAME ?? '', inject('table'));
client.destroy();
