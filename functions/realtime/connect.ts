import { SUB_PROTOCOLS } from '../../core/contract/sub-protocols.ts';
import { count } from '../../core/platform/emf.ts';
import type { SocketEvent, SocketResult } from '../../core/realtime/socket-event.ts';
import { protocolOf } from '../../core/rules/protocol.ts';

interface ConnectEvent {
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly requestContext: SocketEvent['requestContext'];
}

/** Whether a client offers only versions of this API that the service does not support. */
function offersOnlyOtherVersions(offered: string): boolean {
  const protocols = offered.split(',').map((protocol) => protocol.trim());
  return (
    !SUB_PROTOCOLS.some((known) => protocols.includes(known)) &&
    protocols.some((protocol) => protocol.startsWith(API_NAME))
  );
}

/** The prefix of the sub-protocols of all versions. */
const API_NAME = 'rooms.';

/** Negotiates the sub-protocol. A browser disconnects if the response has none. Stores nothing, because a connection is stored when it joins a room. */
export const handler = async ({ headers = {}, requestContext }: ConnectEvent): Promise<SocketResult> => {
  const { connectionId: connection_id, requestId: api_request_id, authorizer } = requestContext;
  const offered = Object.entries(headers).find(([name]) => name.toLowerCase() === 'sec-websocket-protocol')?.[1];
  const line = { action: 'connect', api_request_id, connection_id, user: authorizer.user_id };
  if (offered !== undefined && offersOnlyOtherVersions(offered)) {
    console.info({ ...line, refused: 'sub-protocol' });
    return {
      statusCode: 400,
      body: JSON.stringify({ message: `The sub-protocol must be ${SUB_PROTOCOLS.join(' or ')}.` }),
    };
  }
  count('websocket', { ConnectionsOpened: 1 });
  console.info(line);
  return {
    statusCode: 200,
    ...(offered !== undefined && { headers: { 'Sec-WebSocket-Protocol': protocolOf(authorizer) } }),
  };
};
