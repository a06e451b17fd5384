import { randomUUID } from 'node:crypto';
import { BatchWriteCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { v7 as uuidv7 } from 'uuid';
import { dynamodb, tableName } from '../../core/store/client.ts';
import type { ConnectionItem } from '../../core/store/items.ts';
import {
  connectionKey,
  connectionRoomKey,
  participantKey,
  roomKey,
  roomPartition,
  userRoomKey,
} from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { newUser, type World } from './world.ts';

/*
 * Writes many items directly to the table, because requests to the handlers would take too long. Import it only after
 * the environment contains the table's name and endpoint.
 */

/** DynamoDB's maximum of items per BatchWriteItem. */
const BATCH = 25;
/** How many batches run at the same time. More do not make DynamoDB Local faster. */
const AT_ONCE = 2;

export async function writeItems(items: Iterable<object>): Promise<void> {
  const source = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (;;) {
      const batch: object[] = [];
      for (let next = source.next(); !next.done; next = source.next()) {
        batch.push(next.value);
        if (batch.length === BATCH) break;
      }
      if (batch.length === 0) return;
      await dynamodb.send(
        new BatchWriteCommand({ RequestItems: { [tableName()]: batch.map((Item) => ({ PutRequest: { Item } })) } }),
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Returns a copy of a value in which `change` was applied to every string. */
function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (value instanceof Set) return new Set([...value].map((each) => mapStrings(each, change)));
  if (Array.isArray(value)) return value.map((each) => mapStrings(each, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mapStrings(each, change)]));
}

/** Writes copies of a room. Each copy has its own room ID and its own users. */
export async function copiesOf(world: World, count: number): Promise<World[]> {
  const { Items = [] } = await dynamodb.send(
    new QueryCommand({
      TableName: tableName(),
      KeyConditionExpression: 'PK = :room',
      ExpressionAttributeValues: { ':room': roomPartition(world.room_id) },
      ConsistentRead: true,
    }),
  );
  const copies = Array.from({ length: count }, () => ({
    room_id: uuidv7(),
    admin: newUser('admin'),
    member: newUser('member'),
    outsider: newUser('outsider'),
  }));
  await writeItems(
    copies.flatMap(({ room_id, admin, member }) => {
      const change = (text: string): string =>
        text.replaceAll(world.room_id, room_id).replaceAll(world.admin, admin).replaceAll(world.member, member);
      return Items.map((item) => Object(mapStrings(item, change)));
    }),
  );
  return copies;
}

/** Writes connections that have joined a room. By default, they belong to users who are not participants. */
export const haveJoined = (
  room_id: string,
  connection_ids: readonly string[],
  participant_id?: string,
  more: Partial<ConnectionItem> = {},
) =>
  writeItems(
    connection_ids.map(
      (connection_id): ConnectionItem => ({
        ...connectionKey(room_id, connection_id),
        ...connectionRoomKey(room_id, connection_id),
        room_id,
        connection_id,
        participant_id: participant_id ?? randomUUID(),
        token_expires_at: 4_000_000_000,
        expires_at: 4_000_000_000,
        ...more,
      }),
    ),
  );

/**
 * Writes copies of a room with one participant. Their creation times follow each other in milliseconds from `start`.
 */
export async function moreRooms(user_id: string, room_id: string, count: number, start: number): Promise<void> {
  const [room, participant] = await Promise.all([get(roomKey(room_id)), get(participantKey(room_id, user_id))]);
  function* copies(): Generator<object> {
    for (let n = 0; n < count; n++) {
      const id = uuidv7({ msecs: start + n });
      yield { ...room, ...roomKey(id), room_id: id };
      yield { ...participant, ...participantKey(id, user_id), ...userRoomKey(id, user_id), room_id: id };
    }
  }
  await writeItems(copies());
}
