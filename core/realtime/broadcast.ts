import type { RoomEvent } from '../contract/realtime.ts';
import { count } from '../metrics/emf.ts';
import { epochSeconds } from '../rules/time.ts';
import { connectionsOf, dropConnection } from '../store/connections.ts';
import type { ConnectionItem } from '../store/items.ts';
import { close, post } from './gateway.ts';
import { forEachBounded } from './pool.ts';

/** Connections that are posted to at the same time: the knee of the curve that `npm run bench:fanout` draws. */
export const CONNECTIONS_AT_ONCE = 100;

export interface Broadcast {
  /** Frames that connections took. */
  sent: number;
  /** Connections that are gone. */
  gone: number;
  /** Frames, each the first that a connection did not take. */
  failed: number;
  /** Connections that took at least one frame. */
  receivers: number;
}

/**
 * Gives up a connection that is gone, or may no longer listen. That this fails must not have the batch tried again, which
 * would send everything to everybody once more: what is left of the connection is found at the next broadcast.
 */
async function drop({ room_id, connection_id, participant_id }: ConnectionItem, now: string): Promise<void> {
  try {
    await dropConnection({ room_id, connection_id, user_id: participant_id, now });
  } catch (error) {
    console.error({ action: 'drop', room_id, connection_id, error: error instanceof Error ? error.message : error });
  }
}

async function deliver(connection: ConnectionItem, frames: readonly string[], now: string, counts: Broadcast) {
  const giveUp = () => Promise.all([drop(connection, now), close(connection.connection_id)]);
  if (connection.token_expires_at <= epochSeconds(now)) return void (await giveUp());
  for (const frame of frames) {
    const delivery = await post(connection.connection_id, frame);
    counts[delivery]++;
    if (delivery === 'sent' && frame === frames[0]) counts.receivers++;
    if (delivery === 'gone') return drop(connection, now);
    // A frame that is lost must not be followed by others: the client sees the closed socket, comes back, and catches up.
    if (delivery === 'failed') return void (await giveUp());
  }
}

/**
 * Sends events to every connection that has joined a room: to each in the given order, to all in parallel, within a bound.
 * A connection that is slow, gone, or whose token has expired costs the others nothing.
 */
export async function broadcast(
  room_id: string,
  events: readonly RoomEvent[],
  atOnce = CONNECTIONS_AT_ONCE,
): Promise<Broadcast> {
  const counts: Broadcast = { sent: 0, gone: 0, failed: 0, receivers: 0 };
  if (events.length === 0) return counts;
  const frames = events.map((event) => JSON.stringify(event));
  const now = new Date().toISOString();
  await forEachBounded(connectionsOf(room_id), atOnce, (connection) => deliver(connection, frames, now, counts));
  count('events', { ConnectionsGone: counts.gone, DeliveriesFailed: counts.failed });
  return counts;
}

/** Closes every connection that has joined a room. What is known of them goes when they disconnect. */
export const closeRoom = (room_id: string): Promise<void> =>
  forEachBounded(connectionsOf(room_id), CONNECTIONS_AT_ONCE, ({ connection_id }) => close(connection_id));
