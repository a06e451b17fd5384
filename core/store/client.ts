import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { abortable } from '../platform/abort.ts';
import { CLIENT_SETTINGS, timeLimits, withEndpoint } from '../platform/client-settings.ts';
import { env } from '../platform/env.ts';
import { rehearsable } from '../platform/prime.ts';
import { rehearsedAnswer } from './rehearsal.ts';

/** The DynamoDB client of the process: its connections outlive an invocation. DynamoDB answers in single-digit milliseconds. */
export const dynamodb = DynamoDBDocumentClient.from(
  withEndpoint(
    rehearsable(
      abortable(
        new DynamoDBClient({
          ...CLIENT_SETTINGS,
          ...timeLimits(2_000),
          // Our credentials contain no account, and our table needs no endpoint discovery.
          accountIdEndpointMode: 'disabled',
          endpointDiscoveryEnabled: false,
        }),
      ),
      rehearsedAnswer,
    ),
    'AWS_ENDPOINT_URL_DYNAMODB',
  ),
  { marshallOptions: { removeUndefinedValues: true } },
);

export const tableName = (): string => env('TABLE_NAME');
