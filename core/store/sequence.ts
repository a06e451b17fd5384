import type { Feed, RoomSeq } from '../contract/realtime.ts';
import type { ChangesItem, ConnectionItem, LastMessage, SequenceItem, SubscriptionItem } from './items.ts';
import { changesKey, connectionKey, type Key, roomSequenceKey, userConnectionKey, userSequenceKey } from './keys.ts';
import { batchGetOrdered, get, getMany } from './read.ts';
import { update } from './write.ts';

/*
 * The numbers of events. Only what delivers events writes them: one write for each batch and feed. See docs/decisions/0030-rooms-v2.md.
 */

/** The feeds of a room. */
export type RoomFeed = Exclude<Feed, 'user'>;

/** A feed of a room. */
export interface FeedOfRoom {
  readonly feed: RoomFeed;
  readonly room_id: string;
}

/** Whose events are numbered. */
export type Numbered = FeedOfRoom | { readonly feed: 'user'; readonly user_id: string };

/** Where the numbers are. */
export const keyOf = (of: Numbered): Key =>
  of.feed === 'user' ? userSequenceKey(of.user_id) : roomSequenceKey(of.room_id);

export interface NumberedBatch {
  /** The number of the first event. */
  readonly first: number;
  /** True for a batch that was sent before, and is delivered again because something else failed: see `recordSent`. */
  readonly isSent: boolean;
  /** Whether the feed's events go through the room's lane. */
  readonly inLane: boolean;
}

/**
 * Gives numbers to `count` events. The batch that got the last numbers gets the same ones again, so neither a retry nor a lost answer makes
 * a gap.
 *
 * @param batch says which events these are: equal for the same ones, and different for all others
 * @param last the newest message among them, which the same write records as the room's last. An older one than the recorded is ignored:
 *   that takes a second write, after a record that was redriven or stored out of order.
 */
export async function numberEvents(
  of: Numbered,
  count: number,
  batch: string,
  last?: LastMessage,
): Promise<NumberedBatch> {
  const { feed } = of;
  const write = (newest?: LastMessage) =>
    update<SequenceItem>(keyOf(of), {
      UpdateExpression: `ADD #feed :count SET #batch = :batch${newest ? ', last_message_id = :last, last_sender_id = :sender' : ''}`,
      ConditionExpression: `(attribute_not_exists(#batch) OR #batch <> :batch)${newest ? ' AND (attribute_not_exists(last_message_id) OR last_message_id < :last)' : ''}`,
      ExpressionAttributeNames: { '#feed': feed, '#batch': `${feed}_batch` },
      ExpressionAttributeValues: {
        ':count': count,
        ':batch': batch,
        ...(newest && { ':last': newest.last_message_id, ':sender': newest.last_sender_id }),
      },
    });
  let outcome = await write(last);
  if (last && !outcome.done && outcome.old?.[`${feed}_batch`] !== batch) outcome = await write();
  const item = outcome.done ? outcome.item : outcome.old;
  return {
    first: (item?.[feed] ?? 0) - count + 1,
    isSent: !outcome.done && item?.[`${feed}_sent`] === batch,
    inLane: feed !== 'user' && item?.[`${feed}_lane`] === true,
  };
}

/** Records that the events of the batch that got the last numbers have been sent, so that they are not sent again with the batch. */
export async function recordSent(of: Numbered, batch: string): Promise<void> {
  await update<SequenceItem>(keyOf(of), {
    UpdateExpression: 'SET #sent = :batch',
    ConditionExpression: '#batch = :batch',
    ExpressionAttributeNames: { '#sent': `${of.feed}_sent`, '#batch': `${of.feed}_batch` },
    ExpressionAttributeValues: { ':batch': batch },
  });
}

const toRoomSeq = (item: SequenceItem | undefined): RoomSeq => ({
  messages: item?.messages ?? 0,
  changes: item?.changes ?? 0,
});

/** Returns the last numbers of a room's feeds, and of the changes of its messages, as they are now. */
export async function roomNumbers(room_id: string): Promise<{ readonly seq: RoomSeq; readonly last_change: number }> {
  const [item, changes] = await batchGetOrdered<[SequenceItem, ChangesItem]>(
    roomSequenceKey(room_id),
    changesKey(room_id),
  );
  return { seq: toRoomSeq(item), last_change: changes?.last ?? 0 };
}

/** Returns the last number of a user's feed, as it is now. */
export const userSeq = async (user_id: string): Promise<number> =>
  (await get<SequenceItem>(userSequenceKey(user_id)))?.user ?? 0;

export interface ConnectionSeq {
  /** By room. Rooms that the connection has not joined are missing. */
  readonly rooms?: Readonly<Record<string, RoomSeq>>;
  /** Missing where the connection has not subscribed. */
  readonly user?: number;
}

/** Returns, as they are now, the last numbers of those of the rooms that a connection has joined, and of its user if it has subscribed. */
export async function seqFor({
  connection_id,
  user_id,
  rooms,
  subscribed = false,
}: {
  connection_id: string;
  user_id: string;
  rooms: readonly string[] | undefined;
  subscribed: boolean | undefined;
}): Promise<ConnectionSeq> {
  const ids = [...new Set(rooms)];
  const keys = [
    ...ids.flatMap((room_id) => [connectionKey(room_id, connection_id), roomSequenceKey(room_id)]),
    ...(subscribed ? [userConnectionKey(user_id, connection_id), userSequenceKey(user_id)] : []),
  ];
  const items = keys.length > 0 ? await getMany<Key>(keys, { consistent: true }) : [];
  const at = <Item extends Key>({ PK, SK }: Key) =>
    items.find((item) => item.PK === PK && item.SK === SK) as Item | undefined;
  const isJoined = (room_id: string) => at<ConnectionItem>(connectionKey(room_id, connection_id)) !== undefined;
  const isSubscribed = subscribed && at<SubscriptionItem>(userConnectionKey(user_id, connection_id)) !== undefined;
  return {
    ...(rooms && {
      rooms: Object.fromEntries(
        ids.filter(isJoined).map((room_id) => [room_id, toRoomSeq(at<SequenceItem>(roomSequenceKey(room_id)))]),
      ),
    }),
    ...(isSubscribed && { user: at<SequenceItem>(userSequenceKey(user_id))?.user ?? 0 }),
  };
}
