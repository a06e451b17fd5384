import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { env } from '../env.ts';

/**
 * The one DynamoDB client of a process: its connections outlive an invocation.
 * DynamoDB answers in single-digit milliseconds, so a request that takes a second is better sent again; three tries with
 * these bounds end well within a function's time-out of ten seconds.
 */
export const dynamodb = DynamoDBDocumentClient.from(
  new DynamoDBClient({
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000, throwOnRequestTimeout: true },
  }),
  { marshallOptions: { removeUndefinedValues: true } },
);

export const tableName = (): string => env('TABLE_NAME');
