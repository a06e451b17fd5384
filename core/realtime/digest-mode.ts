import type { RoomEvent } from '../contract/realtime.ts';
import { furtherFailure } from '../platform/log.ts';
import type { Recipient } from '../store/connections.ts';
import { turnDigestsOn } from '../store/presence-digest.ts';

/* Decides which rooms send presence as digests: see docs/decisions/0033-presence-digests.md. */

/** Up to this many users online, each join and leave is an event. */
export const EACH_UP_TO = 100;
/** Up to this many users online, digests contain the names of those who joined and left. */
export const NAMES_UP_TO = 1_000;
/**
 * Below this many users online, each join and leave is an event again. It is well below the upper limit, so that the
 * mode changes rarely.
 */
export const EACH_AGAIN_BELOW = 80;
/** The maximum of digest posts per second in a room. With the default quota, it is below the room's post rate. */
const POSTS_A_SECOND = 2_000;

/** Returns how many seconds are between digests. */
export const digestSeconds = (online: number): number => Math.max(1, Math.ceil(online / POSTS_A_SECOND));

export const isPeerEvent = ({ type }: RoomEvent): boolean => type === 'peer_joined' || type === 'peer_left';

/** Returns the number of participants with connections. */
export const onlineIn = (connections: readonly Pick<Recipient, 'participant_id'>[]): number =>
  new Set(connections.map(({ participant_id }) => participant_id)).size;

/** Switches a room to presence digests if these connections belong to too many participants. Never throws. */
export async function considerDigests(
  room_id: string,
  events: readonly RoomEvent[],
  connections: readonly Recipient[],
): Promise<void> {
  if (connections.length <= EACH_UP_TO || !events.some(isPeerEvent)) return;
  const online = onlineIn(connections);
  if (online > EACH_UP_TO) await turnDigestsOn(room_id, online).catch(furtherFailure(room_id));
}
