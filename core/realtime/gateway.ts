import { setTimeout as sleep } from 'node:timers/promises';
import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { env } from '../env.ts';
import { backoffMs } from '../store/backoff.ts';

/*
 * The connection management endpoint of the WebSocket API: how a function reaches a client.
 */

/** A connection that has not taken a frame by then is left to itself, in milliseconds. */
const POST_TIMEOUT_MS = 3_000;
const POST_ATTEMPTS = 4;

let client: ApiGatewayManagementApiClient | undefined;

const gateway = (): ApiGatewayManagementApiClient => {
  client ??= new ApiGatewayManagementApiClient({
    endpoint: env('CALLBACK_URL'),
    // We try again ourselves: the SDK would slow all connections down together when one is throttled.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: 1_000,
      requestTimeout: POST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: 256 },
      httpsAgent: { maxSockets: 256 },
    },
  });
  return client;
};

/** `gone`: there is no such connection any more. `failed`: it, or the gateway, did not take the frame in time. */
export type Delivery = 'sent' | 'gone' | 'failed';

const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && '$metadata' in error
    ? (error.$metadata as { httpStatusCode?: number }).httpStatusCode
    : undefined;

/** Posts one frame, again where the gateway is throttled or failing. Never throws. */
export async function post(connection_id: string, frame: string): Promise<Delivery> {
  for (let attempt = 1; ; attempt++) {
    try {
      await gateway().send(new PostToConnectionCommand({ ConnectionId: connection_id, Data: Buffer.from(frame) }));
      return 'sent';
    } catch (error) {
      if (error instanceof GoneException) return 'gone';
      const status = statusOf(error);
      const passing = status === 429 || (status !== undefined && status >= 500);
      if (!passing || attempt === POST_ATTEMPTS) return 'failed';
      await sleep(backoffMs(attempt));
    }
  }
}

/** Closes a connection. Never throws: one that cannot be closed is gone, or will be when its token expires. */
export async function close(connection_id: string): Promise<void> {
  await gateway()
    .send(new DeleteConnectionCommand({ ConnectionId: connection_id }))
    .catch(() => undefined);
}
