import { setTimeout as sleep } from 'node:timers/promises';
import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { statusOf } from '../aws/status-of.ts';
import { env } from '../env.ts';
import { backoffMs } from '../store/backoff.ts';

/*
 * The connection management endpoint of the WebSocket API: how a function reaches a client.
 */

/**
 * A connection that has not taken a frame by then is given up, in milliseconds. It holds nobody up while others are posted
 * to, but the next batch waits for it, this once.
 */
const POST_TIMEOUT_MS = 3_000;
const CLOSE_TIMEOUT_MS = 1_000;
const POST_ATTEMPTS = 4;
/**
 * Being throttled is no fault of the connection: all posts of an account share a quota, which a few large rooms can use up for a
 * second or two. These tries wait two seconds, as a rule.
 */
const THROTTLED_ATTEMPTS = 12;
/** What the SDK's `requestTimeout` fails with; `connectionTimeout` and closed sockets have other codes, or none. */
const NO_ANSWER = 'ETIMEDOUT';
/** Sockets to the gateway: more than are ever posted to at the same time, so that none waits for another. */
const MAX_SOCKETS = 256;

let client: ApiGatewayManagementApiClient | undefined;

/** The one client of a process, made when it is first needed. */
export const gateway = (): ApiGatewayManagementApiClient => {
  client ??= new ApiGatewayManagementApiClient({
    endpoint: env('CALLBACK_URL'),
    // We try again ourselves: the SDK would slow all connections down together when one is throttled.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: 1_000,
      requestTimeout: POST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
    },
  });
  return client;
};

/** `gone`: there is no such connection any more. `failed`: it, or the gateway, did not take the frame in time. */
export type Delivery = 'sent' | 'gone' | 'failed';

/**
 * Whether another try may fare better. Without a status, it is the network that failed: where a function has been asleep, it
 * finds the sockets that it had to the gateway closed; where it has just started, making a hundred takes its time. But who
 * had the frame, and let us wait for an answer, gets no second chance to.
 */
function isPassing(error: unknown): boolean {
  if (error instanceof Error && 'code' in error && error.code === NO_ANSWER) return false;
  const status = statusOf(error);
  return status === undefined || status === 429 || status >= 500;
}

/** Posts one frame, again where the gateway is throttled or failing. Never throws. */
export async function post(connection_id: string, frame: string): Promise<Delivery> {
  for (let attempt = 1; ; attempt++) {
    try {
      await gateway().send(new PostToConnectionCommand({ ConnectionId: connection_id, Data: Buffer.from(frame) }));
      return 'sent';
    } catch (error) {
      if (error instanceof GoneException) return 'gone';
      const attempts = statusOf(error) === 429 ? THROTTLED_ATTEMPTS : POST_ATTEMPTS;
      if (!isPassing(error) || attempt >= attempts) {
        console.error({
          action: 'post',
          connection_id,
          attempt,
          error: error instanceof Error ? error.message : error,
        });
        return 'failed';
      }
      await sleep(backoffMs(attempt));
    }
  }
}

/** Closes a connection. Never throws: one that cannot be closed is gone, or will be when its token expires. */
export async function close(connection_id: string): Promise<void> {
  await gateway()
    .send(new DeleteConnectionCommand({ ConnectionId: connection_id }), { requestTimeout: CLOSE_TIMEOUT_MS })
    .catch(() => undefined);
}
