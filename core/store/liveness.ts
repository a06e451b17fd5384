import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import { FRAME_WINDOW_SECONDS, MAX_PING_INTERVAL_SECONDS } from '../contract/limits.ts';
import { longestSilence } from '../rules/silence.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { dynamodb, tableName } from './client.ts';
import { COUNT_OF, windowAt } from './connections.ts';
import type { ParticipantItem, RoomItem } from './items.ts';
import { FRAMES, framesKey, type Key, livenessKey, participantKey, roomKey, userPartition } from './keys.ts';
import { batchGetOrdered, get, queryAll } from './read.ts';
import { update } from './write.ts';

/*
 * When a present participant's connections last sent a frame, and when they are checked next. See
 * docs/decisions/0011-presence-within-five-minutes.md.
 */

/** The only valid queued check of a participant. */
interface LivenessItem extends Key {
  readonly due: Timestamp;
  /** In epoch seconds. */
  readonly expires_at: number;
}

interface Participation {
  readonly room_id: string;
  readonly participant_id: string;
}

/** How long after its due time a check counts as lost, in seconds. */
const OVERDUE_SECONDS = 60;

/** Returns the room, the participant, and the due time of the next check. */
export async function presenceOf({ room_id, participant_id }: Participation) {
  const [room, participant, liveness] = await batchGetOrdered<[RoomItem, ParticipantItem, LivenessItem]>(
    roomKey(room_id),
    participantKey(room_id, participant_id),
    livenessKey(room_id, participant_id),
  );
  return { room, participant, due: liveness?.due };
}

/** Returns whether a check of the participant is queued and not lost. */
export async function isCheckQueued({ room_id, participant_id }: Participation, now: Timestamp): Promise<boolean> {
  const liveness = await get<LivenessItem>(livenessKey(room_id, participant_id));
  return liveness !== undefined && epochSeconds(liveness.due) + OVERDUE_SECONDS > epochSeconds(now);
}

/**
 * Records the check that is due at `due` as the only valid one of the participant.
 *
 * @param previous the check that it follows. Has no effect if another check has already replaced that one
 */
export async function recordCheck(
  { room_id, participant_id }: Participation,
  due: Timestamp,
  previous?: Timestamp,
): Promise<void> {
  await update<LivenessItem>(livenessKey(room_id, participant_id), {
    UpdateExpression: 'SET due = :due, expires_at = :expiry',
    ...(previous !== undefined && { ConditionExpression: 'due = :previous' }),
    ExpressionAttributeValues: {
      ':due': due,
      ':expiry': epochSeconds(due) + 24 * 3_600,
      ...(previous !== undefined && { ':previous': previous }),
    },
  });
}

/** Records that no check follows the one that was due at `due`. */
export async function endChecks({ room_id, participant_id }: Participation, due: Timestamp): Promise<void> {
  try {
    await dynamodb.send(
      new DeleteCommand({
        TableName: tableName(),
        Key: livenessKey(room_id, participant_id),
        ConditionExpression: 'due = :due',
        ExpressionAttributeValues: { ':due': due },
      }),
    );
  } catch (error) {
    // Another check has already replaced or ended it.
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}

/**
 * Returns when each connection of a user last sent a frame, as the end of that window in epoch seconds. Connections
 * that have been silent longer than allowed are missing.
 */
export async function lastFrames(user_id: string, now: Timestamp): Promise<ReadonlyMap<string, number>> {
  const heard = new Map<string, number>();
  const last = windowAt(now) + 1;
  const first = last - Math.ceil(longestSilence(MAX_PING_INTERVAL_SECONDS) / FRAME_WINDOW_SECONDS) - 1;
  const pages = queryAll<Key & Record<string, unknown>>({
    KeyConditionExpression: 'PK = :user AND SK BETWEEN :first AND :last',
    ExpressionAttributeValues: {
      ':user': userPartition(user_id),
      ':first': framesKey(user_id, first).SK,
      ':last': framesKey(user_id, last).SK,
    },
    ConsistentRead: true,
  });
  for await (const page of pages)
    for (const { SK, ...counts } of page)
      for (const name of Object.keys(counts))
        if (name.startsWith(COUNT_OF))
          heard.set(name.slice(COUNT_OF.length), (Number(SK.slice(FRAMES.length)) + 1) * FRAME_WINDOW_SECONDS);
  return heard;
}
