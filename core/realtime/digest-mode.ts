import type { RoomEvent } from '../contract/realtime.ts';
import { furtherFailure } from '../platform/log.ts';
import type { Recipient } from '../store/connections.ts';
import { turnDigestsOn } from '../store/presence-digest.ts';

/*
 * In which rooms presence is told in digests: see docs/decisions/0033-presence-digests.md.
 */

/** While at most so many are online, each who comes or goes is an event. */
export const EACH_UP_TO = 100;
/** While at most so many are online, digests name who came and went. */
export const NAMES_UP_TO = 1_000;
/** With fewer than this, each is an event again: well below the bound, so that a room does not change its mind with each who comes. */
export const EACH_AGAIN_BELOW = 80;
/** The posts of a second that a room's digests take at most: with the default quota, less than a room may take. */
const POSTS_A_SECOND = 2_000;

/** Returns how many seconds are between digests. */
export const digestSeconds = (online: number): number => Math.max(1, Math.ceil(online / POSTS_A_SECOND));

export const isPeerEvent = ({ type }: RoomEvent): boolean => type === 'peer_joined' || type === 'peer_left';

/** How many participants have connections. */
export const onlineIn = (connections: readonly Pick<Recipient, 'participant_id'>[]): number =>
  new Set(connections.map(({ participant_id }) => participant_id)).size;

/** Has the presence of a room told in digests from now on, if these connections are of too many participants. Never throws. */
export async function considerDigests(
  room_id: string,
  events: readonly RoomEvent[],
  connections: readonly Recipient[],
): Promise<void> {
  if (connections.length <= EACH_UP_TO || !events.some(isPeerEvent)) return;
  const online = onlineIn(connections);
  if (online > EACH_UP_TO) await turnDigestsOn(room_id, online).catch(furtherFailure(room_id));
}
