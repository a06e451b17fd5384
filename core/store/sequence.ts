import type { Feed, RoomSeq } from '../contract/realtime.ts';
import type { ChangesItem, ConnectionItem, LastMessage, SequenceItem, SubscriptionItem } from './items.ts';
import { changesKey, connectionKey, type Key, roomSequenceKey, userConnectionKey, userSequenceKey } from './keys.ts';
import { batchGetOrdered, get, getMany } from './read.ts';
import { update } from './write.ts';

/*
 * The numbers of events. They are assigned at delivery, with one write per batch and feed. See
 * docs/decisions/0030-rooms-v2.md.
 */

/** The feeds of a room. */
export type RoomFeed = Exclude<Feed, 'user'>;

/** A feed of a room. */
export interface FeedOfRoom {
  readonly feed: RoomFeed;
  readonly room_id: string;
}

/** The room feed or the user whose events are numbered. */
export type Numbered = FeedOfRoom | { readonly feed: 'user'; readonly user_id: string };

/** The keys of the item with the last numbers. */
export const keyOf = (of: Numbered): Key =>
  of.feed === 'user' ? userSequenceKey(of.user_id) : roomSequenceKey(of.room_id);

export interface NumberedBatch {
  /** The number of the first event. */
  readonly first: number;
  /**
   * Whether the batch was already sent, and is only delivered again because something else failed: see `recordSent`.
   */
  readonly isSent: boolean;
  /** Whether the events of the feed go through the room's lane. */
  readonly inLane: boolean;
}

/**
 * Assigns numbers to `count` events. If the batch already has the last numbers, it gets the same ones again, so that
 * neither a retry nor a lost response creates a gap.
 *
 * @param batch identifies these events: the same for a repeated delivery, and different for all other events
 * @param last the newest message among them, which the same write records as the room's last. An older message than the
 * recorded one is ignored, which takes a second write. That happens after a redrive, or if records are out of order
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

/** Records that the batch with the last numbers was sent, so that a retry does not send it again. */
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

/** Returns the last numbers of a room's feeds and of its message changes, with a consistent read. */
export async function roomNumbers(room_id: string): Promise<{ readonly seq: RoomSeq; readonly last_change: number }> {
  const [item, changes] = await batchGetOrdered<[SequenceItem, ChangesItem]>(
    roomSequenceKey(room_id),
    changesKey(room_id),
  );
  return { seq: toRoomSeq(item), last_change: changes?.last ?? 0 };
}

/** Returns the last number of a user's feed, with a consistent read. */
export const userSeq = async (user_id: string): Promise<number> =>
  (await get<SequenceItem>(userSequenceKey(user_id)))?.user ?? 0;

export interface ConnectionSeq {
  /** By room ID. Rooms that the connection has not joined are missing. */
  readonly rooms?: Readonly<Record<string, RoomSeq>>;
  /** Undefined if the connection has not subscribed. */
  readonly user?: number;
}

/**
 * Returns the last numbers of the given rooms that a connection has joined, and of its user if it has subscribed.
 * Consistent.
 */
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
