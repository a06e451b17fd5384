import { randomUUID } from 'node:crypto';
import type { ActionName } from '../../core/contract/realtime.ts';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import type { SocketEvent } from '../../core/realtime/socket-event.ts';

/* The events with which API Gateway invokes functions of a WebSocket API. */

/** One connection of a user, as API Gateway describes it. */
export interface Socket {
  readonly connection_id: string;
  readonly user_id: string;
  /** In epoch seconds. */
  readonly token_expires_at: number;
  /** Undefined for connections from before the API had more than one protocol. */
  readonly protocol?: SubProtocol;
}

export const newSocket = (
  user_id: string,
  token_expires_at = Math.floor(Date.now() / 1_000) + 3_600,
  protocol?: SubProtocol,
): Socket => ({
  // API Gateway's connection IDs are base64 that ends with "=".
  connection_id: `${randomUUID().replaceAll('-', '').slice(0, 15)}=`,
  user_id,
  token_expires_at,
  ...(protocol && { protocol }),
});

export type RouteKey = ActionName | '$default' | '$connect' | '$disconnect';

/**
 * The event with which API Gateway invokes the function of a route. All values in the authorizer's context are strings.
 */
export function socketEvent(routeKey: RouteKey, socket: Socket, body?: string): SocketEvent {
  const now = new Date();
  return {
    requestContext: {
      routeKey,
      eventType: routeKey === '$connect' ? 'CONNECT' : routeKey === '$disconnect' ? 'DISCONNECT' : 'MESSAGE',
      messageId: randomUUID(),
      messageDirection: 'IN',
      extendedRequestId: randomUUID(),
      requestTime: now.toISOString(),
      requestTimeEpoch: now.getTime(),
      stage: 'v1',
      connectedAt: now.getTime(),
      requestId: randomUUID(),
      domainName: 'sockets.test.example',
      connectionId: socket.connection_id,
      apiId: 'test',
      authorizer: {
        principalId: socket.user_id,
        integrationLatency: 12,
        user_id: socket.user_id,
        token_expires_at: String(socket.token_expires_at),
        ...(socket.protocol && { protocol: socket.protocol }),
      },
    } as SocketEvent['requestContext'],
    ...(body !== undefined && { body }),
    isBase64Encoded: false,
  };
}
