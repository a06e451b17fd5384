import { randomUUID } from 'node:crypto';
import { DeleteTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { BatchWriteCommand, DeleteCommand, PutCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { connectionsClient } from '../../bin/operations/connections.ts';
import { disconnectAll } from '../../bin/operations/disconnect-all.ts';
import { type RestoreOptions, restoreRoom, type Step } from '../../bin/operations/restore-room.ts';
import { objectKey } from '../../core/files/object-key.ts';
import { dynamodb, tableName } from '../../core/store/client.ts';
import type { ParticipantItem, RoomItem } from '../../core/store/items.ts';
import {
  chatPartition,
  connectionKey,
  fileKey,
  type Key,
  lockKey,
  messageKey,
  participantKey,
  roomKey,
} from '../../core/store/keys.ts';
import { get, queryAll } from '../../core/store/read.ts';
import { createTable } from '../../local/dynamodb/dynamodb-local.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';
import { data, invoke } from '../support/invoke.ts';
import { type Management, startManagement } from '../support/management.ts';
import { joined, newSocket, reply } from '../support/socket.ts';
import { startVersionedS3, type VersionedS3 } from '../support/versioned-s3.ts';
import { newRoom, newUser, snapshot } from '../support/world.ts';

/*
 * `npm run restore-room` and `npm run disconnect-all`, with two tables of DynamoDB Local: the current one, and a
 * restored copy.
 */

const RESTORED = `rooms-restored-${randomUUID()}`;
const bucket = inject('bucketName');

let s3: VersionedS3;
let s3Client: S3Client;
let management: Management;
const client = new DynamoDBClient({});
beforeAll(async () => {
  [s3, management] = await Promise.all([startVersionedS3(inject('s3Url')), startManagement()]);
  process.env.AWS_ENDPOINT_URL_S3 = s3.url;
  process.env.CALLBACK_URL = management.url;
  s3Client = new S3Client({ endpoint: s3.url, credentials: CREDENTIALS, forcePathStyle: true, maxAttempts: 1 });
});
afterAll(async () => {
  await client.send(new DeleteTableCommand({ TableName: RESTORED }));
  client.destroy();
  await Promise.all([s3.close(), management.close()]);
});

/** Creates the restored table: a copy of all current items. DynamoDB Local cannot restore a backup. */
async function backUp(): Promise<void> {
  await client.send(new DeleteTableCommand({ TableName: RESTORED })).catch(() => {});
  await createTable(client, RESTORED, inject('table'));
  const { Items = [] } = await dynamodb.send(new ScanCommand({ TableName: tableName(), ConsistentRead: true }));
  for (let n = 0; n < Items.length; n += 25)
    await dynamodb.send(
      new BatchWriteCommand({
        RequestItems: { [RESTORED]: Items.slice(n, n + 25).map((Item) => ({ PutRequest: { Item } })) },
      }),
    );
}

const remove = ({ PK, SK }: Key, TableName = tableName()) =>
  dynamodb.send(new DeleteCommand({ TableName, Key: { PK, SK } }));
const deleteObject = (file_id: string) =>
  s3Client.send(new DeleteObjectCommand({ Bucket: bucket, Key: objectKey(room.room_id, file_id) }));

let room: Awaited<ReturnType<typeof newRoom>>;
let file_id: string;
/** The IDs of the room's messages. The file belongs to the last one. */
let messages: string[];
const text = 'The minutes are attached.';
beforeEach(async () => {
  room = await newRoom();
  const { room_id, member } = room;
  const socket = await joined(room_id, member);
  const query = { size: 1, content_type: 'text/plain' };
  const upload = await data('createUpload', { as: member, params: { room_id }, query });
  file_id = upload.file_id;
  expect((await fetch(upload.upload_url, { method: 'PUT', body: 'x', headers: upload.headers })).status).toBe(200);
  messages = [];
  for (const content of [{ text: 'First' }, { text }, { attachment: { file_id } }])
    messages.push(
      (await reply('message', socket, { room_id, client_message_id: randomUUID(), ...content })).message_id,
    );
  await backUp();
});

async function run(options: Partial<RestoreOptions> = {}) {
  const steps: Step[] = [];
  const counts = await restoreRoom({
    dynamodb,
    objects: { s3: s3Client, bucket },
    table: tableName(),
    from: RESTORED,
    room_id: room.room_id,
    apply: true,
    overwrite: false,
    onStep: (step) => steps.push(step),
    ...options,
  });
  return { counts, steps: steps.map(({ step, what, id }) => `${step} ${what} ${id}`) };
}

/** Deletes all items of the room from the table. */
async function loseRoom(): Promise<void> {
  for (const PK of [roomKey(room.room_id).PK, chatPartition(room.room_id)])
    for await (const page of queryAll<Key>({
      KeyConditionExpression: 'PK = :partition',
      ExpressionAttributeValues: { ':partition': PK },
    }))
      for (const key of page) await remove(key);
}

test('restores a lost room: room, participants, chat, files, but no connections', async () => {
  const { room_id, admin, member } = room;
  const asMember = { as: member, params: { room_id } };
  const before = {
    room: await data('getRoom', asMember),
    chat: await data('listMessages', asMember),
    participants: await data('listParticipants', asMember),
  };
  await loseRoom();
  await deleteObject(file_id);
  const lost = await snapshot();

  const expected = [
    `undelete object ${file_id}`,
    `add file ${file_id}`,
    ...messages.map((id) => `add message ${id}`),
    ...[admin, member].map((id) => `add participant ${id}`),
    `add room ${room_id}`,
  ].sort();
  const dry = await run({ apply: false });
  expect(dry.steps.toSorted()).toEqual(expected);
  expect(await snapshot()).toEqual(lost);
  expect((await invoke('getRoom', asMember)).status).toBe(404);

  const done = await run();
  expect(done.steps.toSorted()).toEqual(expected);
  // The room item is restored last: until then, the room does not exist for callers.
  expect(done.steps.at(-1)).toBe(`add room ${room_id}`);
  expect(await data('getRoom', asMember)).toEqual(before.room);
  expect(await data('listMessages', asMember)).toEqual(before.chat);
  expect(await data('listParticipants', asMember)).toEqual(
    before.participants.map((participant) => ({ ...participant, online: false })),
  );
  const { download_url } = await data('createDownload', { ...asMember, query: { file_id } });
  expect(await (await fetch(download_url)).text()).toBe('x');
  expect(await get<ParticipantItem>(participantKey(room_id, member))).not.toHaveProperty('connections');

  const again = await run();
  expect(again.steps).toEqual([]);
  expect(again.counts).toMatchObject({ add: 0, keep: 0, lost: 0 });
});

test('sending a message again after its room was restored stores nothing new', async () => {
  const { room_id, member } = room;
  const client_message_id = randomUUID();
  const frame = { room_id, client_message_id, text };
  const first = await reply('message', await joined(room_id, member), frame);
  await backUp();
  await loseRoom();
  await run();
  expect(await reply('message', await joined(room_id, member), frame)).toEqual(first);
});

test('does not change what was written since, also in other rooms', async () => {
  const { room_id, admin, member } = room;
  const later = newUser('later');
  await data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [later] } });
  const socket = await joined(room_id, later);
  const { message_id } = await reply('message', socket, { room_id, client_message_id: randomUUID(), text: 'Later' });
  await newRoom();
  await remove(messageKey(room_id, messages[0] ?? ''));
  const before = await snapshot();
  expect((await run()).steps).toEqual([`add message ${messages[0]}`]);
  const after = await snapshot();
  expect(after.filter((item) => !before.includes(item))).toHaveLength(1);
  expect(before.filter((item) => !after.includes(item))).toEqual([]);
  const chat = await data('listMessages', { as: member, params: { room_id }, query: { order: 'asc' } });
  expect(chat.map((message) => message.message_id)).toEqual([...messages, message_id]);
});

