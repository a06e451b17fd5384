import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { abortable } from '../aws/abort.ts';
import { timeLimits } from '../aws/client-settings.ts';
import { statusOf } from '../aws/status-of.ts';
import { env } from '../env.ts';
import { pool } from './pool.ts';

/*
 * What API Gateway says about a connection that has been silent. Apart from gateway.ts, whose client is made for posting to
 * hundreds of connections.
 */

/** API Gateway answers within tens of milliseconds; a check that gets no answer is repeated later. */
const LIMIT_MS = 1_000;

/** Within the SDK's 50 sockets: a request that waits for one uses up its time limit. */
const run = pool(40);

let client: ApiGatewayManagementApiClient | undefined;

const gateway = (): ApiGatewayManagementApiClient => {
  client ??= abortable(new ApiGatewayManagementApiClient({ endpoint: env('CALLBACK_URL'), ...timeLimits(LIMIT_MS) }));
  return client;
};

/** `unknown`: API Gateway could not say. */
export type ConnectionStatus = 'open' | 'gone' | 'unknown';

/** Returns whether API Gateway has the connection. Never throws. */
export async function connectionStatus(connection_id: string): Promise<ConnectionStatus> {
  try {
    await run(() => gateway().send(new GetConnectionCommand({ ConnectionId: connection_id })));
    return 'open';
  } catch (error) {
    return statusOf(error) === 410 ? 'gone' : failed('get_connection', connection_id, error, 'unknown');
  }
}

/** Closes a connection. Returns false where it may still be open. Never throws. */
export async function closeConnection(connection_id: string): Promise<boolean> {
  try {
    await run(() => gateway().send(new DeleteConnectionCommand({ ConnectionId: connection_id })));
    return true;
  } catch (error) {
    return statusOf(error) === 410 || failed('close', connection_id, error, false);
  }
}

function failed<T>(action: string, connection_id: string, error: unknown, outcome: T): T {
  console.error({ action, connection_id, error: error instanceof Error ? error.message : error });
  return outcome;
}
