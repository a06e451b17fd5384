import { PRESENCE_GRACE_SECONDS, SILENCE_SECONDS } from '../contract/limits.ts';
import type { Deadline } from '../platform/deadline.ts';
import type { Run } from '../platform/pool.ts';
import { settleAll } from '../platform/settle-all.ts';
import { usesV2 } from '../rules/protocol.ts';
import { roomStatus } from '../rules/room.ts';
import { longestSilence } from '../rules/silence.ts';
import { epochSeconds, plus, type Timestamp } from '../rules/time.ts';
import { dropConnection, markAbsent } from '../store/connections.ts';
import type { ConnectionItem, ParticipantItem, RoomItem } from '../store/items.ts';
import { connectionKey, participantKey } from '../store/keys.ts';
import { endChecks, isCheckQueued, lastFrames, presenceOf, recordCheck } from '../store/liveness.ts';
import { get } from '../store/read.ts';
import { roomPool } from './deliver.ts';
import { type ConnectionStatus, connectionStatus, deleteConnection } from './gateway.ts';
import { type LivenessCheck, queueLivenessCheck } from './presence.ts';

/*
 * Keeps presence correct if API Gateway does not report a disconnect. While a participant is present, a check of their
 * connections is queued, and each check queues the next one. See docs/decisions/0011-presence-within-five-minutes.md.
 */

type Participation = Pick<LivenessCheck, 'room_id' | 'participant_id'>;

/** A check: whose connections it checks, when it runs, and how it reaches API Gateway. */
interface Check {
  readonly of: Participation;
  readonly now: Timestamp;
  readonly deadline: Deadline;
  readonly run: Run;
}

/** The delay before the next check of a connection whose status or closing failed, in seconds. */
const RETRY_SECONDS = 30;
/** The maximum difference between the clocks of functions, in seconds, as in announce.ts. */
const CLOCKS_APART_SECONDS = 5;
/** The minimum delay of a check, in seconds. */
const LEAST_DELAY_SECONDS = 5;

/**
 * Queues a check of a participant, then records it. If recording fails, the queued message is ignored, and the retry
 * queues another one.
 */
async function queueNext(of: Participation, seconds: number, now: Timestamp, previous?: Timestamp): Promise<void> {
  const due = plus(now, seconds * 1_000);
  await queueLivenessCheck({ kind: 'liveness', ...of, due }, seconds);
  await recordCheck(of, due, previous);
}

/**
 * Starts checks of a present participant's connections, unless they are running. If the room is about to end, the first
 * check is soon after the end. With a clock that is behind, a join may be accepted after the end, when the room's
 * connections were already closed.
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
 * Checks the connections of a participant. A connection that sent a frame recently is alive. For a silent one, API
 * Gateway is asked. If it is gone, it is removed. If its client announced pings, it is closed. Any other silent
 * connection stays. If the room has ended, all are closed, except rooms.v2 connections, which leave the room.
 *
 * @throws if the table or the queue fails; the message is then retried
 */
export async function checkLiveness(
  { room_id, participant_id, due }: Omit<LivenessCheck, 'kind'>,
  deadline: Deadline,
): Promise<CheckOutcome> {
  const of = { room_id, participant_id };
  const now = new Date().toISOString();
  const [{ room, participant, due: counts }, heard] = await settleAll([
    presenceOf(of),
    lastFrames(participant_id, now),
  ]);
  if (counts !== due) return 'outdated';
  if (!participant?.present) {
    await endChecks(of, due);
    // A user who joined a moment ago found this check queued, and queued no other one.
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

/** Replaces a lost absence check. */
async function endAbsence({ room_id, participant_id, left_at }: ParticipantItem, now: Timestamp): Promise<void> {
  if (left_at !== undefined && plus(left_at, 2 * PRESENCE_GRACE_SECONDS * 1_000) < now)
    await markAbsent(room_id, participant_id, left_at);
}

/** Checks one connection. Returns the time of its next check in epoch seconds, or Infinity if it is gone. */
async function checkConnection(check: Check, connection_id: string, heard: number | undefined): Promise<number> {
  const { of, now, deadline, run } = check;
  const time = epochSeconds(now);
  if (heard !== undefined && heard + SILENCE_SECONDS > time) return heard + SILENCE_SECONDS;
  const status = await run(() => connectionStatus(connection_id, deadline.signal));
  if (status === 'unknown') return time + RETRY_SECONDS;
  if (status === 'open') {
    const item = await get<ConnectionItem>(connectionKey(of.room_id, connection_id));
    // Contract 1.1 lets a client be silent as long as API Gateway does. The item is missing only after its time to
    // live.
    if (item && item.ping_interval_seconds === undefined) return time + SILENCE_SECONDS;
    const until = (heard ?? 0) + longestSilence(item?.ping_interval_seconds ?? 0);
    if (until > time) return until;
    return close(check, connection_id);
  }
  await drop(check, connection_id, status);
  return Number.POSITIVE_INFINITY;
}

/** Removes one connection from a room that has ended. Returns the time of the next check, like `checkConnection`. */
async function leaveEnded(check: Check, connection_id: string): Promise<number> {
  const item = await get<ConnectionItem>(connectionKey(check.of.room_id, connection_id));
  if (item && !usesV2(item)) return close(check, connection_id);
  // The connection is already detached. If its client missed that, its next ping reveals it.
  await drop(check, connection_id, 'unknown');
  return Number.POSITIVE_INFINITY;
}

/** Closes one connection and removes it. Returns the time of the next check, like `checkConnection`. */
async function close(check: Check, connection_id: string): Promise<number> {
  const { now, deadline, run } = check;
  const outcome = await run(() => deleteConnection(connection_id, deadline.signal));
  if (outcome === 'failed') return epochSeconds(now) + RETRY_SECONDS;
  await drop(check, connection_id, outcome === 'gone' ? 'gone' : 'open');
  return Number.POSITIVE_INFINITY;
}

/** @param status API Gateway's answer about the connection, if it was asked. An open connection has been closed */
async function drop({ of, now }: Check, connection_id: string, status: ConnectionStatus): Promise<void> {
  const { room_id, participant_id } = of;
  console.info({ action: 'liveness', room_id, connection_id, user: participant_id, status, dropped: true });
  await dropConnection({ room_id, connection_id, user_id: participant_id, now });
}
