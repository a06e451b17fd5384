import { PRESENCE_GRACE_SECONDS, SILENCE_SECONDS } from '../contract/limits.ts';
import type { Deadline } from '../platform/deadline.ts';
import type { Run } from '../platform/pool.ts';
import { settleAll } from '../platform/settle-all.ts';
import { speaksV2 } from '../rules/protocol.ts';
import { roomStatus } from '../rules/room.ts';
import { longestSilence } from '../rules/silence.ts';
import { epochSeconds, plus, type Timestamp } from '../rules/time.ts';
import { dropConnection, markAbsent } from '../store/connections.ts';
import type { ConnectionItem, ParticipantItem, RoomItem } from '../store/items.ts';
import { connectionKey, participantKey } from '../store/keys.ts';
import { endChecks, isCheckQueued, lastHeard, presenceOf, recordCheck } from '../store/liveness.ts';
import { get } from '../store/read.ts';
import { roomPool } from './deliver.ts';
import { type ConnectionStatus, connectionStatus, deleteConnection } from './gateway.ts';
import { type LivenessCheck, queueLivenessCheck } from './presence.ts';

/*
 * Presence that is right although API Gateway did not report a disconnection: while a participant is present, a check of their
 * connections is queued. Each check queues the next. See docs/decisions/0011-presence-within-five-minutes.md.
 */

type Participation = Pick<LivenessCheck, 'room_id' | 'participant_id'>;

/** One check: whose connections it is about, when it runs, and how it reaches API Gateway. */
interface Check {
  readonly of: Participation;
  readonly now: Timestamp;
  readonly deadline: Deadline;
  readonly run: Run;
}

/** When to look again at a connection of which API Gateway could not say whether it is there, or could not close it, in seconds. */
const RETRY_SECONDS = 30;
/** How far apart the clocks of functions may be, in seconds: as in announce.ts. */
const CLOCKS_APART_SECONDS = 5;
/** A check is at least so far ahead, in seconds. */
const LEAST_DELAY_SECONDS = 5;

/**
 * Queues a check of a participant, and records it. First the one, then the other: after a failure in between, the message that was
 * queued does not count, and the retry queues another.
 */
async function queueNext(of: Participation, seconds: number, now: Timestamp, previous?: Timestamp): Promise<void> {
  const due = plus(now, seconds * 1_000);
  await queueLivenessCheck({ kind: 'liveness', ...of, due }, seconds);
  await recordCheck(of, due, previous);
}

/**
 * Starts checks of the connections of a present participant, unless they are checked already. A participant who joins
 * just before the room ends is checked soon after the end. With a late clock, the join may be accepted after the end
 * was announced, and the announcement did not find the connection.
 */
export async function ensureChecked(of: Participation, room: Pick<RoomItem, 'end_time'> | undefined): Promise<void> {
  const now = new Date().toISOString();
  const toEnd = room?.end_time ? epochSeconds(room.end_time) - epochSeconds(now) : Number.POSITIVE_INFINITY;
  if (toEnd <= CLOCKS_APART_SECONDS) return queueNext(of, Math.max(0, toEnd) + 2 * CLOCKS_APART_SECONDS, now);
  if (await isCheckQueued(of, now)) return;
  await queueNext(of, SILENCE_SECONDS, now);
}

/** `outdated`: another check counts. `ended`: the participant is no longer present. */
export type CheckOutcome = 'outdated' | 'ended' | 'present';

/**
 * Checks the connections of a participant. A connection that was heard lately is there. Of a silent one, API Gateway is asked: one that is
 * gone is dropped; one that has promised to send pings is closed; any other may be silent, and stays. In an ended room, all are
 * closed, but for those of rooms.v2, which only leave it.
 *
 * @throws where the table or the queue fails; the message is then retried
 */
