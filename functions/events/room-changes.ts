import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { type Effect, participantChanged, roomChanged } from '../../core/realtime/changes.ts';
import { carryOut } from '../../core/realtime/effects.ts';
import { imageOf, keyOf, perPartition } from '../../core/realtime/stream.ts';
import type { ParticipantItem, RoomItem } from '../../core/store/items.ts';
import { PARTICIPANT, ROOM, roomIdOf } from '../../core/store/keys.ts';

/** Tells clients and back ends what has changed in rooms, whoever changed it. */
export const handler = ({ Records }: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> =>
  perPartition(Records, async (records) => {
    const [first] = records;
    if (!first) return;
    const now = new Date().toISOString();
    await carryOut(
      roomIdOf(keyOf(first).PK),
      records.flatMap((record) => effectsOf(record, now)),
      now,
    );
  });

function effectsOf(record: DynamoDBRecord, now: string): Effect[] {
  const { SK } = keyOf(record);
  const change = <Item extends RoomItem | ParticipantItem>() => ({
    old: imageOf<Item>(record.dynamodb?.OldImage),
    new: imageOf<Item>(record.dynamodb?.NewImage),
  });
  if (SK === ROOM) return roomChanged(change<RoomItem>(), now);
  if (SK.startsWith(PARTICIPANT)) return participantChanged(change<ParticipantItem>(), now);
  return [];
}
