import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { roomKey } from '../../core/store/keys.ts';

/* The minimal function that reads a room, without authorization, validation, logging or error handling. */

const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient());

export const handler = async ({
  pathParameters,
}: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> => {
  const { Item } = await dynamodb.send(
    new GetCommand({
      TableName: process.env.TABLE_NAME,
      Key: roomKey(pathParameters?.room_id ?? ''),
      ConsistentRead: true,
    }),
  );
  return { statusCode: Item ? 200 : 404, body: JSON.stringify(Item) };
};
