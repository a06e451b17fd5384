import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { timeLimits } from '../../core/aws/client-settings.ts';
import { statusOf } from '../../core/aws/status-of.ts';

/*
 * The connections of the WebSocket API, as API Gateway has them. Functions ask with their own credentials; these are the operator's.
 */

export type Connections = ApiGatewayManagementApiClient;

/** @param endpoint the output `CallbackUrl` of the real-time stack */
export const connectionsClient = (endpoint: string): Connections =>
  new ApiGatewayManagementApiClient({ endpoint, ...timeLimits(3_000) });

/** Connection IDs are never used again, so a connection that is gone stays gone. */
export async function isGone(client: Connections, connection_id: string): Promise<boolean> {
  return (await statusAfter(client.send(new GetConnectionCommand({ ConnectionId: connection_id })))) === 'gone';
}

/** Closes a connection, unless it is gone already. */
export async function closeConnection(client: Connections, connection_id: string): Promise<void> {
  await statusAfter(client.send(new DeleteConnectionCommand({ ConnectionId: connection_id })));
}

async function statusAfter(request: Promise<unknown>): Promise<'open' | 'gone'> {
  try {
    await request;
    return 'open';
  } catch (error) {
    if (statusOf(error) === 410) return 'gone';
    throw error;
  }
}
