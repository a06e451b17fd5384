import type { RoomEvent } from '../contract/realtime.ts';
import { epochSeconds } from '../rules/time.ts';
import { connectionsOf, dropConnection } from '../store/connections.ts';
import type { ConnectionItem } from '../store/items.ts';
import { close, post } from './gateway.ts';
import { forEachBounded } from './pool.ts';

/** Connections that are posted to at the same time: the knee of the curve that `npm run bench:fanout` draws. */
const BOUND = 100;

export interface Broadcast {
  sent: number;
  gone: number;
  failed: number;
}

/** Gives up a connection that is gone, or may no longer listen. */
const drop = ({ room_id, connection_id, participant_id }: ConnectionItem, now: string): Promise<void> =>
  dropConnection({ room_id, connection_id, user_id: participant_id, now });

async function deliver(connection: ConnectionItem, frames: readonly string[], now: string, counts: Broadcast) {
  if (connection.token_expires_at <= epochSeconds(now)) {
    await Promise.all([drop(connection, now), close(connection.connection_id)]);
    return;
  }
  for (const frame of frames) {
    const delivery = await post(connection.connection_id, frame);
    counts[delivery]++;
    if (delivery === 'sent') continue;
    if (delivery === 'gone') await drop(connection, now);
    // A frame that is lost must not be followed by others: the client sees the closed socket, comes back, and catches up.
    else await Promise.all([drop(connection, now), close(connection.connection_id)]);
    return;
  }
}

/**
 * Sends events to every connection that has joined a room: to each in the given order, to all in parallel, within a bound.
 * A connection that is slow, gone, or whose token has expired costs the others nothing.
 */
export async function broadcast(room_id: string, events: readonly RoomEvent[]): Promise<Broadcast> {
  const counts: Broadcast = { sent: 0, gone: 0, failed: 0 };
  if (events.length === 0) return counts;
  const frames = events.map((event) => JSON.stringify(event));
  const now = new Date().toISOString();
  await forEachBounded(connectionsOf(room_id), BOUND, (connection) => deliver(connection, frames, now, counts));
  return counts;
}

/** Closes every connection that has joined a room. What is known of them goes when they disconnect. */
export const closeRoom = (room_id: string): Promise<void> =>
  forEachBounded(connectionsOf(room_id), BOUND, ({ connection_id }) => close(connection_id));
