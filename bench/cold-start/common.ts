import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import middy from '@middy/core';
import type { APIGatewayProxyEventV2WithJWTAuthorizer, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { z } from 'zod';
import { type Key, participantKey, roomKey } from '../../core/store/keys.ts';

/*
 * `GET /participant/room/{room_id}` with common libraries: middy, zod and Powertools. Like our function, it validates
 * the request, reads room and participant, checks permissions, logs a line, and returns the same envelope.
 */

const logger = new Logger({ serviceName: 'rooms' });
const dynamodb = DynamoDBDocumentClient.from(new DynamoDBClient());

const request = z.object({
  caller: z.string().regex(/^[A-Za-z0-9._:@|-]{1,128}$/),
  room_id: z.uuid(),
});

class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const answer = (statusCode: number, body: object): APIGatewayProxyStructuredResultV2 => ({
  statusCode,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: JSON.stringify({ ...body, sent_at: new Date().toISOString() }),
});

async function get({ PK, SK }: Key): Promise<Record<string, unknown> | undefined> {
  const command = new GetCommand({ TableName: process.env.TABLE_NAME, Key: { PK, SK }, ConsistentRead: true });
  return (await dynamodb.send(command)).Item;
}

export const handler = middy<APIGatewayProxyEventV2WithJWTAuthorizer, APIGatewayProxyStructuredResultV2>()
  .use(injectLambdaContext(logger))
  .onError((failed) => {
    const { error } = failed;
    logger.error('request failed', { error });
    failed.response =
      error instanceof z.ZodError
        ? answer(400, { message: 'The request is not valid.', errors: error.issues })
        : answer(error instanceof HttpError ? error.status : 500, { message: error?.message });
  })
  .handler(async ({ requestContext, pathParameters }) => {
    const { caller, room_id } = request.parse({
      caller: requestContext.authorizer.jwt.claims.sub,
      room_id: pathParameters?.room_id,
    });
    const [room, participant] = await Promise.all([get(roomKey(room_id)), get(participantKey(room_id, caller))]);
    if (!room) throw new HttpError(404, 'There is no such room.');
    if (!participant) throw new HttpError(403, 'You are not a participant of this room.');
    logger.info('request', { operation: 'getRoom', user: caller, room_id });
    const { PK: _, SK: __, admins, ...shown } = room;
    const is_admin = admins instanceof Set && admins.has(caller);
    return answer(200, { data: { ...shown, is_admin, archive_room: participant.archive_room ?? false } });
  });
