import { randomUUID } from 'node:crypto';
import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { dynamodb, tableName } from '../../core/store/client.ts';
import type { ConnectionItem } from '../../core/store/items.ts';
import { connectionKey, connectionRoomKey } from '../../core/store/keys.ts';

/*
 * Fills the table past what handlers could in the time. Load it only when the environment says where the table is.
 */

/** DynamoDB's limit for one BatchWriteItem. */
const BATCH = 25;
/** Batches that are under way together: more do not make DynamoDB Local faster. */
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

/** Lets these connections have joined a room, as users who are nobody, unless it is said who. */
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
