import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CONNECTIONS_AT_ONCE } from '../../core/realtime/broadcast.ts';
import { gateway } from '../../core/realtime/gateway.ts';
import { dynamodb, tableName } from '../../core/store/client.ts';
import type { ConnectionItem } from '../../core/store/items.ts';
import { connectionKey, connectionRoomKey } from '../../core/store/keys.ts';
import { deliver, send } from '../support/delivery.ts';
import { type Management, startManagement } from '../support/management.ts';
import { patient } from '../support/patient.ts';
import { newRoom } from '../support/world.ts';

let management: Management;
beforeAll(async () => {
  management = await startManagement({ answerAfter: 5 });
  process.env.CALLBACK_URL = management.url;
  patient(gateway());
});
afterAll(() => management.close());

const ALL = ['one', 'two', 'three'];

test('messages reach a thousand connections of one room, each once and in order, within the bound', async () => {
  const { room_id, admin, member } = await newRoom();
  const items = Array.from({ length: 1_000 }, (_, n): ConnectionItem => {
    const connection_id = `connection-${n}=`;
    return {
      ...connectionKey(room_id, connection_id),
      ...connectionRoomKey(room_id, connection_id),
      room_id,
      connection_id,
      participant_id: member,
      token_expires_at: 4_000_000_000,
      expires_at: 4_000_000_000,
    };
  });
  for (let n = 0; n < items.length; n += 25)
    await dynamodb.send(
      new BatchWriteCommand({
        RequestItems: { [tableName()]: items.slice(n, n + 25).map((Item) => ({ PutRequest: { Item } })) },
      }),
    );
  const { failures, lines } = await deliver(await send(room_id, admin, ...ALL));
  expect(failures).toEqual([]);
  expect(lines).toEqual([expect.objectContaining({ level: 'info' })]);
  expect(management.delivered).toHaveLength(3_000);
  const seen = Map.groupBy(management.delivered, ({ connection_id }) => connection_id);
  expect(seen.size).toBe(1_000);
  for (const frames of seen.values()) expect(frames.map(({ frame }) => JSON.parse(frame).data.text)).toEqual(ALL);
  // That there are many at a time is the point of the bound; that there are never more, its promise.
  expect(management.peak()).toBeLessThanOrEqual(CONNECTIONS_AT_ONCE);
  expect(management.peak()).toBeGreaterThan(CONNECTIONS_AT_ONCE / 2);
});
