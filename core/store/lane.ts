import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { epochSeconds } from '../rules/time.ts';
import { dynamodb, tableName } from './client.ts';
import type { SequenceItem } from './items.ts';
import { type Key, laneKey } from './keys.ts';
import { get, queryPage } from './read.ts';
import { type FeedOfRoom, keyOf } from './sequence.ts';
import { remove, update } from './write.ts';

/*
 * What waits in the lanes of large and busy rooms: items in the order of the numbers of their events. See docs/decisions/0032-lanes.md.
 */

/** How long what waits is kept, in seconds: who missed something that long ago has caught up, or is gone. */
const KEPT_SECONDS = 3_600;
/** Read together: more than a room takes while it is delivered to once. */
const MAX_ITEMS = 100;

/** The part of what waits that comes after all numbered events: events without a number, and the end of the room. */
export type Unnumbered = 'unnumbered' | 'close';

/** Its order. Numbers sort before both. */
const ORDER: Readonly<Record<Unnumbered, string>> = { unnumbered: '~1', close: '~2' };
/** Digits of the largest number that JSON can keep exact. */
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
 * Stores what is to be delivered. The same again changes nothing.
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
  /** As it was stored. */
  readonly task: string;
}

/** Returns what waits in a lane, as it is now, in order: not necessarily all of it. */
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

/** Removes what has been delivered. */
export async function removeFromLane(keys: readonly Key[]): Promise<void> {
  await Promise.all(keys.map(remove));
}

/** Returns whether a feed's events go through the room's lane. */
export const isInLane = async (of: FeedOfRoom): Promise<boolean> =>
  (await get<SequenceItem>(keyOf(of)))?.[`${of.feed}_lane`] === true;

/** Has all later events of a feed go through the room's lane, until `leaveLane`. */
export async function enterLane(of: FeedOfRoom): Promise<void> {
  await update<SequenceItem>(keyOf(of), {
    UpdateExpression: 'SET #lane = :true',
    ExpressionAttributeNames: { '#lane': `${of.feed}_lane` },
    ExpressionAttributeValues: { ':true': true },
  });
}

/**
 * Ends the use of the lane, if `last` is the feed's last number: then the lane is empty, and whoever gives the next number sees that it has
 * ended. Does nothing otherwise: more events are in the lane, or on their way to it.
 */
export async function leaveLane(of: FeedOfRoom, last: number): Promise<void> {
  await update<SequenceItem>(keyOf(of), {
    UpdateExpression: 'REMOVE #lane',
    ConditionExpression: '#feed = :last',
    ExpressionAttributeNames: { '#lane': `${of.feed}_lane`, '#feed': of.feed },
    ExpressionAttributeValues: { ':last': last },
  });
}
