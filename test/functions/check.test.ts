import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { GetScheduleCommand, ResourceNotFoundException } from '@aws-sdk/client-scheduler';
import { DeleteCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { type CheckOptions, check, type Outcome } from '../../bin/operations/check.ts';
import { connectionsClient } from '../../bin/operations/connections.ts';
import { FINDINGS, type FindingKind, type Found, findingKinds } from '../../bin/operations/findings.ts';
import { checksOf, checksOfSchedules, type Places } from '../../bin/operations/inspect.ts';
import { MAX_FAILURES } from '../../bin/operations/schedules.ts';
import { objectKey } from '../../core/files/object-key.ts';
import { syncSchedules } from '../../core/realtime/schedule.ts';
import { dynamodb, tableName } from '../../core/store/client.ts';
import type { FileItem, ParticipantItem, RoomItem } from '../../core/store/items.ts';
import { connectionKey, fileKey, type Key, messageKey, participantKey, roomKey } from '../../core/store/keys.ts';
import { get } from '../../core/store/read.ts';
import { subscriptionsOf } from '../../core/store/subscriptions.ts';
import { CREDENTIALS } from '../../local/s3/s3.ts';
import { writeItems } from '../fixtures/write-items.ts';
import { data } from '../support/invoke.ts';
import { startLocalScheduler } from '../support/local-scheduler.ts';
import { type Management, startManagement } from '../support/management.ts';
import { joined, newSocket, reply } from '../support/socket.ts';
import { startVersionedS3, type VersionedS3 } from '../support/versioned-s3.ts';
import { at, newRoom, newUser } from '../support/world.ts';

/* `npm run check`, with the real table, S3, the local Scheduler, and the management endpoint of a WebSocket API. */

const HOUR = 3_600_000;
const inFuture = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();
const settings = {
  group: 'rooms-test-schedules',
  functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:rooms-test-announce',
  roleArn: 'arn:aws:iam::000000000000:role/rooms-test-schedules',
};

let places: Places;
let s3: VersionedS3;
let management: Management;
let onScheduler: (() => void) | undefined;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  [s3, management] = await Promise.all([startVersionedS3(inject('s3Url')), startManagement()]);
  process.env.AWS_ENDPOINT_URL_S3 = s3.url;
  process.env.CALLBACK_URL = management.url;
  const scheduler = await startLocalScheduler(settings.group, () => onScheduler?.());
  places = {
    schedules: {
      dynamodb,
      scheduler: scheduler.client,
      table: tableName(),
      settings,
    },
    objects: {
      s3: new S3Client({ endpoint: s3.url, credentials: CREDENTIALS, forcePathStyle: true, maxAttempts: 1 }),
      bucket: inject('bucketName'),
    },
    connections: connectionsClient(management.url),
  };
  closing.push(scheduler.close, s3.close, management.close);
});
afterEach(() => {
  s3.onWrite = undefined;
  onScheduler = undefined;
});
afterAll(() => Promise.all(closing.map((close) => close())));

const found = new Set<FindingKind>();

async function run(options: Partial<CheckOptions> = {}) {
  const findings: { kind: FindingKind; subject: Found['subject']; outcome: Outcome }[] = [];
  const failures: unknown[] = [];
  const progress = await check(places, {
    repair: false,
    files: true,
    readUnits: 1_000_000,
    concurrency: 5,
    signal: new AbortController().signal,
    onFinding: ({ kind, subject }, outcome) => {
      found.add(kind);
      findings.push({ kind, subject, outcome });
    },
    onProgress: () => {},
    onFailure: (error) => failures.push(error),
    ...options,
  });
  return { progress, findings, failures };
}

/**
 * Runs a check, a repair and a second check. Expects that the check finds this, and that the repair leaves nothing to
 * repair.
 */
