import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import {
  type DynamoDBDocumentClient,
  PutCommand,
  QueryCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { sharedPool } from '../../core/platform/pool.ts';
import { epochSeconds, type Timestamp } from '../../core/rules/time.ts';
import type { ParticipantItem, RoomItem } from '../../core/store/items.ts';
import { chatPartition, type Key, type Kind, kindOf, roomKey, roomPartition } from '../../core/store/keys.ts';
import { lockWrites, unlockWrites } from '../../core/store/posting.ts';
import type { Write } from '../../core/store/write.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';
import { copyFrom, type Objects, objectState, removeDeleteMarkers } from './objects.ts';

/*
 * Copies one room from a restored table to the table in use, while the service runs. Adds missing items. Existing items
 * that differ are newer. They are kept and reported, unless `overwrite` is set. The room's item is written last, so that
 * users see only a complete room and cannot join it before.
 */

export interface RestoreOptions {
  readonly dynamodb: DynamoDBDocumentClient;
  readonly objects: Objects;
  /** The table in use. */
  readonly table: string;
  /** The restored table. */
  readonly from: string;
  /** A bucket with files that the bucket in use has lost. */
  readonly fromBucket?: string | undefined;
  readonly room_id: string;
  /** Skips items that are newer than this time. Default: copies all items of the restored table. */
  readonly at?: Timestamp | undefined;
  /** Whether to write. Otherwise, differences are only reported. */
  readonly apply: boolean;
  /** Whether the room's fields and participants' profiles replace newer ones. */
  readonly overwrite: boolean;
  /** Called for each item that differs between the tables. */
  readonly onStep: (step: Step) => void;
}

/**
 * `add`, `overwrite`, `undelete`, `copy`: done, or planned. `keep`: the current item differs, and is kept. `lost`:
 * a file that does not exist in any bucket. `changed`: the item changed during the comparison, and was not overwritten.
 */
export type StepKind = 'add' | 'overwrite' | 'undelete' | 'copy' | 'keep' | 'lost' | 'changed';

export interface Step {
  readonly step: StepKind;
  readonly what: 'room' | 'participant' | 'message' | 'file' | 'object';
  readonly id: string;
  /** The names of the fields that differ. */
  readonly fields?: readonly string[];
}

export type Counts = Record<StepKind | 'same', number>;

const item = v.looseObject({ PK: v.string(), SK: v.string() });
type Item = v.InferOutput<typeof item>;

/** Returns the items of a partition, in the order of their sort keys. */
async function* itemsOf(dynamodb: DynamoDBDocumentClient, TableName: string, PK: string): AsyncGenerator<Item> {
  let start: Record<string, unknown> | undefined;
  do {
    const page = await dynamodb.send(
      new QueryCommand({
        TableName,
        KeyConditionExpression: 'PK = :partition',
        ExpressionAttributeValues: { ':partition': PK },
        ConsistentRead: true,
        ...(start && { ExclusiveStartKey: start }),
      }),
    );
    yield* v.parse(v.array(item), page.Items ?? []);
    start = page.LastEvaluatedKey;
  } while (start);
}

/**
 * Returns the items of the first list, each with the item of the second list with the same sort key. Both lists are sorted,
 * so only one page of each is in memory.
 */
async function* paired(
  source: AsyncGenerator<Item>,
  target: AsyncGenerator<Item>,
): AsyncGenerator<{ readonly source: Item; readonly target: Item | undefined }> {
  let other = await target.next();
  for await (const each of source) {
    while (!other.done && other.value.SK < each.SK) other = await target.next();
    yield { source: each, target: !other.done && other.value.SK === each.SK ? other.value : undefined };
  }
}

/**
 * Whether each attribute of a room and a participant can be overwritten. IDs, creation data, read marks, connections and presence are
 * not. The compiler requires an entry for each attribute.
 */
const OVERWRITABLE = {
  room: {
    room_id: false,
    name: true,
    description: true,
    start_time: true,
    end_time: true,
    end_reason: true,
    posting: true,
    metadata: true,
    end_warnings_seconds: true,
    announcements: true,
    admins: true,
    created_by: false,
    created_at: false,
    updated_at: false,
  },
  participant: {
    GSI1PK: false,
    GSI1SK: false,
    room_id: false,
    participant_id: false,
    username: true,
    archive_room: true,
    role: true,
    read_to: false,
    added_by: false,
    added_at: false,
    connections: false,
    present: false,
    left_at: false,
  },
} as const satisfies {
  readonly room: Readonly<Record<Exclude<keyof RoomItem, keyof Key>, boolean>>;
  readonly participant: Readonly<Record<Exclude<keyof ParticipantItem, keyof Key>, boolean>>;
};
const fieldsOf = (what: keyof typeof OVERWRITABLE): readonly string[] =>
  Object.entries(OVERWRITABLE[what]).flatMap(([name, isOverwritable]) => (isOverwritable ? [name] : []));

/** Attributes that are not restored: connections, and expiry times of items that are kept. */
const NOT_RESTORED = ['connections', 'present', 'left_at'];

const textOf = (value: unknown): string =>
  JSON.stringify(value instanceof Set ? [...value].sort() : value) ?? 'undefined';
const text = (of: Item, name: string): string => (typeof of[name] === 'string' ? of[name] : '');
/** Returns when an item was created, depending on its kind. */
const timeOf = (of: Item): string => text(of, 'sent_at') || text(of, 'added_at') || text(of, 'created_at');

/** Number of parallel requests. */
const AT_ONCE = 20;

const withFiles = v.object({
  attachment: v.optional(v.object({ file_id: v.string() })),
  attachments: v.optional(v.array(v.object({ file_id: v.string() }))),
});

function fileIdsOf(message: Item): string[] {
  const { attachment, attachments = attachment ? [attachment] : [] } = v.parse(withFiles, message);
  return attachments.map(({ file_id }) => file_id);
}

export async function restoreRoom(options: RestoreOptions): Promise<Counts> {
  const { dynamodb, objects, table, from, fromBucket, room_id, at, apply, overwrite, onStep } = options;
  const now = new Date().toISOString();
  const counts: Counts = {
    add: 0,
    overwrite: 0,
    undelete: 0,
    copy: 0,
    keep: 0,
    lost: 0,
    changed: 0,
    same: 0,
  };
  const report = (step: Step): void => {
    counts[step.step]++;
    onStep(step);
  };

  /** Puts an item, unless it already exists. Returns whether it did. */
  const put = (Item: Item): Promise<boolean> =>
    unlessRefused(
      dynamodb.send(new PutCommand({ TableName: table, Item, ConditionExpression: 'attribute_not_exists(PK)' })),
    );

  async function add(source: Item, what: Step['what'], id: string): Promise<void> {
    const lasting = Object.entries(source).filter(([name]) => !NOT_RESTORED.includes(name));
    const done = !apply || (await put({ PK: source.PK, SK: source.SK, ...Object.fromEntries(lasting) }));
    report({ step: done ? 'add' : 'changed', what, id });
  }

  /** Sets the fields to those of the source, unless they have changed since the comparison. */
  async function replace(source: Item, target: Item, what: 'room' | 'participant', id: string): Promise<void> {
    const fields = fieldsOf(what).filter((name) => textOf(source[name]) !== textOf(target[name]));
    if (fields.length === 0) {
      counts.same++;
      return;
    }
    if (!overwrite) return report({ step: 'keep', what, id, fields });
    const sets = fields.filter((name) => source[name] !== undefined);
    const removes = fields.filter((name) => source[name] === undefined);
    const stamp = what === 'room' ? ['updated_at = :now'] : [];
    const assignments = [...sets.map((name) => `#${name} = :${name}`), ...stamp];
    const done =
      !apply ||
      (await unlessRefused(
        dynamodb.send(
          new UpdateCommand({
            TableName: table,
            Key: { PK: target.PK, SK: target.SK },
            UpdateExpression: [
              ...(assignments.length > 0 ? [`SET ${assignments.join(', ')}`] : []),
              ...(removes.length > 0 ? [`REMOVE ${removes.map((name) => `#${name}`).join(', ')}`] : []),
            ].join(' '),
            ConditionExpression: [
              'attribute_exists(PK)',
              ...fields.map((name) =>
                target[name] === undefined ? `attribute_not_exists(#${name})` : `#${name} = :old_${name}`,
              ),
            ].join(' AND '),
            ExpressionAttributeNames: Object.fromEntries(fields.map((name) => [`#${name}`, name])),
            ExpressionAttributeValues: {
              ...Object.fromEntries(sets.map((name) => [`:${name}`, source[name]])),
              ...Object.fromEntries(
                fields.filter((name) => target[name] !== undefined).map((name) => [`:old_${name}`, target[name]]),
              ),
              ...(what === 'room' && { ':now': now }),
            },
          }),
        ),
      ));
    report({ step: done ? 'overwrite' : 'changed', what, id, fields });
  }

  async function bringBack(file_id: string): Promise<void> {
    const object = await objectState(objects, room_id, file_id);
    const step = (step: StepKind) => report({ step, what: 'object', id: file_id });
    if (object.state === 'there') counts.same++;
    else if (object.state === 'deleted')
      step(!apply || (await removeDeleteMarkers(objects, room_id, file_id, object.markers)) ? 'undelete' : 'changed');
    else if (fromBucket !== undefined && (await isIn(fromBucket, file_id)))
      step(!apply || (await copyFrom(objects, fromBucket, room_id, file_id)) ? 'copy' : 'lost');
    else step('lost');
  }
  const isIn = async (bucket: string, file_id: string): Promise<boolean> =>
    (await objectState({ ...objects, bucket }, room_id, file_id)).state === 'there';

  const isNewer = (source: Item): boolean => at !== undefined && timeOf(source) > at;
  const hasExpired = ({ expires_at }: Item): boolean =>
    typeof expires_at === 'number' && expires_at <= epochSeconds(now);
  const present = (partition: string) => itemsOf(dynamodb, table, partition);
  const backup = (partition: string) => itemsOf(dynamodb, from, partition);

  async function forAll(partition: string, kinds: readonly Kind[], work: (pair: Pair, kind: Kind) => Promise<void>) {
    const run = sharedPool(AT_ONCE)(AT_ONCE);
    let pending: Promise<void>[] = [];
    for await (const pair of paired(backup(partition), present(partition))) {
      const { kind } = kindOf(pair.source);
      if (!kinds.includes(kind) || isNewer(pair.source) || hasExpired(pair.source)) continue;
      const step = run(() => work(pair, kind));
      // The promise is awaited later. Until then, a rejection must not end the process.
      step.catch(() => {});
      pending.push(step);
      if (pending.length < 10 * AT_ONCE) continue;
      await Promise.all(pending);
      pending = [];
    }
    await Promise.all(pending);
  }
  type Pair = { readonly source: Item; readonly target: Item | undefined };

  /** Returns the files of messages in the backup that were deleted since, unless another message has the file. */
  async function deletedFiles(): Promise<ReadonlySet<string>> {
    const [gone, kept] = [new Set<string>(), new Set<string>()];
    await forAll(chatPartition(room_id), ['message'], async ({ source, target }) => {
      for (const id of fileIdsOf(source)) (target?.deleted_at === undefined ? kept : gone).add(id);
    });
    return gone.difference(kept);
  }

  /** Raises the change counter to that of the backup, if it is lower. */
  async function raiseChanges({ PK, SK, last }: Item): Promise<void> {
    const command = new UpdateCommand({
      TableName: table,
      Key: { PK, SK },
      UpdateExpression: 'SET #last = :last',
      ConditionExpression: '#last < :last',
      ExpressionAttributeNames: { '#last': 'last' },
      ExpressionAttributeValues: { ':last': last },
    });
    await unlessRefused(dynamodb.send(command));
  }

  const room = await only(dynamodb, from, roomKey(room_id));
  if (!room) throw new UsageError(`There is no room ${room_id} in the table ${from}.`);

  const deleted = await deletedFiles();
  await forAll(roomPartition(room_id), ['file'], async ({ source, target }) => {
    const id = text(source, 'file_id');
    // Keeps files deleted that users have deleted since the backup.
    if (deleted.has(id) && (!target || target.uses === 0)) return;
    // A file with an expiry has no message. It is restored only if its upload has finished.
    if (source.expires_at !== undefined && !(await isIn(objects.bucket, id))) return;
    await bringBack(id);
    if (target) counts.same++;
    else await add(source, 'file', id);
  });
  await forAll(chatPartition(room_id), ['message', 'sent', 'change', 'changes'], async ({ source, target }, kind) => {
    if (kind === 'change' || kind === 'changes') {
      // Pointers to changed messages, and the change counter, which only increases.
      if (apply && !target) await put(source);
      else if (apply && kind === 'changes') await raiseChanges(source);
    } else if (target) counts.same++;
    // The item `sent` prevents a message from being stored again when a client retries.
    else if (kind === 'message') await add(source, 'message', text(source, 'message_id'));
    else if (apply) await put(source);
  });
  // The items `announced` prevent announcements from being sent again.
  await forAll(roomPartition(room_id), ['announced'], async ({ source, target }) => {
    if (target) counts.same++;
    else if (apply) await put(source);
  });
  await forAll(roomPartition(room_id), ['participant'], async ({ source, target }) => {
    const id = text(source, 'participant_id');
    if (target) await replace(source, target, 'participant', id);
    else await add(source, 'participant', id);
  });
  const present_room = await only(dynamodb, table, roomKey(room_id));
  if (present_room) await replace(room, present_room, 'room', room_id);
  else await add(room, 'room', room_id);
  if (apply) await syncLocks(options);
  return counts;
}

/** Sets the locks of a room to match its current `posting`. Only the locks reject messages that are being sent at the same time. */
async function syncLocks({ dynamodb, table, room_id }: RestoreOptions): Promise<void> {
  const posting = (await only(dynamodb, table, roomKey(room_id)))?.posting;
  const isUnchanged = {
    ConditionCheck: {
      Key: roomKey(room_id),
      ConditionExpression: posting === undefined ? 'attribute_not_exists(posting)' : 'posting = :posting',
      ...(posting !== undefined && { ExpressionAttributeValues: { ':posting': posting } }),
    },
  };
  const writes: Write[] = [isUnchanged, ...(posting === 'admins' ? lockWrites(room_id) : unlockWrites(room_id))];
  await dynamodb.send(
    new TransactWriteCommand({
      TransactItems: writes.map((write) =>
        Object.fromEntries(Object.entries(write).map(([kind, action]) => [kind, { ...action, TableName: table }])),
      ),
    }),
  );
}

/** Returns false if the write was rejected because of another writer. */
async function unlessRefused(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}

/** Returns the item of a key, or undefined. */
async function only(dynamodb: DynamoDBDocumentClient, table: string, { PK, SK }: Key): Promise<Item | undefined> {
  const { Items = [] } = await dynamodb.send(
    new QueryCommand({
      TableName: table,
      KeyConditionExpression: 'PK = :partition AND SK = :sort',
      ExpressionAttributeValues: { ':partition': PK, ':sort': SK },
      ConsistentRead: true,
    }),
  );
  return Items[0] && v.parse(item, Items[0]);
}
