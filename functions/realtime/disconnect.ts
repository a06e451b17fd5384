import { count } from '../../core/platform/emf.ts';
import { isRehearsal, primed } from '../../core/platform/prime.ts';
import { CONNECTION } from '../../core/realtime/rehearsal.ts';
import type { SocketEvent, SocketResult } from '../../core/realtime/socket-event.ts';
import { dropConnection, placesOfConnection } from '../../core/store/connections.ts';
import { dropSubscription } from '../../core/store/subscriptions.ts';

async function disconnect({ requestContext }: Pick<SocketEvent, 'requestContext'>): Promise<SocketResult> {
  const { connectionId: connection_id, authorizer } = requestContext;
  const now = new Date().toISOString();
  const { user_id } = authorizer;
  const { rooms, isSubscribed } = await placesOfConnection(connection_id);
  await Promise.all([
    ...rooms.map((room_id) => dropConnection({ room_id, connection_id, user_id, now })),
    isSubscribed && dropSubscription({ user_id, connection_id }),
  ]);
  count('websocket', { ConnectionsClosed: 1 });
  if (!isRehearsal())
    console.info({
      action: 'disconnect',
      api_request_id: requestContext.requestId,
      connection_id,
      user: authorizer.user_id,
      rooms: rooms.length,
    });
  return { statusCode: 200 };
}

export const handler = primed(disconnect, () => CONNECTION);