async function expectRepaired(kind: FindingKind, subject: Found['subject'], unchanged?: () => Promise<unknown>) {
  const before = await unchanged?.();
  const dry = await run();
  expect(dry.findings).toEqual([{ kind, subject, outcome: 'kept' }]);
  expect(dry.progress).toMatchObject({ found: { [kind]: 1 }, repaired: 0, repairable: 1, left: 1, finished: true });
  expect(await unchanged?.()).toEqual(before);
  expect(FINDINGS[kind]).toHaveProperty('repair');
  const repair = await run({ repair: true });
  expect(repair.findings).toEqual([{ kind, subject, outcome: 'repaired' }]);
  expect(repair.progress).toMatchObject({ repaired: 1, repairable: 0, left: 0, finished: true });
  expect((await run()).findings).toEqual([]);
}

const change = (key: Key, UpdateExpression: string, ExpressionAttributeValues?: Record<string, unknown>) =>
  dynamodb.send(
    new UpdateCommand({
      TableName: tableName(),
      Key: { PK: key.PK, SK: key.SK },
      UpdateExpression,
      ...(ExpressionAttributeValues && { ExpressionAttributeValues }),
    }),
  );
const remove = ({ PK, SK }: Key) => dynamodb.send(new DeleteCommand({ TableName: tableName(), Key: { PK, SK } }));
const put = (Item: object) => dynamodb.send(new PutCommand({ TableName: tableName(), Item }));
const adminsOf = async (room_id: string) => [...((await get<RoomItem>(roomKey(room_id)))?.admins ?? [])].sort();
const deleteObject = (room_id: string, file_id: string) =>
  places.objects.s3.send(new DeleteObjectCommand({ Bucket: places.objects.bucket, Key: objectKey(room_id, file_id) }));

/** Sends a message with a file. The result includes a function that returns the status of a download. */
async function sentFile() {
  const { room_id, member } = await newRoom();
  const asked = { as: member, params: { room_id } };
  const upload = await data('createUpload', { ...asked, query: { size: 1, content_type: 'text/plain' } });
  const { file_id, upload_url, headers } = upload;
  expect((await fetch(upload_url, { method: 'PUT', body: 'x', headers })).status).toBe(200);
  const socket = await joined(room_id, member);
  const frame = { room_id, client_message_id: newUser(), attachment: { file_id } };
  const sent = await reply('message', socket, frame);
  const status = async (): Promise<number> => {
    const { download_url } = await data('createDownload', { ...asked, query: { message_id: sent.message_id } });
    return (await fetch(download_url)).status;
  };
  return { room_id, file_id, message_id: sent.message_id, status };
}

