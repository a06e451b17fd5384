import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { timeLimits } from '../../core/platform/client-settings.ts';
import { statusOf } from '../../core/platform/status-of.ts';

/*
 * Checks and closes connections of the WebSocket API with the operator's credentials.
 */

export type Connections = ApiGatewayManagementApiClient;

/**
 * Creates a client of the connection management API.
 *
 * @param endpoint the output `CallbackUrl` of the real-time stack
 */
export const connectionsClient = (endpoint: string): Connections =>
  new ApiGatewayManagementApiClient({ endpoint, ...timeLimits(3_000) });

/** Whether a connection is open. A closed connection stays closed, because connection IDs are never reused. */
export async function isGone(client: Connections, connection_id: string): Promise<boolean> {
  return (await statusAfter(client.send(new GetConnectionCommand({ ConnectionId: connection_id })))) === 'gone';
}

/** Closes a connection, unless it is closed already. */
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
