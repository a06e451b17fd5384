import { RoomsError } from '../contract/errors.ts';
import { MAX_TYPING_CONNECTIONS, TYPING_INTERVAL_SECONDS } from '../contract/limits.ts';
import type { RoomEventOf } from '../contract/realtime.ts';
import type { RequestContext } from '../contract/route.ts';
import { deadlineIn } from '../platform/deadline.ts';
import { recent } from '../platform/recent.ts';
import { settleAll } from '../platform/settle-all.ts';
import { epochSeconds } from '../rules/time.ts';
import { membership, requireLive } from '../store/access.ts';
import { connectionsOf, type Recipient } from '../store/connections.ts';
import type { ParticipantItem, RoomItem } from '../store/items.ts';
import { requireRightToPost } from '../store/posting.ts';
import { roomPool } from './deliver.ts';
import { postToConnection } from './gateway.ts';

/*
 * Who is typing in a room. Nothing is stored: the process that receives the frame posts to the connections and applies
 * the limits. See docs/decisions/0051-typing-without-the-table.md.
 */

/** How long a process caches what it has read, in milliseconds. */
const READ_MS = 5_000;
/** The maximum duration of the posts for one frame, in milliseconds. */
const POST_MS = 2_000;
/** How long a process remembers the last state of a connection, in milliseconds. */
const STATE_MS = 60_000;
/** The maximum number of cached entries of each kind, which take some megabytes. */
const MAX_REMEMBERED = 2_000;
const INTERVAL_MS = TYPING_INTERVAL_SECONDS * 1_000;

interface Member {
  readonly room: RoomItem;
  readonly participant: ParticipantItem;
}

/** By room and user. */
const members = recent<Member>(READ_MS, MAX_REMEMBERED);
/** By room: the connections that receive events. Undefined for a room with too many. */
const audiences = recent<{ readonly recipients: readonly Recipient[] | undefined }>(READ_MS, MAX_REMEMBERED);

/** The last state of a connection in a room, and when it last sent a start, in milliseconds. */
interface TypingState {
  readonly isTyping: boolean;
  readonly startedAt: number;
}

/** By room and connection. */
const states = recent<TypingState>(STATE_MS, MAX_REMEMBERED);

/**
 * Returns whether the state must be sent to the others. A repeated stop changes nothing, so it is not sent.
 *
 * @throws `too_many_requests` for a start less than 2 seconds after the last one
 */
function admit(key: string, isTyping: boolean): boolean {
  const now = Date.now();
  const last = states.get(key);
  if (!isTyping) {
    if (last && !last.isTyping) return false;
    states.set(key, { isTyping, startedAt: last?.startedAt ?? 0 });
    return true;
  }
  const wait = last ? last.startedAt + INTERVAL_MS - now : 0;
  if (wait > 0)
    throw new RoomsError(
      'too_many_requests',
      [{ message: `Say at most every ${TYPING_INTERVAL_SECONDS} seconds that you are typing.` }],
      { retryAfter: Math.ceil(wait / 1_000) },
    );
  states.set(key, { isTyping, startedAt: now });
  return true;
}

/**
 * Sends the event `typing` to the connections of the other participants, and returns its time. A failed post is not
 * retried, because the next event replaces it.
 *
 * @throws `too_many_requests` or `read_only`, and as `membership` and `requireLive` do
 */
export async function sendTyping({
  room_id,
  connection_id,
  typing,
  caller,
  now,
}: RequestContext & { room_id: string; connection_id: string; typing: boolean }): Promise<void> {
  const mustSend = admit(`${room_id} ${connection_id}`, typing);
  const [{ room, participant }, recipients] = await settleAll([memberOf(room_id, caller), audienceOf(room_id)]);
  requireLive(room, now);
  requireRightToPost({ room, participant });
  if (!mustSend || !recipients) return;

  const event: RoomEventOf<'typing'> = {
    type: 'typing',
    room_id,
    data: { participant_id: caller, username: participant.username ?? null, typing },
    sent_at: now,
  };
  const frame = JSON.stringify(event);
  const { signal } = deadlineIn(POST_MS);
  const run = roomPool();
  const others = recipients.filter(
    ({ participant_id, token_expires_at }) => participant_id !== caller && token_expires_at > epochSeconds(now),
  );
  await Promise.all(others.map((recipient) => run(() => postToConnection(recipient.connection_id, frame, signal))));
}

async function memberOf(room_id: string, user_id: string): Promise<Member> {
  const key = `${room_id} ${user_id}`;
  const known = members.get(key);
  if (known) return known;
  const member = await membership(room_id, user_id);
  members.set(key, member);
  return member;
}

async function audienceOf(room_id: string): Promise<readonly Recipient[] | undefined> {
  const known = audiences.get(room_id);
  if (known) return known.recipients;
  const { live } = await connectionsOf(room_id, MAX_TYPING_CONNECTIONS);
  const recipients = live.length > MAX_TYPING_CONNECTIONS ? undefined : live;
  audiences.set(room_id, { recipients });
  return recipients;
}