describe('an item that differs', () => {
  const changed = async () => {
    const { room_id, admin, member } = room;
    await data('changeRoom', { as: admin, params: { room_id }, body: { name: 'Renamed', description: 'New' } });
    await data('endRoom', { as: admin, params: { room_id }, body: { reason: 'By mistake' } });
    await data('updateProfile', { as: member, params: { room_id }, body: { username: 'New name' } });
  };

  test('is kept and reported', async () => {
    await changed();
    const before = await snapshot();
    const { steps, counts } = await run();
    expect(steps.toSorted()).toEqual([`keep participant ${room.member}`, `keep room ${room.room_id}`]);
    expect(counts).toMatchObject({ keep: 2, overwrite: 0, add: 0 });
    expect(await snapshot()).toEqual(before);
  });

  test('is replaced on request by the backup', async () => {
    const { room_id, member } = room;
    await changed();
    expect((await run({ overwrite: true, apply: false })).counts).toMatchObject({ overwrite: 2, keep: 0 });
    expect(await get<RoomItem>(roomKey(room_id))).toMatchObject({ name: 'Renamed' });
    expect((await run({ overwrite: true })).counts).toMatchObject({ overwrite: 2, keep: 0 });
    const now = await data('getRoom', { as: member, params: { room_id } });
    expect(now).toMatchObject({ name: 'A room', description: null, status: 'started', end_time: null, username: null });
    expect((await run({ overwrite: true })).steps).toEqual([]);
    // The restored room is live.
    await joined(room_id, member);
  });

  test('is replaced with its role and its lock', async () => {
    const { room_id, admin, member } = room;
    const params = { room_id };
    const set = async (role: string, posting: string) => {
      await data('setRole', { as: admin, params: { ...params, participant_id: member }, body: { role } });
      await data('changeRoom', { as: admin, params, body: { posting, metadata: { posting } } });
    };
    await set('observer', 'admins');
    await backUp();
    await set('member', 'everyone');
    await run({ overwrite: true });
    const now = await data('getRoom', { as: member, params });
    expect(now).toMatchObject({ role: 'observer', posting: 'admins', metadata: { posting: 'admins' } });
    expect(await get(lockKey(room_id, 7))).toBeDefined();

    await set('member', 'everyone');
    await backUp();
    await set('observer', 'admins');
    await run({ overwrite: true });
    expect(await get(lockKey(room_id, 7))).toBeUndefined();
    await reply('message', newSocket(member), { room_id, client_message_id: 'restored', text: 'x' });
  });

  test('is replaced with its warnings and announcements', async () => {
    const { room_id, admin, member } = room;
    const params = { room_id };
    const plan = {
      end_warnings_seconds: [120],
      announcements: [{ announcement_id: 'a', message: 'Hand over', relative_time_in_seconds: -60 }],
    };
    await data('changeRoom', { as: admin, params, body: plan });
    await backUp();
    await data('changeRoom', { as: admin, params, body: { end_warnings_seconds: [30], announcements: [] } });
    expect((await run({ apply: false })).steps).toEqual([`keep room ${room_id}`]);
    await run({ overwrite: true });
    expect(await data('getRoom', { as: member, params })).toMatchObject(plan);
  });

  test('is kept if it changes again between the read and the write', async () => {
    const { room_id } = room;
    await changed();
    let times = 0;
    const { send } = dynamodb;
    const racing = Object.assign(Object.create(dynamodb), {
      async send(...args: Parameters<typeof send>) {
        if (args[0] instanceof UpdateCommand)
          await dynamodb.send(
            new UpdateCommand({
              TableName: tableName(),
              Key: roomKey(room_id),
              UpdateExpression: 'SET #name = :name',
              ExpressionAttributeNames: { '#name': 'name' },
              ExpressionAttributeValues: { ':name': `Just now ${++times}` },
            }),
          );
        return send.apply(dynamodb, args);
      },
    });
    const { steps } = await run({ overwrite: true, dynamodb: racing });
    expect(steps).toContain(`changed room ${room_id}`);
    expect(await get<RoomItem>(roomKey(room_id))).toMatchObject({
      name: `Just now ${times}`,
      end_reason: 'By mistake',
    });
  });

  test('a message that arrives between the read and the write is not replaced', async () => {
    const { room_id } = room;
    const key = messageKey(room_id, messages[0] ?? '');
    await remove(key);
    const { send } = dynamodb;
    const racing = Object.assign(Object.create(dynamodb), {
      async send(...args: Parameters<typeof send>) {
        if (args[0] instanceof PutCommand)
          await dynamodb.send(new PutCommand({ TableName: tableName(), Item: { ...key, text: 'Mine' } }));
        return send.apply(dynamodb, args);
      },
    });
    const { steps } = await run({ dynamodb: racing });
    expect(steps).toEqual([`changed message ${messages[0]}`]);
    expect(await get(key)).toMatchObject({ text: 'Mine' });
  });
});

