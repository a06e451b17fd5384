import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import { v7 as uuidv7 } from 'uuid';
import { dynamodb, tableName } from '../../core/store/client.ts';
import { participantKey, roomKey, roomPartition, userRoomKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { writeItems } from '../fixtures/write-items.ts';
import { newUser, type World } from './world.ts';

/*
 * Fills the table with rooms, because requests to the handlers would take too long. Import it only after the environment
 * contains the table's name and endpoint.
 */

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
