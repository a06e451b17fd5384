import { SUB_PROTOCOL } from '../../core/contract/realtime.ts';
import { count } from '../../core/metrics/emf.ts';
import type { SocketEvent, SocketResult } from '../../core/realtime/action.ts';

interface ConnectEvent {
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly requestContext: SocketEvent['requestContext'];
}

/** Nothing is stored yet: a connection counts from its first join. A browser insists on one of the sub-protocols it offered. */
export const handler = async ({ headers = {}, requestContext }: ConnectEvent): Promise<SocketResult> => {
  const { connectionId: connection_id, requestId: api_request_id, authorizer } = requestContext;
  const offered = Object.entries(headers).find(([name]) => name.toLowerCase() === 'sec-websocket-protocol')?.[1];
  count('websocket', { ConnectionsOpened: 1 });
  console.info({ action: 'connect', api_request_id, connection_id, user: authorizer.user_id });
  return {
    statusCode: 200,
    ...(offered !== undefined && { headers: { 'Sec-WebSocket-Protocol': SUB_PROTOCOL } }),
  };
};
