import type { RoomEvent, RoomEventOf } from '../contract/realtime.ts';
import type { Deadline } from '../platform/deadline.ts';
import { plus, type Timestamp } from '../rules/time.ts';
import { connectionsOf } from '../store/connections.ts';
import type { ParticipantItem } from '../store/items.ts';
import { participantKey } from '../store/keys.ts';
import { continueDigest, type DigestItem, digestOf, endDigest, noteChanges } from '../store/presence-digest.ts';
import { getMany } from '../store/read.ts';
import { broadcast } from './broadcast.ts';
import { onTable } from './deliver.ts';
import { digestSeconds, EACH_AGAIN_BELOW, NAMES_UP_TO, onlineIn } from './digest-mode.ts';
import { type Digest, queueDigest } from './presence.ts';

/*
 * Presence digests for large rooms: the number of users online and, up to 1,000, who joined and left. See
 * docs/decisions/0033-presence-digests.md.
 */

/**
 * The maximum number of users in a frame, with IDs of 128 characters and names of 100 characters, each of up to 3
 * bytes.
 */
const PEERS_PER_EVENT = 40;

/**
 * Records that the presence of participants has changed, and queues a digest if none is queued.
 *
 * @param source the origin of the changes. Repeated calls have the same one
 */
export async function notePresence(
  room_id: string,
  participant_ids: readonly string[],
  { online_count: online = 0 }: Pick<DigestItem, 'online_count'>,
  source: string,
): Promise<void> {
  const now = new Date().toISOString();
  const seconds = digestSeconds(online);
  const named = online <= NAMES_UP_TO ? participant_ids : undefined;
  const note = { room_id, participant_ids: named, source, now, due: plus(now, seconds * 1_000) };
  const due = await onTable(() => noteChanges(note));
  if (due !== undefined) await queueDigest({ room_id, due }, seconds);
}

type Peer = NonNullable<RoomEventOf<'presence'>['data']['joined']>[number];

/** Returns which of the participants are online now, and which are not. */
async function peersOf(room_id: string, ids: readonly string[]): Promise<{ joined: Peer[]; left: Peer[] }> {
  const items = await getMany<ParticipantItem>(
    ids.map((id) => participantKey(room_id, id)),
    { consistent: true },
  );
  const joined: Peer[] = [];
  const left: Peer[] = [];
  for (const participant_id of ids) {
    const item = items.find((each) => each.participant_id === participant_id);
    (item?.present ? joined : left).push({ participant_id, username: item?.username ?? null });
  }
  return { joined, left };
}

/** Returns the events of a digest, split so that all names fit. Pure. */
export function digestEvents(
  room_id: string,
  count: number,
  peers: { readonly joined: readonly Peer[]; readonly left: readonly Peer[] } | undefined,
  sent_at: Timestamp,
): RoomEvent[] {
  const event = (data: RoomEventOf<'presence'>['data']): RoomEvent => ({ type: 'presence', room_id, data, sent_at });
  if (!peers) return [event({ count })];
  const { joined, left } = peers;
  const chunks = Math.max(1, Math.ceil((joined.length + left.length) / PEERS_PER_EVENT));
  const all = [...joined.map((peer) => ({ peer, isHere: true })), ...left.map((peer) => ({ peer, isHere: false }))];
  return Array.from({ length: chunks }, (_, n) => {
    const part = all.slice(n * PEERS_PER_EVENT, (n + 1) * PEERS_PER_EVENT);
    const those = (isHere: boolean) => part.flatMap((each) => (each.isHere === isHere ? [each.peer] : []));
    return event({ count, joined: those(true), left: those(false) });
  });
}

/** `outdated`: another digest has replaced it. */
export type DigestOutcome = 'outdated' | 'sent';

/**
 * Sends a digest, and queues another one if something has changed in the meantime.
 *
 * @throws if the table or a queue fails; the message is then retried, and the digest is sent again
 */
export async function sendDigest({ room_id, due }: Omit<Digest, 'kind'>, deadline: Deadline): Promise<DigestOutcome> {
  const item = await digestOf(room_id);
  if (item?.due !== due) return 'outdated';
  const { live } = await connectionsOf(room_id);
  const online = onlineIn(live);
  const isNamed = online <= NAMES_UP_TO && !item.is_unnamed;
  const peers = isNamed ? await peersOf(room_id, [...(item.changed ?? [])]) : undefined;
  const now = new Date().toISOString();
  if (live.length > 0) {
    const events = digestEvents(room_id, online, peers, now);
    await broadcast(room_id, events, { feed: 'changes', source: `digest ${due}` }, deadline);
  }
  const found = { online, isOn: online >= EACH_AGAIN_BELOW };
  if (await endDigest(room_id, item, found)) return 'sent';
  const seconds = digestSeconds(online);
  const next = plus(now, seconds * 1_000);
  await queueDigest({ room_id, due: next }, seconds);
  await continueDigest(room_id, item, next, found);
  return 'sent';
}
