import type { MyRoom, Page } from '../contract/answers.ts';
import { MAX_PAGE_SIZE, MAX_ROOMS_READ } from '../contract/limits.ts';
import type { RequestContext } from '../contract/route.ts';
import { type RoomStatus, roomStatus } from '../rules/room.ts';
import type { Timestamp } from '../rules/time.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { type IndexedParticipant, type ParticipantItem, type RoomItem, type SequenceItem, toMyRoom } from './items.ts';
import {
  INDEX,
  type Key,
  participantKey,
  roomIdOf,
  roomKey,
  roomPartition,
  roomSequenceKey,
  userPartition,
  userRoomKey,
} from './keys.ts';
import { getMany, type PageOf, queryPage } from './read.ts';

/** A filter of a user's rooms. */
export interface RoomFilter {
  readonly status?: RoomStatus | undefined;
  readonly archived?: boolean | undefined;
  /** The earliest start, inclusive. */
  readonly from?: Timestamp | undefined;
  /** The latest start, exclusive. */
  readonly to?: Timestamp | undefined;
}

interface RoomOfUser {
  readonly room: RoomItem;
  readonly participant: ParticipantItem;
  readonly sequence: SequenceItem | undefined;
}

/** Returns the rooms in which the user is a participant, in the given order. Eventually consistent, like the index. */
async function roomsOf(room_ids: readonly string[], user_id: string): Promise<RoomOfUser[]> {
  const keys = room_ids.flatMap((id) => [roomKey(id), participantKey(id, user_id), roomSequenceKey(id)]);
  const items = await getMany<Key>(keys, { consistent: false });
  const found = new Map(items.map((item) => [`${item.PK} ${item.SK}`, item]));
  const at = <Item extends Key>({ PK, SK }: Key) => found.get(`${PK} ${SK}`) as Item | undefined;
  return room_ids.flatMap((id) => {
    const room = at<RoomItem>(roomKey(id));
    const participant = at<ParticipantItem>(participantKey(id, user_id));
    return room && participant ? [{ room, participant, sequence: at<SequenceItem>(roomSequenceKey(id)) }] : [];
  });
}

const isWanted = ({ status, from, to }: RoomFilter, room: RoomItem, now: Timestamp): boolean =>
  (status === undefined || roomStatus(room, now) === status) &&
  (from === undefined || room.start_time >= from) &&
  (to === undefined || room.start_time < to);

const isArchived = ({ archived }: RoomFilter, { archive_room = false }: { archive_room?: boolean }): boolean =>
  archived === undefined || archive_room === archived;

/**
 * Returns the IDs of the rooms that match the filter, in the given order. Reads the rooms only if the filter requires
 * it.
 */
async function wantedOf(filter: RoomFilter, entries: readonly IndexedParticipant[], now: Timestamp): Promise<string[]> {
  const ids = entries.filter((entry) => isArchived(filter, entry)).map(({ PK }) => roomIdOf(PK));
  if (filter.status === undefined && filter.from === undefined && filter.to === undefined) return ids;
  const rooms = await getMany<RoomItem>(ids.map(roomKey), { consistent: false });
  const wanted = new Set(rooms.filter((room) => isWanted(filter, room, now)).map(({ room_id }) => room_id));
  return ids.filter((id) => wanted.has(id));
}

/** The number of rooms that are read first if there is a filter. It doubles each time, up to one page. */
const FIRST_ROOMS_READ = 50;

/**
 * Returns one page of the caller's rooms, by creation time. With a filter, it continues to read until the page is full,
 * or MAX_ROOMS_READ rooms were read.
 */
export async function listRooms({
  limit,
  order,
  cursor,
  caller,
  now,
  ...filter
}: RequestContext & RoomFilter & { order: 'asc' | 'desc'; limit: number; cursor?: string | undefined }): Promise<
  Page<MyRoom>
> {
  const list = `rooms of ${caller}`;
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  let position = cursor && decodeCursor(list, cursor);
  const look = (count: number): Promise<PageOf<IndexedParticipant>> =>
    queryPage<IndexedParticipant>(
      {
        IndexName: INDEX,
        KeyConditionExpression: 'GSI1PK = :user AND begins_with(GSI1SK, :room)',
        ExpressionAttributeValues: { ':user': userPartition(caller), ':room': roomPartition('') },
        ScanIndexForward: order === 'asc',
        ...(position && {
          ExclusiveStartKey: { ...participantKey(position, caller), ...userRoomKey(position, caller) },
        }),
      },
      count,
    );

  const wanted: string[] = [];
  let isMore = true;
  let count = isFiltered ? FIRST_ROOMS_READ : limit;
  for (
    let read = 0;
    isMore && wanted.length < limit && read < MAX_ROOMS_READ;
    count = Math.min(2 * count, MAX_PAGE_SIZE)
  ) {
    const { items, more } = await look(Math.min(count, MAX_ROOMS_READ - read));
    read += Math.max(1, items.length);
    const ids = await wantedOf(filter, items, now);
    const free = limit - wanted.length;
    wanted.push(...ids.slice(0, free));
    const last = items.at(-1)?.PK;
    isMore = more || ids.length > free;
    // Rooms that did not match are skipped on the next page.
    position = ids.length > free ? wanted.at(-1) : last === undefined ? position : roomIdOf(last);
  }
  const found = await roomsOf(wanted, caller);
  return {
    items: found.flatMap(({ room, participant, sequence }) =>
      // Both may have changed since the first read.
      isWanted(filter, room, now) && isArchived(filter, participant)
        ? [toMyRoom(room, participant, sequence, caller, now)]
        : [],
    ),
    next_cursor: isMore && position ? encodeCursor(list, position) : null,
  };
}
