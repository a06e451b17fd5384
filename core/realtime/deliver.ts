import type { RoomEvent } from '../contract/realtime.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { dropConnection, type Recipient } from '../store/connections.ts';
import { close, post } from './gateway.ts';
import { pool, type Run } from './pool.ts';

/*
 * What is done to each of some connections of a room. It is all that a slice of a large room's connections takes, wherever it is
 * worked on: see broadcast.ts.
 */

/** Connections that are posted to at the same time: the knee of the curve that `npm run bench:fanout` draws. */
export const CONNECTIONS_AT_ONCE = 100;

/** `tell`: each is sent the events, in this order. `close`: each is closed. */
export type Task =
  | { readonly kind: 'tell'; readonly events: readonly RoomEvent[] }
  /** What is known of them goes when they disconnect. */
  | { readonly kind: 'close' };

/** Some connections of a room, and what is to be done to each. */
export interface Slice {
  readonly room_id: string;
  readonly recipients: readonly Recipient[];
  readonly task: Task;
}

export interface Counts {
  /** Frames that connections took. */
  sent: number;
  /** Connections that are gone. */
  gone: number;
  /** Frames, each the first that a connection did not take. */
  failed: number;
  /** Connections that took at least one frame. */
  receivers: number;
}

export const noCounts = (): Counts => ({ sent: 0, gone: 0, failed: 0, receivers: 0 });

export function add(to: Counts, { sent, gone, failed, receivers }: Counts): void {
  to.sent += sent;
  to.gone += gone;
  to.failed += failed;
  to.receivers += receivers;
}

/**
 * Forgets a connection that is gone, or may no longer listen. That this fails must not have the batch tried again, which
 * would send everything to everybody once more: what is left of the connection is found at the next broadcast.
 */
async function drop(room_id: string, { connection_id, participant_id }: Recipient, now: Timestamp): Promise<void> {
  try {
    await dropConnection({ room_id, connection_id, user_id: participant_id, now });
  } catch (error) {
    console.error({ action: 'drop', room_id, connection_id, error: error instanceof Error ? error.message : error });
  }
}

async function giveUp(room_id: string, recipient: Recipient, now: Timestamp): Promise<void> {
  await Promise.all([drop(room_id, recipient, now), close(recipient.connection_id)]);
}

async function tell(room_id: string, recipient: Recipient, frames: readonly string[], counts: Counts): Promise<void> {
  const now = new Date().toISOString();
  if (recipient.token_expires_at <= epochSeconds(now)) return giveUp(room_id, recipient, now);
  for (const [n, frame] of frames.entries()) {
    const delivery = await post(recipient.connection_id, frame);
    counts[delivery]++;
    if (delivery === 'sent' && n === 0) counts.receivers++;
    if (delivery === 'gone') return drop(room_id, recipient, now);
    // A frame that is lost must not be followed by others: the client sees the closed socket, comes back, and catches up.
    if (delivery === 'failed') return giveUp(room_id, recipient, now);
  }
}

/**
 * Does the task to all recipients at the same time, within the bound of `run`. One that is slow, gone, or whose token has
 * expired costs the others nothing. Never throws.
 */
export async function workOn({ room_id, recipients, task }: Slice, run: Run = pool(CONNECTIONS_AT_ONCE)) {
  const counts = noCounts();
  const frames = task.kind === 'tell' ? task.events.map((event) => JSON.stringify(event)) : [];
  await Promise.all(
    recipients.map((recipient) =>
      run(() => (task.kind === 'tell' ? tell(room_id, recipient, frames, counts) : close(recipient.connection_id))),
    ),
  );
  return counts;
}

/**
 * Gives up all recipients of a slice of which nobody knows who has been told what: as with a single frame that is lost, each
 * client sees the closed socket, comes back, and catches up. Never throws.
 */
export async function giveUpAll({ room_id, recipients }: Slice, run: Run): Promise<Counts> {
  const now = new Date().toISOString();
  await Promise.all(recipients.map((recipient) => run(() => giveUp(room_id, recipient, now))));
  return { ...noCounts(), failed: recipients.length };
}
