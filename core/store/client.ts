import { createDynamoDb } from '../aws/dynamodb.ts';
import { env } from '../env.ts';

/**
 * The one DynamoDB client of a process: its connections outlive an invocation.
 * DynamoDB answers in single-digit milliseconds, so a request that takes a second is better sent again; three tries with
 * these bounds end well within a function's time-out of ten seconds.
 */
export const dynamodb = createDynamoDb({ connectionTimeout: 1_000, requestTimeout: 2_000 });

export const tableName = (): string => env('TABLE_NAME');
