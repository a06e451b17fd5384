import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { connectionExpired, type Effect, participantChanged, roomChanged } from '../../core/realtime/changes.ts';
import { carryOut } from '../../core/realtime/effects.ts';
import { imageOf, keyOf, perPartition } from '../../core/realtime/stream.ts';
import type { ConnectionItem, ParticipantItem, RoomItem } from '../../core/store/items.ts';
import { CONNECTION, PARTICIPANT, ROOM, roomIdOf } from '../../core/store/keys.ts';

/** Tells clients and back ends what has changed in rooms, whoever changed it. */
export const handler = ({ Records }: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  const now = new Date().toISOString();
  return perPartition(
    Records,
    (record) => ({ room_id: roomIdOf(keyOf(record).PK), effects: effectsOf(record, now) }),
    async (changes) => {
      const [first] = changes;
      if (!first) return;
      const { room_id } = first;
      const effects = changes.flatMap((change) => change.effects);
      const started = performance.now();
      await carryOut(room_id, effects, now);
      console.info({
        action: 'room_changes',
        room_id,
        changes: changes.length,
        effects: effects.map((effect) => (effect.kind === 'event' ? effect.event.type : effect.kind)),
        duration_ms: Math.round(performance.now() - started),
      });
    },
  );
};

function effectsOf(record: DynamoDBRecord, now: string): Effect[] {
  const { SK } = keyOf(record);
  const change = <Item extends RoomItem | ParticipantItem | ConnectionItem>() => ({
    old: imageOf<Item>(record.dynamodb?.OldImage),
    new: imageOf<Item>(record.dynamodb?.NewImage),
  });
  if (SK === ROOM) return roomChanged(change<RoomItem>(), now);
  if (SK.startsWith(PARTICIPANT)) return participantChanged(change<ParticipantItem>(), now);
  if (SK.startsWith(CONNECTION) && isTimeToLive(record)) return connectionExpired(change<ConnectionItem>());
  return [];
}

/** Whether it was DynamoDB that deleted the item, because it had expired. */
const isTimeToLive = ({ eventName, userIdentity }: DynamoDBRecord): boolean =>
  eventName === 'REMOVE' && userIdentity?.principalId === 'dynamodb.amazonaws.com';
