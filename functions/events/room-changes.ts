import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { deleteUnusedObject } from '../../core/files/unused.ts';
import { deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { countReader } from '../../core/platform/emf.ts';
import { settleAll } from '../../core/platform/settle-all.ts';
import { type Effect, effectsOf, type Present, type RoomChange } from '../../core/realtime/changes.ts';
import { applyEffects } from '../../core/realtime/effects.ts';
import { imageOf, keyOf, processByPartition } from '../../core/realtime/stream.ts';
import type { WarnedItem } from '../../core/store/agenda.ts';
import type { ConnectionItem, LeftItem, ParticipantItem, RoomItem } from '../../core/store/items.ts';
import {
  ANNOUNCED,
  CONNECTION,
  connectionKey,
  DISCONNECTING,
  FILE,
  type Key,
  LEFT,
  leftKey,
  PARTICIPANT,
  PRESENCE,
  participantKey,
  presenceDigestKey,
  ROOM,
  roomIdOf,
  roomKey,
  WARNED,
} from '../../core/store/keys.ts';
import type { DigestItem } from '../../core/store/presence-digest.ts';
import { getMany } from '../../core/store/read.ts';

/** Sends changes of rooms to clients and back ends, and applies the other effects of the changes. */
export const handler = ({ Records }: DynamoDBStreamEvent, context: TimeLeft): Promise<DynamoDBBatchResponse> => {
  const deadline = deadlineOf(context);
  return processByPartition(
    Records,
    (record) => ({
      id: record.eventID ?? '',
      stored_at: 1_000 * (record.dynamodb?.ApproximateCreationDateTime ?? 0),
      room_id: roomIdOf(keyOf(record).PK),
      change: changeOf(record),
      file_id: expiredFileOf(record),
    }),
    async (records) => {
      const [first] = records;
      if (!first) return;
      const { room_id } = first;
      const changes = records.flatMap(({ change }) => (change ? [change] : []));
      const started = performance.now();
      const files = records.flatMap(({ file_id }) => file_id ?? []);
      const [effects] = await settleAll([
        changes.length > 0 ? applyChanges() : [],
        ...files.map((file_id) => deleteUnusedObject(room_id, file_id, new Date().toISOString())),
      ]);
      console.info({
        action: 'room_changes',
        room_id,
        changes: records.length,
        effects: effects.map((effect) => (effect.kind === 'event' ? effect.event.type : effect.kind)),
        ...(files.length > 0 && { expired_files: files.length }),
        duration_ms: Math.round(performance.now() - started),
      });

      async function applyChanges(): Promise<Effect[]> {
        const present = await presentOf(room_id, changes);
        const now = new Date().toISOString();
        const applied = effectsOf(changes, present, now);
        const stored_at = records.flatMap((record) => (record.change ? [record.stored_at] : []));
        const { isHanded } = await applyEffects(room_id, present.room, applied, {
          now,
          source: first?.id ?? '',
          stored_at,
          digests: present.digests,
          deadline,
        });
        // If the events are in the room's lane, the function `lane` measures them.
        if (!isHanded && applied.some(({ kind }) => kind === 'event')) {
          const delivered = Date.now();
          const times = stored_at.map((time) => Math.max(0, delivered - time));
          countReader('room-changes', { StoredToDelivered: times });
        }
        return applied;
      }
    },
  );
};

/** Returns the ID of an unused file if DynamoDB has deleted its expired record. */
function expiredFileOf(record: DynamoDBRecord): string | undefined {
  const { SK } = keyOf(record);
  return SK.startsWith(FILE) && isTimeToLive(record) ? SK.slice(FILE.length) : undefined;
}

function changeOf(record: DynamoDBRecord): RoomChange | undefined {
  const { SK } = keyOf(record);
  const { OldImage, NewImage } = record.dynamodb ?? {};
  if (SK === ROOM)
    return { of: 'room', change: { old: imageOf<RoomItem>(OldImage), new: imageOf<RoomItem>(NewImage) } };
  if (SK.startsWith(PARTICIPANT))
    return {
      of: 'participant',
      participant_id: SK.slice(PARTICIPANT.length),
      change: { old: imageOf<ParticipantItem>(OldImage), new: imageOf<ParticipantItem>(NewImage) },
    };
  if (SK.startsWith(DISCONNECTING)) return { of: 'mark' };
  if (SK.startsWith(ANNOUNCED)) return { of: 'announced' };
  const warned = SK.startsWith(WARNED) && imageOf<WarnedItem>(NewImage);
  if (warned) return { of: 'warned', warned };
  const connection = SK.startsWith(CONNECTION) && isTimeToLive(record) && imageOf<ConnectionItem>(OldImage);
  return connection ? { of: 'expired_connection', connection } : undefined;
}

/** Whether DynamoDB has deleted the item because it had expired. */
const isTimeToLive = ({ eventName, userIdentity }: DynamoDBRecord): boolean =>
  eventName === 'REMOVE' && userIdentity?.principalId === 'dynamodb.amazonaws.com';

const changesPresence = ({ change }: RoomChange & { of: 'participant' }): boolean =>
  (change.old?.present ?? false) !== (change.new?.present ?? false);

/** Reads the items that the changes concern, with one consistent batch read. */
async function presentOf(
  room_id: string,
  changes: readonly RoomChange[],
): Promise<Present & { readonly digests: DigestItem | undefined }> {
  const keys = changes.flatMap((change) => {
    if (change.of === 'mark') return [];
    if (change.of === 'room' || change.of === 'announced' || change.of === 'warned') return roomKey(room_id);
    if (change.of === 'participant') {
      const { participant_id } = change;
      const left = change.change.new ? [] : [leftKey(room_id, participant_id)];
      const digests = changesPresence(change) ? [presenceDigestKey(room_id)] : [];
      return [roomKey(room_id), participantKey(room_id, participant_id), ...left, ...digests];
    }
    return connectionKey(room_id, change.connection.connection_id);
  });
  const items = await getMany<Key>([...new Map(keys.map((key) => [key.SK, key])).values()], { consistent: true });
  const under = (prefix: string): Key[] => items.filter(({ SK }) => SK.startsWith(prefix));
  return {
    // As in all reads, the prefix of the key determines the type of the item.
    room: items.find(({ SK }) => SK === ROOM) as RoomItem | undefined,
    participants: new Map(
      under(PARTICIPANT).map((item) => [item.SK.slice(PARTICIPANT.length), item as ParticipantItem]),
    ),
    left: new Map(under(LEFT).map((item) => [item.SK.slice(LEFT.length), (item as LeftItem).left_at])),
    digests: items.find(({ SK }) => SK === PRESENCE) as DigestItem | undefined,
    connections: new Set(under(CONNECTION).map(({ SK }) => SK.slice(CONNECTION.length))),
  };
}
