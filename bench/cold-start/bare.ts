import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { roomKey } from '../../core/store/keys.ts';

/*
 * The least that can read a room: no check of who asks, none of what is asked, no log, no answer to an error.
 */

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