/** Returns the only finding about an item of the table. */
async function lookAt(item: object): Promise<Found> {
  for (const look of await checksOf(places, [{ ...item }], true)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error('Nothing was found.');
}

test('finds nothing in a consistent environment', async () => {
  const { room_id, member } = await newRoom();
  await joined(room_id, member);
  await sentFile();
  // An upload without a file in the bucket, and a message without an attachment.
  await data('createUpload', { as: member, params: { room_id }, query: { size: 1, content_type: 'text/plain' } });
  const { progress, findings, failures } = await run({ repair: true });
  expect({ findings, failures }).toEqual({ findings: [], failures: [] });
  expect(progress).toMatchObject({ found: {}, repaired: 0, left: 0, failed: 0, finished: true });
  expect(progress.items).toBeGreaterThan(10);
});

describe('admins', () => {
  test('a room without an admin gets its creator as admin, or else the participant who was added first', async () => {
    const { room_id, admin } = await newRoom();
    await change(roomKey(room_id), 'REMOVE admins');
    await expectRepaired('room-without-admin', { room_id }, () => adminsOf(room_id));
    expect(await adminsOf(room_id)).toEqual([admin]);

    const late = newUser('a');
    const { member } = await newRoom();
    await put({ ...participantKey(room_id, late), room_id, participant_id: late, added_at: inFuture(HOUR) });
    await put({ ...participantKey(room_id, member), room_id, participant_id: member, added_at: inFuture(0) });
    await remove(participantKey(room_id, admin));
    await change(roomKey(room_id), 'REMOVE admins');
    await expectRepaired('room-without-admin', { room_id });
    expect((await adminsOf(room_id))[0]).toMatch(/^member-/);
  });

  test('an admin who is not a participant loses the right, unless that leaves no admin', async () => {
    const { room_id, admin, member } = await newRoom();
    const stranger = newUser('stranger');
    await change(roomKey(room_id), 'SET admins = :admins', { ':admins': new Set([admin, stranger]) });
    await expectRepaired('admin-not-participant', { room_id, participant_ids: [stranger] }, () => adminsOf(room_id));
    expect(await adminsOf(room_id)).toEqual([admin]);

    await remove(participantKey(room_id, admin));
    await expectRepaired('admin-not-participant', { room_id, participant_ids: [admin] });
    expect(await adminsOf(room_id)).toEqual([member]);
  });

  test('a room without participants is reported, and not changed', async () => {
    const { room_id, admin, member } = await newRoom();
    const participants = [participantKey(room_id, admin), participantKey(room_id, member)];
    for (const key of participants) await remove(key);
    const { findings, progress } = await run({ repair: true });
    expect(findings).toMatchObject([{ kind: 'room-without-participants', outcome: 'kept' }]);
    expect(progress).toMatchObject({ left: 1, repairable: 0 });
    expect(await adminsOf(room_id)).toEqual([admin]);
    await remove(roomKey(room_id));
  });

  test('a repair does not overwrite changes that are made between its read and its write', async () => {
    const { room_id, admin, member } = await newRoom();
    await change(roomKey(room_id), 'REMOVE admins');
    const noAdmin = await lookAt(roomKey(room_id));
    await change(roomKey(room_id), 'SET admins = :admins', { ':admins': new Set([member]) });
    expect(await noAdmin.apply?.()).toBe(false);
    expect(await adminsOf(room_id)).toEqual([member]);

    // The new admin leaves the room.
    await change(roomKey(room_id), 'REMOVE admins');
    const look = await lookAt(roomKey(room_id));
    await remove(participantKey(room_id, admin));
    expect(await look.apply?.()).toBe(false);
    expect(await adminsOf(room_id)).toEqual([]);

    // The stranger becomes a participant, and keeps the admin right.
    await change(roomKey(room_id), 'SET admins = :admins', { ':admins': new Set([admin, member]) });
    const stranger = await lookAt(roomKey(room_id));
    await data('addParticipants', { as: member, params: { room_id }, body: { participant_ids: [admin] } });
    expect(await stranger.apply?.()).toBe(false);
    expect(await adminsOf(room_id)).toEqual([admin, member].sort());
    expect((await run()).findings).toEqual([]);
  });
});

describe('rooms that do not exist', () => {
  test('a participant without a room is deleted', async () => {
    const { room_id, admin, member } = await newRoom();
    await remove(roomKey(room_id));
    await remove(participantKey(room_id, admin));
    const key = participantKey(room_id, member);
    await expectRepaired('participant-without-room', { room_id, participant_ids: [member] }, () => get(key));
    expect(await get(key)).toBeUndefined();
  });

  test('a participant is kept if the room returns between the read and the write', async () => {
    const { room_id, member } = await newRoom();
    const room = await get<RoomItem>(roomKey(room_id));
    await remove(roomKey(room_id));
    const found = await lookAt({ ...participantKey(room_id, member), participant_id: member });
    expect(found.kind).toBe('participant-without-room');
    await put({ ...room });
    expect(await found.apply?.()).toBe(false);
    expect(await get(participantKey(room_id, member))).toBeDefined();
  });

  test('a chat and files without a room are reported once, and not changed', async () => {
    const { room_id } = await sentFile();
    await writeItems([
      { ...messageKey(room_id, '01J0000000000000000000000A'), room_id, message_id: '01J0000000000000000000000A' },
      { ...fileKey(room_id, 'another'), room_id, file_id: 'another', expires_at: 4_000_000_000 },
    ]);
    const room = await get<RoomItem>(roomKey(room_id));
    await remove(roomKey(room_id));
    const only = new Set<FindingKind>(['chat-without-room', 'files-without-room']);
    const { findings } = await run({ repair: true, only });
    expect(findings.map(({ kind }) => kind).sort()).toEqual(['chat-without-room', 'files-without-room']);
    expect(findings).toMatchObject([{ subject: { room_id } }, { subject: { room_id } }]);
    await put({ ...room });
    expect((await run()).findings).toEqual([]);
  });
});

describe('files', () => {
  const ofMessages = new Set<FindingKind>(['message-file-deleted', 'message-file-lost']);

  test('the deleted file of a message is restored', async () => {
    const { room_id, file_id, message_id, status } = await sentFile();
    await deleteObject(room_id, file_id);
    await deleteObject(room_id, file_id);
    expect(await status()).toBe(404);
    const dry = await run({ only: ofMessages });
    expect(dry.findings).toEqual([
      { kind: 'message-file-deleted', subject: { room_id, message_id, file_id }, outcome: 'kept' },
    ]);
    // The missing record of the file is a separate finding, unless the message was checked first.
    expect((await run()).progress.found).toEqual({ 'message-file-deleted': 1, 'file-without-object': 1 });
    expect(await status()).toBe(404);
    expect((await run({ repair: true, only: ofMessages })).progress).toMatchObject({ repaired: 1, left: 0 });
    expect(await status()).toBe(200);
    expect((await run()).findings).toEqual([]);
  });

  test('the object of a file without a message is restored', async () => {
    const { room_id, file_id, message_id, status } = await sentFile();
    const message = await get(messageKey(room_id, message_id));
    await remove(messageKey(room_id, message_id));
    await deleteObject(room_id, file_id);
    await expectRepaired('file-without-object', { room_id, file_id });
    await put({ ...message });
    expect(await status()).toBe(200);
  });

  test('a file that cannot be restored is reported', async () => {
    const { room_id, file_id, message_id } = await sentFile();
    s3.expire(objectKey(room_id, file_id));
    const { findings, progress } = await run({ repair: true });
    expect(findings.map(({ kind }) => kind).sort()).toEqual(['file-without-object', 'message-file-lost']);
    expect(progress).toMatchObject({ left: 2, repairable: 0, repaired: 0 });
    expect((await run({ files: false })).findings).toEqual([]);
    await remove(messageKey(room_id, message_id));
    await remove(fileKey(room_id, file_id));
  });

  test('a file that is deleted again during the repair stays deleted', async () => {
    const { room_id, file_id, message_id, status } = await sentFile();
    await deleteObject(room_id, file_id);
    let again = 0;
    s3.onWrite = async ({ method }) => {
      if (method !== 'DELETE' || again > 0) return;
      again++;
      await deleteObject(room_id, file_id);
    };
    const found = await lookAt({ ...messageKey(room_id, message_id), message_id, attachment: { file_id } });
    expect(await found.apply?.()).toBe(false);
    expect(again).toBe(1);
    expect(await status()).toBe(404);
    expect((await run({ repair: true })).progress).toMatchObject({ left: 0 });
  });

  test("the missing record of a message's file is restored, and the file can be sent again", async () => {
    const { room_id, file_id, message_id } = await sentFile();
    const key = fileKey(room_id, file_id);
    const before = await get<FileItem>(key);
    await remove(key);
    await expectRepaired('message-without-file-record', { room_id, message_id, file_id });
    // If the number of uses is unknown, one message uses the file.
    expect(await get<FileItem>(key)).toEqual({ ...before, uses: undefined, created_at: expect.any(String) });
  });

  test('a record that has returned is not replaced', async () => {
    const { room_id, file_id, message_id } = await sentFile();
    const key = fileKey(room_id, file_id);
    const before = await get<FileItem>(key);
    await remove(key);
    const found = await lookAt({ ...messageKey(room_id, message_id), message_id, attachment: { file_id } });
    await put({ ...before, name: 'of somebody else' });
    expect(await found.apply?.()).toBe(false);
    expect(await get<FileItem>(key)).toMatchObject({ name: 'of somebody else' });
  });

  test('the file of a message no longer expires', async () => {
    const { room_id, file_id, message_id } = await sentFile();
    const key = fileKey(room_id, file_id);
    await change(key, 'SET expires_at = :soon', { ':soon': 4_000_000_000 });
    await expectRepaired('file-record-expires', { room_id, message_id, file_id }, () => get(key));
    expect(await get<FileItem>(key)).not.toHaveProperty('expires_at');
  });

  test('a file whose message is deleted between the read and the write expires as planned', async () => {
    const { room_id, file_id, message_id } = await sentFile();
    const key = fileKey(room_id, file_id);
    await change(key, 'SET expires_at = :soon', { ':soon': 4_000_000_000 });
    const found = await lookAt({ ...messageKey(room_id, message_id), message_id, attachment: { file_id } });
    expect(found.kind).toBe('file-record-expires');
    await remove(messageKey(room_id, message_id));
    expect(await found.apply?.()).toBe(false);
    expect(await get<FileItem>(key)).toHaveProperty('expires_at');
  });
});

describe('schedules', () => {
  /** Settings of a room that announces only its start and its end. */
  const NO_WARNINGS = { end_warnings_seconds: [] };
  const find = async (room_id: string, moment: string) =>
    places.schedules.scheduler
      .send(new GetScheduleCommand({ GroupName: settings.group, Name: `${room_id}-${moment}` }))
      .catch((error: unknown) => {
        if (error instanceof ResourceNotFoundException) return undefined;
        throw error;
      });
  const sync = (room: { room_id: string; start_time: string; end_time?: string }, other = {}) =>
    syncSchedules(
      { ...NO_WARNINGS, updated_at: '', ...room },
      new Date().toISOString(),
      undefined,
      { ...settings, ...other },
      places.schedules.scheduler,
    );

  test('a missing schedule is created, and a wrong one updated', async () => {
    const end_time = inFuture(HOUR);
    const { room_id, admin } = await newRoom({ body: { ...NO_WARNINGS, end_time } });
    await expectRepaired('schedule-missing', { room_id, moment: 'end' }, () => find(room_id, 'end'));
    await sync({ room_id, start_time: '', end_time }, { functionArn: `${settings.functionArn}-old` });
    await expectRepaired('schedule-wrong', { room_id, moment: 'end' });
    expect((await find(room_id, 'end'))?.Target?.Arn).toBe(settings.functionArn);
    await data('changeRoom', { as: admin, params: { room_id }, body: { end_time: null } });
    await expectRepaired('schedule-left-over', { room_id, moment: 'end' }, () => find(room_id, 'end'));
    expect(await find(room_id, 'end')).toBeUndefined();
  });

  test('the schedules of rooms that do not exist are deleted, over all pages of the list', async () => {
    const ids = Array.from({ length: 120 }, (_, n) => `01997d10-0000-7000-8000-${String(n).padStart(12, '0')}`);
    for (const room_id of ids) await sync({ room_id, start_time: inFuture(HOUR) });
    expect((await run()).progress).toMatchObject({ found: { 'schedule-left-over': 120 }, repairable: 120 });
    expect((await run({ repair: true })).progress).toMatchObject({ repaired: 120, left: 0 });
    expect((await run()).findings).toEqual([]);
  });

  test('a schedule that is due now is kept', async () => {
    const { room_id } = await newRoom();
    await sync({ room_id, start_time: inFuture(HOUR) });
    await change(roomKey(room_id), 'SET start_time = :now', { ':now': new Date().toISOString() });
    expect((await run()).findings).toEqual([]);
    await change(roomKey(room_id), 'SET start_time = :ago', { ':ago': inFuture(-2 * HOUR) });
    // The room item was written a moment ago, so the announcement of the missed start may still come.
    expect((await run()).findings).toEqual([]);
    const start_time = inFuture(HOUR);
    await at(Date.now() - 3 * HOUR, () => sync({ room_id, start_time }));
    await expectRepaired('schedule-left-over', { room_id, moment: 'start' });
  });

  test('a room whose end changes between the read and the write gets a schedule for its new end', async () => {
    const { room_id, admin } = await newRoom({ body: { ...NO_WARNINGS, end_time: inFuture(HOUR) } });
    const found = await lookAt({ ...roomKey(room_id), ...NO_WARNINGS, start_time: '', end_time: inFuture(HOUR) });
    expect(found.kind).toBe('schedule-missing');
    const end_time = inFuture(2 * HOUR);
    await data('changeRoom', { as: admin, params: { room_id }, body: { end_time } });
    await found.apply?.();
    expect((await find(room_id, 'end'))?.Target?.Input).toContain(end_time);

    // The room loses its end, and gets another one before the schedule is deleted.
    await data('changeRoom', { as: admin, params: { room_id }, body: { end_time: null } });
    const leftOver: Found[] = [];
    for await (const looks of checksOfSchedules(places))
      for (const look of looks) leftOver.push(...((await look().then((one) => one && [one])) ?? []));
    expect(leftOver).toMatchObject([{ kind: 'schedule-left-over', subject: { room_id } }]);
    const again = inFuture(3 * HOUR);
    await data('changeRoom', { as: admin, params: { room_id }, body: { end_time: again } });
    await leftOver[0]?.apply?.();
    expect((await find(room_id, 'end'))?.Target?.Input).toContain(again);
    expect((await run()).findings).toEqual([]);
  });

  test('the missing schedule of a warning is created; one that fires earlier is accepted', async () => {
    const end_time = inFuture(HOUR);
    const { room_id, admin } = await newRoom({ body: { end_time, end_warnings_seconds: [600] } });
    const { findings } = await run();
    expect(findings.map(({ kind, subject }) => [kind, subject.moment]).toSorted()).toEqual([
      ['schedule-missing', 'end'],
      ['schedule-missing', 'next'],
    ]);
    await run({ repair: true });
    const { Target } = (await find(room_id, 'next')) ?? {};
    const time = new Date(Date.parse(end_time) - 600_000).toISOString();
    expect(Target?.Input).toBe(JSON.stringify({ room_id, moment: 'next', time }));
    await change(roomKey(room_id), 'SET end_time = :end', { ':end': inFuture(2 * HOUR) });
    expect((await run()).findings.map(({ subject }) => subject.moment)).toEqual(['end']);
    await data('endRoom', { as: admin, params: { room_id } });
  });
});

describe('connections', () => {
  test('a connection that API Gateway no longer has is removed from its room', async () => {
    const { room_id, member } = await newRoom();
    const gone = await joined(room_id, member);
    const open = await joined(room_id, member);
    management.respondToGetWith(gone.connection_id, 410);
    const key = participantKey(room_id, member);
    const { findings } = await run();
    // Both the connection's item and the participant's item name the connection. They count as one finding.
    const subject = { room_id, participant_ids: [member], connection_id: gone.connection_id };
    expect(findings).toEqual([{ kind: 'connection-gone', subject, outcome: 'kept' }]);
    expect((await get<ParticipantItem>(key))?.connections?.size).toBe(2);
    await run({ repair: true });
    expect((await get<ParticipantItem>(key))?.connections).toEqual(new Set([open.connection_id]));
    expect(await get(connectionKey(room_id, gone.connection_id))).toBeUndefined();
    expect((await run()).findings).toEqual([]);
  });

  test("a connection that only the participant's item lists is removed, too", async () => {
    const { room_id, member } = await newRoom();
    const { connection_id } = await joined(room_id, member);
    await remove(connectionKey(room_id, connection_id));
    management.respondToGetWith(connection_id, 410);
    await expectRepaired('connection-gone', { room_id, participant_ids: [member], connection_id });
    expect(await get<ParticipantItem>(participantKey(room_id, member))).toMatchObject({ left_at: expect.any(String) });
  });

  test('a subscription of a closed connection is deleted', async () => {
    const user = newUser();
    const socket = newSocket(user);
    await reply('subscribe', socket, {});
    management.respondToGetWith(socket.connection_id, 410);
    const subject = { participant_ids: [user], connection_id: socket.connection_id };
    await expectRepaired('subscription-gone', subject, () => subscriptionsOf(user));
    expect(await subscriptionsOf(user)).toEqual([]);
  });

  test('a participant who has been without a connection for minutes is marked absent', async () => {
    const { room_id, member } = await newRoom();
    const key = participantKey(room_id, member);
    await change(key, 'SET present = :true, left_at = :now', { ':true': true, ':now': new Date().toISOString() });
    expect((await run()).findings).toEqual([]);
    await change(key, 'SET left_at = :ago', { ':ago': inFuture(-HOUR) });
    await expectRepaired('presence-stuck', { room_id, participant_ids: [member] }, () => get(key));
    expect(await get(key)).not.toHaveProperty('present');
  });

  test('a participant who joins again between the read and the write stays present', async () => {
    const { room_id, member } = await newRoom();
    const key = participantKey(room_id, member);
    await change(key, 'SET present = :true, left_at = :ago', { ':true': true, ':ago': inFuture(-HOUR) });
    const found = await lookAt({ ...(await get<ParticipantItem>(key)) });
    await joined(room_id, member);
    expect(await found.apply?.()).toBe(false);
    expect(await get(key)).toMatchObject({ present: true });
  });

  test('if API Gateway does not respond, the run reports it and confirms no connection', async () => {
    const { room_id, member } = await newRoom();
    const { connection_id } = await joined(room_id, member);
    management.respondToGetWith(connection_id, 403);
    const { progress, failures } = await run();
    expect(progress).toMatchObject({ finished: false, failed: 2 });
    expect(String(failures[0])).toContain('ForbiddenException');
    management.respondToGetWith(connection_id, 200);
  });
});

describe('a run', () => {
  test('continues from its cursor after an interruption', async () => {
    const { room_id } = await newRoom();
    const text = 'x'.repeat(300_000);
    await writeItems(
      Array.from({ length: 12 }, (_, n) => ({
        ...messageKey(room_id, `01J${n}`),
        room_id,
        message_id: `01J${n}`,
        text,
      })),
    );
    const controller = new AbortController();
    const first = await run({ signal: controller.signal, onProgress: () => controller.abort() });
    expect(first.progress).toMatchObject({ finished: false, cursor: expect.any(String) });
    const second = await run({ from: first.progress.cursor });
    expect(second.progress.finished).toBe(true);
    expect(first.progress.items + second.progress.items).toBe((await run()).progress.items);
  });

  test('ends after too many failures, and can be continued', async () => {
    for (let n = 0; n < MAX_FAILURES + 2; n++) await newRoom({ body: { end_time: inFuture(HOUR) } });
    onScheduler = () => {
      throw new Error('injected');
    };
    const { progress } = await run({ concurrency: 1 });
    expect(progress).toMatchObject({ finished: false, failed: MAX_FAILURES });
    onScheduler = undefined;
    const again = await run({ repair: true });
    expect(again.failures).toEqual([]);
    expect(again.progress).toMatchObject({ finished: true, left: 0 });
  });

  test('finds only the requested kinds', async () => {
    const { room_id } = await newRoom();
    await change(roomKey(room_id), 'REMOVE admins');
    expect((await run({ only: new Set(['connection-gone']), repair: true })).findings).toEqual([]);
    expect(await adminsOf(room_id)).toEqual([]);
  });
});

test('the tests above found every kind of finding', () => {
  expect(findingKinds.filter((kind) => !found.has(kind))).toEqual([]);
});
