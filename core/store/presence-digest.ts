import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { type Key, presenceDigestKey } from './keys.ts';
import { get } from './read.ts';
import { update } from './write.ts';

/*
 * Presence in large rooms: whose presence has changed since the last digest, and which digest is queued. See
 * docs/decisions/0033-presence-digests.md.
 */

/** How long after its due time a digest counts as lost, in seconds. */
const OVERDUE_SECONDS = 60;

/** The state of a room's digests. Missing in rooms that were never large. */
export interface DigestItem extends Key {
  /** Whether the room sends presence as digests. */
  readonly is_on?: boolean;
  /** The number of users online at the last digest. */
  readonly online_count?: number;
  /** The only valid queued digest. */
  readonly due?: Timestamp;
  /** The origin of the digest. */
  readonly source?: string;
  /** Participants whose presence has changed. */
  readonly changed?: ReadonlySet<string>;
  /** Whether others have changed as well, but too many were online to record their names. */
  readonly is_unnamed?: boolean;
  /** The number of recorded changes. */
  readonly notes?: number;
}

export const digestOf = (room_id: string): Promise<DigestItem | undefined> => get(presenceDigestKey(room_id));

/** Switches the room to presence digests. */
export async function turnDigestsOn(room_id: string, online: number): Promise<void> {
  await update<DigestItem>(presenceDigestKey(room_id), {
    UpdateExpression: 'SET is_on = :true, online_count = :online',
    ExpressionAttributeValues: { ':true': true, ':online': online },
  });
}

export interface Note {
  readonly room_id: string;
  /** Undefined if there are too many to record their names. */
  readonly participant_ids: readonly string[] | undefined;
  /** The origin of the changes. Repeated calls have the same one. */
  readonly source: string;
  readonly now: Timestamp;
  /** The due time of a new digest, if none is queued. */
  readonly due: Timestamp;
}

/**
 * Records changes. Returns the due time of the digest that the caller must queue. Undefined if one is already queued.
 */
export async function noteChanges(note: Note): Promise<Timestamp | undefined> {
  const { room_id, participant_ids, source, now, due } = note;
  const outcome = await update<DigestItem>(presenceDigestKey(room_id), {
    UpdateExpression:
      'SET due = if_not_exists(due, :due), #source = if_not_exists(#source, :source)' +
      (participant_ids ? ' ADD notes :one, changed :ids' : ', is_unnamed = :true ADD notes :one'),
    ExpressionAttributeNames: { '#source': 'source' },
    ExpressionAttributeValues: {
      ':due': due,
      ':source': source,
      ':one': 1,
      ...(participant_ids ? { ':ids': new Set(participant_ids) } : { ':true': true }),
    },
  });
  const queued = outcome.done ? outcome.item : undefined;
  if (!queued?.due || queued.source === source) return queued?.due;
  if (epochSeconds(queued.due) + OVERDUE_SECONDS >= epochSeconds(now)) return undefined;
  // The queued digest was lost.
  const taken = await update<DigestItem>(presenceDigestKey(room_id), {
    UpdateExpression: 'SET due = :due, #source = :source',
    ConditionExpression: 'due = :old',
    ExpressionAttributeNames: { '#source': 'source' },
    ExpressionAttributeValues: { ':due': due, ':source': source, ':old': queued.due },
  });
  return taken.done ? due : undefined;
}

/** What a digest must send. */
export interface Found {
  readonly online: number;
  /** Whether the room still sends presence as digests. */
  readonly isOn: boolean;
}

/**
 * Ends a digest that was sent. Returns false if changes were recorded since it was read, so that another digest must
 * follow.
 */
export async function endDigest(
  room_id: string,
  { due, notes }: DigestItem,
  { online, isOn }: Found,
): Promise<boolean> {
  const { done } = await update<DigestItem>(presenceDigestKey(room_id), {
    UpdateExpression: 'SET online_count = :online, is_on = :on REMOVE due, #source, changed, is_unnamed',
    ConditionExpression: 'due = :due AND notes = :notes',
    ExpressionAttributeNames: { '#source': 'source' },
    ExpressionAttributeValues: { ':online': online, ':on': isOn, ':due': due, ':notes': notes },
  });
  return done;
}

/** Records that another digest follows one that was sent. The users whom that one named are removed. */
export async function continueDigest(
  room_id: string,
  { due, changed }: DigestItem,
  next: Timestamp,
  { online, isOn }: Found,
): Promise<void> {
  await update<DigestItem>(presenceDigestKey(room_id), {
    UpdateExpression: `SET due = :next, online_count = :online, is_on = :on${changed?.size ? ' DELETE changed :ids' : ''}`,
    ConditionExpression: 'due = :due',
    ExpressionAttributeValues: {
      ':next': next,
      ':online': online,
      ':on': isOn,
      ':due': due,
      ...(changed?.size && { ':ids': changed }),
    },
  });
}