export async function checkLiveness(
  { room_id, participant_id, due }: Omit<LivenessCheck, 'kind'>,
  deadline: Deadline,
): Promise<CheckOutcome> {
  const of = { room_id, participant_id };
  const now = new Date().toISOString();
  const [{ room, participant, due: counts }, heard] = await settleAll([presenceOf(of), lastHeard(participant_id, now)]);
  if (counts !== due) return 'outdated';
  if (!participant?.present) {
    await endChecks(of, due);
    // A user who joined a moment ago found this check queued, and relies on it.
    if ((await get<ParticipantItem>(participantKey(room_id, participant_id)))?.present) await ensureChecked(of, room);
    return 'ended';
  }
  const connections = [...(participant.connections ?? [])];
  if (connections.length === 0) await endAbsence(participant, now);
  const check = { of, now, deadline, run: roomPool() };
  const ended = room !== undefined && roomStatus(room, now) === 'ended';
  const next = await settleAll(
    connections.map((connection_id) =>
      ended ? leaveEnded(check, connection_id) : checkConnection(check, connection_id, heard.get(connection_id)),
    ),
  );
  const at = Math.min(epochSeconds(now) + SILENCE_SECONDS, ...next);
  await queueNext(of, Math.max(LEAST_DELAY_SECONDS, at - epochSeconds(now)), now, due);
  return 'present';
}

/** Replaces an absence check that was lost. */
async function endAbsence({ room_id, participant_id, left_at }: ParticipantItem, now: Timestamp): Promise<void> {
  if (left_at !== undefined && plus(left_at, 2 * PRESENCE_GRACE_SECONDS * 1_000) < now)
    await markAbsent(room_id, participant_id, left_at);
}

/** Checks one connection. Returns when to look at it again, in epoch seconds: Infinity for one that is gone. */
async function checkConnection(check: Check, connection_id: string, heard: number | undefined): Promise<number> {
  const { of, now, deadline, run } = check;
  const time = epochSeconds(now);
  if (heard !== undefined && heard + SILENCE_SECONDS > time) return heard + SILENCE_SECONDS;
  const status = await run(() => connectionStatus(connection_id, deadline.signal));
  if (status === 'unknown') return time + RETRY_SECONDS;
  if (status === 'open') {
    const item = await get<ConnectionItem>(connectionKey(of.room_id, connection_id));
    // Contract 1.1 lets a client be silent as long as API Gateway does. Its item is missing only where its time to live is over.
    if (item && item.ping_interval_seconds === undefined) return time + SILENCE_SECONDS;
    const until = (heard ?? 0) + longestSilence(item?.ping_interval_seconds ?? 0);
    if (until > time) return until;
    return close(check, connection_id);
  }
  await drop(check, connection_id, status);
  return Number.POSITIVE_INFINITY;
}

/** Takes one connection out of a room that has ended. Returns when to look at it again, as `checkConnection` does. */
async function leaveEnded(check: Check, connection_id: string): Promise<number> {
  const item = await get<ConnectionItem>(connectionKey(check.of.room_id, connection_id));
  if (item && !speaksV2(item)) return close(check, connection_id);
  // It has been detached already, or its client learns that it is no longer in the room with its next ping.
  await drop(check, connection_id, 'unknown');
  return Number.POSITIVE_INFINITY;
}

/** Closes one connection and drops it. Returns when to look at it again, as `checkConnection` does. */
async function close(check: Check, connection_id: string): Promise<number> {
  const { now, deadline, run } = check;
  const outcome = await run(() => deleteConnection(connection_id, deadline.signal));
  if (outcome === 'failed') return epochSeconds(now) + RETRY_SECONDS;
  await drop(check, connection_id, outcome === 'gone' ? 'gone' : 'open');
  return Number.POSITIVE_INFINITY;
}

/** @param status what API Gateway said about the connection, if it was asked; an open one has been closed */
async function drop({ of, now }: Check, connection_id: string, status: ConnectionStatus): Promise<void> {
  const { room_id, participant_id } = of;
  console.info({ action: 'liveness', room_id, connection_id, user: participant_id, status, dropped: true });
  await dropConnection({ room_id, connection_id, user_id: participant_id, now });
}
