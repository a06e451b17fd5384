import { epochSeconds, type Timestamp } from '../rules/time.ts';
import { type Key, presenceDigestKey } from './keys.ts';
import { get } from './read.ts';
import { update } from './write.ts';

/*
 * Presence in large rooms: whose presence has changed since clients were told, and the one digest that will tell them. See
 * docs/decisions/0033-presence-digests.md.
 */

/** How long after it was due a digest counts as lost, in seconds. */
const OVERDUE_SECONDS = 60;

/** The state of a room's digests. Missing in rooms that never were large. */
export interface DigestItem extends Key {
  /** Whether presence is told in digests. */
  readonly is_on?: boolean;
  /** How many were online at the last digest. */
  readonly online_count?: number;
  /** Names the one digest that is queued. */
  readonly due?: Timestamp;
  /** What led to it. */
  readonly source?: string;
  /** Participants whose presence has changed. */
  readonly changed?: ReadonlySet<string>;
  /** Whether others have changed as well: too many were online to name them. */
  readonly is_unnamed?: boolean;
  /** Counts what was noted. */
  readonly notes?: number;
}

export const digestOf = (room_id: string): Promise<DigestItem | undefined> => get(presenceDigestKey(room_id));

/** Has presence told in digests from now on. */
export async function turnDigestsOn(room_id: string, online: number): Promise<void> {
  await update<DigestItem>(presenceDigestKey(room_id), {
    UpdateExpression: 'SET is_on = :true, online_count = :online',
    ExpressionAttributeValues: { ':true': true, ':online': online },
  });
}

export interface Note {
  readonly room_id: string;
  /** Undefined where there are too many to name them. */
  readonly participant_ids: readonly string[] | undefined;
  /** Where the changes come from: the same when they are noted again. */
  readonly source: string;
  readonly now: Timestamp;
  /** When the digest is due, if none is queued. */
  readonly due: Timestamp;
}

/** Notes changes. Returns when the digest is due that the caller has to queue; undefined if one is queued already. */
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
  // It was lost.
  const taken = await update<DigestItem>(presenceDigestKey(room_id), {
    UpdateExpression: 'SET due = :due, #source = :source',
    ConditionExpression: 'due = :old',
    ExpressionAttributeNames: { '#source': 'source' },
    ExpressionAttributeValues: { ':due': due, ':source': source, ':old': queued.due },
  });
  return taken.done ? due : undefined;
}

/** What a digest has found. */
export interface Found {
  readonly online: number;
  /** Whether presence is still told in digests. */
  readonly isOn: boolean;
}

/** Ends a digest that has been sent. Returns false if something was noted since it was read: then another one must follow. */
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

/** Records that another digest follows one that has been sent. Those that it named are named no more. */
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
