import { RoomsError } from '../contract/errors.ts';
import { FRAME_WINDOW_SECONDS, MAX_ROOM_MESSAGES_PER_SECOND } from '../contract/limits.ts';
import { logError } from '../platform/log.ts';
import { messagesPerWindow } from '../rules/sender-rate.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { secondsToNextWindow } from './connections.ts';
import { type Key, roomRateKey } from './keys.ts';
import type { DigestItem } from './presence-digest.ts';
import { update } from './write.ts';

/*
 * Limits how many messages per second a room accepts from all senders. The counter is read with the sender's
 * membership, and written in parallel with the message, so it costs no round trip. Simultaneous messages can exceed the
 * limit by their number. Only messages of permitted senders count. See docs/decisions/0031-budgets.md.
 */

/** How long a counter is kept, in seconds. It is only used in its second. */
const KEPT_SECONDS = 60;

/** The counter of one second. */
export interface RoomRateItem extends Key {
  readonly messages: number;
  /** In epoch seconds. */
  readonly expires_at: number;
}

/** The key of a room's current counter. */
export const rateKeyAt = (room_id: string, now: Timestamp): Key => roomRateKey(room_id, epochSeconds(now));

/** @throws `too_many_requests`, with the seconds to wait, if the room has reached its limit in this second */
export function checkRoomRate(counted: RoomRateItem | undefined): void {
  if ((counted?.messages ?? 0) < MAX_ROOM_MESSAGES_PER_SECOND) return;
  throw new RoomsError(
    'too_many_requests',
    [{ message: `A room takes at most ${MAX_ROOM_MESSAGES_PER_SECOND} messages in a second. Try again in 1 second.` }],
    { retryAfter: 1 },
  );
}

/**
 * Limits one sender. The limit is lower the more users are online, so that one sender cannot use up the room's budget
 * of posts.
 *
 * @param sent the sender's messages in this window of frames over all rooms, including this one
 * @throws `too_many_requests`, with the seconds until the window ends
 */
export function checkSenderRate(sent: number, digests: DigestItem | undefined, now: Timestamp): void {
  if (!digests?.is_on) return;
  const max = messagesPerWindow(digests.online_count ?? 0);
  if (sent <= max) return;
  const retryAfter = secondsToNextWindow(now);
  const message = `In a room of this size, a user can send ${max} messages in ${FRAME_WINDOW_SECONDS} seconds. Try again in ${retryAfter} seconds.`;
  throw new RoomsError('too_many_requests', [{ message }], { retryAfter });
}

/** Counts a message. Never throws, because the message must be stored even if counting fails. */
export async function countMessage(room_id: string, now: Timestamp): Promise<void> {
  try {
    await update<RoomRateItem>(rateKeyAt(room_id, now), {
      UpdateExpression: 'ADD messages :one SET expires_at = :expiry',
      ExpressionAttributeValues: { ':one': 1, ':expiry': epochSeconds(now) + KEPT_SECONDS },
    });
  } catch (error) {
    logError({ action: 'count_message', room_id }, error);
  }
}