test('omits items that are newer than the requested time', async () => {
  await loseRoom();
  const { steps } = await run({ apply: false, at: new Date(Date.now() - 3_600_000).toISOString() });
  expect(steps).toEqual([`add room ${room.room_id}`]);
});

test('omits unfinished uploads', async () => {
  const { room_id, member } = room;
  await data('createUpload', { as: member, params: { room_id }, query: { size: 1, content_type: 'text/plain' } });
  await backUp();
  await loseRoom();
  const { steps, counts } = await run({ apply: false });
  expect(steps.filter((step) => step.includes(' file '))).toEqual([`add file ${file_id}`]);
  expect(counts).toMatchObject({ lost: 0 });
});

test('lists the lost files', async () => {
  s3.expire(objectKey(room.room_id, file_id));
  const { steps, counts } = await run();
  expect(steps).toEqual([`lost object ${file_id}`]);
  expect(counts).toMatchObject({ lost: 1 });
});

test('rejects a room that the restored table does not have', async () => {
  await expect(run({ room_id: randomUUID() })).rejects.toThrow(/There is no room .* in the table rooms-restored-/);
});

test('disconnect-all closes every connection in a table once', async () => {
  const { room_id, member } = room;
  const two = await newRoom({ members: [member] });
  const socket = await joined(room_id, member);
  await reply('join', socket, { room_id: two.room_id });
  const subscribed = newSocket(newUser());
  await reply('subscribe', subscribed, {});
  const options = { readUnits: 1_000_000, signal: new AbortController().signal };
  management.reset();
  const places = { dynamodb, connections: connectionsClient(management.url) };
  const counted = await disconnectAll(places, tableName(), { ...options, apply: false });
  expect(management.closed).toEqual([]);
  const closed = await disconnectAll(places, tableName(), { ...options, apply: true });
  expect(closed).toEqual({ found: counted.found, closed: counted.found, finished: true });
  expect(management.closed).toEqual([...new Set(management.closed)]);
  expect(management.closed).toEqual(expect.arrayContaining([socket.connection_id, subscribed.connection_id]));
  // The items remain until $disconnect is invoked.
  expect(await get(connectionKey(room_id, socket.connection_id))).toBeDefined();
});

