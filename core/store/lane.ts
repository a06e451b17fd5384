import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { epochSeconds } from '../rules/time.ts';
import { dynamodb, tableName } from './client.ts';
import type { SequenceItem } from './items.ts';
import { type Key, laneKey } from './keys.ts';
import { get, queryPage } from './read.ts';
import { type FeedOfRoom, keyOf } from './sequence.ts';
import { remove, update } from './write.ts';

/*
 * The waiting tasks in the lanes of large and busy rooms, ordered by the numbers of their events. See
 * docs/decisions/0032-lanes.md.
 */

/**
 * How long a waiting task is kept, in seconds. Clients that missed events for that long have caught up, or are gone.
 */
const KEPT_SECONDS = 3_600;
/** The number of items that are read together, more than a room accepts during one delivery. */
const MAX_ITEMS = 100;

/** The position of tasks after all numbered events: events without a number, and the end of the room. */
export type Unnumbered = 'unnumbered' | 'close';

/** The position of the task. Numbers sort before both texts. */
const ORDER: Readonly<Record<Unnumbered, string>> = { unnumbered: '~1', close: '~2' };
/** The number of digits of the largest exact integer in JSON. */
const DIGITS = 16;
const orderOf = (at: number | Unnumbered): string =>
  typeof at === 'number' ? String(at).padStart(DIGITS, '0') : ORDER[at];

interface LaneItem extends Key {
  /** JSON. */
  readonly task: string;
  /** In epoch seconds. */
  readonly expires_at: number;
}

/**
 * Stores a task. Storing the same task again has no effect.
 *
 * @param at the number of its first event
 */
export async function storeInLane(of: FeedOfRoom, at: number | Unnumbered, task: string): Promise<void> {
  const expires_at = epochSeconds(new Date().toISOString()) + KEPT_SECONDS;
  const Item: LaneItem = { ...laneKey(of.room_id, of.feed, orderOf(at)), task, expires_at };
  await dynamodb.send(new PutCommand({ TableName: tableName(), Item }));
}

export interface Waiting {
  readonly key: Key;
  /** The task as it was stored. */
  readonly task: string;
}

/** Returns tasks that wait in a lane now, in order, but not necessarily all of them. */
export async function waitingInLane({ room_id, feed }: FeedOfRoom): Promise<Waiting[]> {
  const { PK, SK } = laneKey(room_id, feed, '');
  const { items } = await queryPage<LaneItem>(
    {
      KeyConditionExpression: 'PK = :room AND begins_with(SK, :lane)',
      ExpressionAttributeValues: { ':room': PK, ':lane': SK },
      ConsistentRead: true,
    },
    MAX_ITEMS,
  );
  return items.map(({ task, ...key }) => ({ key: { PK: key.PK, SK: key.SK }, task }));
}

/** Deletes delivered tasks. */
export async function removeFromLane(keys: readonly Key[]): Promise<void> {
  await Promise.all(keys.map(remove));
}

/** Returns whether the events of a feed go through the room's lane. */
export const isInLane = async (of: FeedOfRoom): Promise<boolean> =>
  (await get<SequenceItem>(keyOf(of)))?.[`${of.feed}_lane`] === true;

/** Routes all later events of a feed through the room's lane, until `leaveLane`. */
export async function enterLane(of: FeedOfRoom): Promise<void> {
  await update<SequenceItem>(keyOf(of), {
    UpdateExpression: 'SET #lane = :true',
    ExpressionAttributeNames: { '#lane': `${of.feed}_lane` },
    ExpressionAttributeValues: { ':true': true },
  });
}

/**
 * Ends the use of the lane, if `last` is the last number of the feed. Then the lane is empty, and the function that
 * assigns the next number sees that it has ended. Otherwise, more events are in the lane or about to enter it, and
 * nothing changes.
 */
export async function leaveLane(of: FeedOfRoom, last: number): Promise<void> {
  await update<SequenceItem>(keyOf(of), {
    UpdateExpression: 'REMOVE #lane',
    ConditionExpression: '#feed = :last',
    ExpressionAttributeNames: { '#lane': `${of.feed}_lane`, '#feed': of.feed },
    ExpressionAttributeValues: { ':last': last },
  });
}
