import { randomUUID } from 'node:crypto';
import type { ActionName } from '../../core/contract/realtime.ts';
import type { SubProtocol } from '../../core/contract/sub-protocols.ts';
import type { SocketEvent } from '../../core/realtime/socket-event.ts';

/* The events of a WebSocket API, as API Gateway calls functions with them. */

/** One connection of a user, as API Gateway knows it. */
export interface Socket {
  readonly connection_id: string;
  readonly user_id: string;
  /** In epoch seconds. */
  readonly token_expires_at: number;
  /** Default: none, as of connections from before there was more than one. */
  readonly protocol?: SubProtocol;
}

export const newSocket = (
  user_id: string,
  token_expires_at = Math.floor(Date.now() / 1_000) + 3_600,
  protocol?: SubProtocol,
): Socket => ({
  // As API Gateway's own: base64 that ends in one "=".
  connection_id: `${randomUUID().replaceAll('-', '').slice(0, 15)}=`,
  user_id,
  token_expires_at,
  ...(protocol && { protocol }),
});

export type RouteKey = ActionName | '$default' | '$connect' | '$disconnect';

/** The event that API Gateway would call a route's function with. Everything in the authorizer's context is text. */
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
