import { randomUUID } from 'node:crypto';
import { ScanCommand, type ScanCommandOutput } from '@aws-sdk/lib-dynamodb';
import { vi } from 'vitest';
import { dynamodb, tableName } from '../../core/store/client.ts';
import { type Data, data, succeed } from './invoke.ts';

/** A new user ID that no other test uses. */
export const newUser = (name = 'user'): string => `${name}-${randomUUID()}`;

export interface World {
  readonly room_id: string;
  /** Created the room. */
  readonly admin: string;
  /** A participant without the admin right. */
  readonly member: string;
  /** In no room. */
  readonly outsider: string;
}

/** A room with an admin and a member. */
export async function newRoom(options: { body?: object; members?: readonly string[] } = {}): Promise<World> {
  const [admin, member, outsider] = [newUser('admin'), newUser('member'), newUser('outsider')];
  const { room_id } = await data('createRoom', {
    as: admin,
    body: { name: 'A room', participant_ids: [member, ...(options.members ?? [])], ...options.body },
  });
  return { room_id, admin, member, outsider };
}

/** The IDs of all participants of a room, in the order of the API. */
export async function participantsOf(room_id: string, as: string) {
  const all = await data('listParticipants', { as, params: { room_id }, query: { limit: 200 } });
  return all.map(({ participant_id }) => participant_id);
}

/**
 * All items of the table in a fixed order, without the counters of limits per user. Compare two snapshots to detect
 * changes.
 */
export async function snapshot(): Promise<string[]> {
  const items: string[] = [];
  let start: ScanCommandOutput['LastEvaluatedKey'];
  do {
    const { Items = [], LastEvaluatedKey } = await dynamodb.send(
      new ScanCommand({ TableName: tableName(), ConsistentRead: true, ExclusiveStartKey: start }),
    );
    items.push(
      ...Items.filter(({ SK }) => !String(SK).startsWith('LIMIT#')).map((item) =>
        JSON.stringify(item, (_, value: unknown) => (value instanceof Set ? [...value].sort() : value)),
      ),
    );
    start = LastEvaluatedKey;
  } while (start);
  return items.sort();
}

/**
 * All rooms of a user, page by page, newest first. In production, the index may be behind; in DynamoDB Local, it is
 * not.
 */
export async function allRoomsOf(as: string, query: Readonly<Record<string, string | number>> = {}) {
  const rooms: Data<'listRooms'> = [];
  let cursor: string | undefined;
  do {
    const { data: items, page } = await succeed('listRooms', { as, query: { ...query, ...(cursor && { cursor }) } });
    rooms.push(...items);
    cursor = page?.next_cursor ?? undefined;
  } while (cursor);
  return rooms;
}

/** Runs `work` with a clock that stands still at the given time. Timers still run. */
export async function at<T>(moment: Date | string | number, work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date(moment) });
  try {
    return await work();
  } finally {
    vi.useRealTimers();
  }
}