describe('messages that were deleted after the backup', () => {
  const historyOf = ({ room_id, admin }: typeof room) => data('listMessages', { as: admin, params: { room_id } });
  const deleteLast = () =>
    data('deleteMessage', { as: room.member, params: { room_id: room.room_id, message_id: messages[2] ?? '' } });

  test('stay deleted, with their files', async () => {
    await deleteLast();
    const before = await historyOf(room);
    await run();
    expect(await historyOf(room)).toEqual(before);
    const download = { as: room.member, params: { room_id: room.room_id }, query: { file_id } };
    expect(await invoke('createDownload', download)).toMatchObject({ ok: false, code: 'file_not_found' });
    // The result is the same after DynamoDB has deleted the expired record.
    await remove(fileKey(room.room_id, file_id));
    const { steps } = await run();
    expect(steps).toEqual([]);
    expect(await invoke('createDownload', download)).toMatchObject({ ok: false, code: 'file_not_found' });
  });

  test('return if the whole room was lost, and the list of changes continues', async () => {
    const { room_id, member, admin } = room;
    const edit = (n: number, newText: string) =>
      data('editMessage', { as: member, params: { room_id, message_id: messages[n] ?? '' }, body: { text: newText } });
    await edit(0, 'Edited');
    await backUp();
    await loseRoom();
    await run();
    expect((await data('listMessageChanges', { as: admin, params: { room_id } })).map(({ change }) => change)).toEqual([
      1,
    ]);
    expect(await edit(1, 'Edited, too')).toMatchObject({ change: 2 });
  });
});
