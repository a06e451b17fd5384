import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { CLIENT_SETTINGS, withEndpoint } from '../aws/client-settings.ts';
import { env } from '../env.ts';

/**
 * The one DynamoDB client of a process: its connections outlive an invocation.
 * DynamoDB answers in single-digit milliseconds, so a request that takes a second is better sent again; three tries with
 * these bounds end well within a function's time-out of ten seconds.
 */
export const dynamodb = DynamoDBDocumentClient.from(
  withEndpoint(
    new DynamoDBClient({
      ...CLIENT_SETTINGS,
      // Our credentials do not say which account they are of, and no table of ours needs endpoint discovery.
      accountIdEndpointMode: 'disabled',
      endpointDiscoveryEnabled: false,
      maxAttempts: 3,
      requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000, throwOnRequestTimeout: true },
    }),
    'AWS_ENDPOINT_URL_DYNAMODB',
  ),
  { marshallOptions: { removeUndefinedValues: true } },
);

export const tableName = (): string => env('TABLE_NAME');
