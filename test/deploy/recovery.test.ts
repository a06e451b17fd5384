import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { DynamoDBClient, RestoreTableToPointInTimeCommand } from '@aws-sdk/client-dynamodb';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketCorsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import { DeleteScheduleCommand, ListSchedulesCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { DeleteCommand, DynamoDBDocumentClient, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { objectKey } from '../../core/files/object-key.ts';
import { chatPartition, type Key, participantKey, roomKey, roomPartition } from '../../core/store/keys.ts';
import { type Client, connect, hangUp } from '../e2e/socket-client.ts';
import { ALICE, callersOf, createRoom, session, transfer } from '../support/scenario.ts';
import { operator, reachable } from './aws.ts';
import { cdk, environment } from './cdk.ts';
import { credentialsOf, REGION } from './emulator.ts';
import { progress } from './progress.ts';

/*
 * Runs the procedures of docs/operate/recovery.md. The tests fill rooms, damage their table, restore it, switch the stacks to the
 * restored table and back, and restore a single room.
 *
 * Emulator: ministack restores the current state of a table, whatever time is requested. Therefore, the table is restored before it is
 * damaged. Like AWS, ministack does not restore the stream, time to live, backups and tags.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ACCOUNT = '111122223333';
/** A user that the shared scenarios do not use, because they check all rooms of their users. */
const GUEST = 'guest';
const RESTORED = 'rooms-restored';
const given = inject('deployment');
const outOfReach = 'outOfReach' in given ? given.outOfReach : undefined;

const outputsSchema = v.object({
  'rooms-dev-data': v.object({ BucketName: v.string(), TableName: v.string(), ScheduleGroupName: v.string() }),
  'rooms-dev-http': v.object({ HttpApiUrl: v.string() }),
  'rooms-dev-realtime': v.object({
    WebSocketUrl: v.string(),
    CallbackUrl: v.string(),
    TableName: v.string(),
    BucketName: v.string(),
  }),
});

describe.skipIf(outOfReach !== undefined)('recovery', () => {
  if ('outOfReach' in given) {
    test('in an emulated AWS', () => {});
    return;
  }
  const reached = () => {
    if ('failure' in given) throw new Error(given.failure);
    return { ...given, target: { ...given.target, account: ACCOUNT } };
  };
  let outputs: v.InferOutput<typeof outputsSchema>;
  const served = () => ({
    http: reachable(outputs['rooms-dev-http'].HttpApiUrl, reached().target),
    issuer: reached().issuer,
  });
  const callers = callersOf(served);
  const { call, tokenOf } = callers;
  const clients: Client[] = [];
  afterEach(() => hangUp(clients.splice(0)));

  async function deploy(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const { target, issuer } = reached();
    const file = join(target.directory, 'recovery.json');
    const options = ['--all', '--require-approval', 'never', '--outputs-file', file];
    await cdk(target, { issuer, ...settings }, 'deploy', ...options);
    outputs = v.parse(outputsSchema, JSON.parse(readFileSync(file, 'utf8')));
  }

  /** Runs a command for operators, and returns its exit code and output. */
  function npmRun(script: string, ...args: string[]): Promise<{ code: number; printed: string }> {
    const { target } = reached();
    const callback = outputs['rooms-dev-realtime'].CallbackUrl;
    // Emulator: see `reachable`.
    const env = { ...environment(target), CALLBACK_URL: reachable(callback, target) };
    return new Promise((resolve) => {
      execFile(process.execPath, [`bin/${script}.ts`, '--env', 'dev', ...args], { cwd: ROOT, env }, (error, ...out) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, printed: out.join('') }),
      );
    });
  }

  const config = () => ({
    endpoint: reached().target.endpoint,
    region: REGION,
    credentials: credentialsOf(ACCOUNT),
  });
  const dynamodb = () => DynamoDBDocumentClient.from(new DynamoDBClient(config()));
  const scheduler = () => new SchedulerClient(config());
  const schedules = async (): Promise<string[]> => {
    const GroupName = outputs['rooms-dev-data'].ScheduleGroupName;
    const { Schedules = [] } = await scheduler().send(new ListSchedulesCommand({ GroupName }));
    return Schedules.flatMap(({ Name }) => Name ?? []).sort();
  };
  const joined = async (user: string, room_id: string): Promise<Client> => {
    const url = reachable(outputs['rooms-dev-realtime'].WebSocketUrl, reached().target);
    const client = await connect(url, { header: await tokenOf(user) });
    clients.push(client);
    await client.data('join', { room_id });
    return client;
  };
  const chatOf = async (room_id: string) => (await call(GUEST, 'GET', `/participant/room/${room_id}/chat`)).data;
  const contentOf = async (room_id: string, file_id: string): Promise<string> => {
    const { data } = await call(GUEST, 'GET', `/participant/room/${room_id}/download?file_id=${file_id}`);
    const { download_url } = v.parse(v.object({ download_url: v.string() }), data);
    const response = await fetch(download_url);
    return response.ok ? response.text() : String(response.status);
  };

  /** Creates a room of Alice and a guest that ends in 24 hours, with two messages. One message has a file. */
  async function filledRoom() {
    const room_id = await createRoom(callers, [GUEST]);
    const end_time = new Date(Date.now() + 86_400_000).toISOString();
    expect((await call(ALICE, 'POST', `/admin/room/${room_id}`, { end_time })).status).toBe(200);
    const client = await joined(ALICE, room_id);
    await client.data('message', { room_id, client_message_id: randomUUID(), text: 'Before the worst day' });
    const query = 'name=plan.txt&size=4&content_type=text/plain';
    const { file_id, upload_url, headers } = v.parse(
      v.object({ file_id: v.string(), upload_url: v.string(), headers: v.record(v.string(), v.string()) }),
      (await call(ALICE, 'GET', `/participant/room/${room_id}/upload?${query}`)).data,
    );
    expect((await fetch(upload_url, { method: 'PUT', headers, body: 'plan' })).status).toBe(200);
    await client.data('message', { room_id, client_message_id: randomUUID(), attachment: { file_id } });
    await expect.poll(schedules, { timeout: 60_000 }).toContain(`${room_id}-end`);
    await hangUp(clients.splice(0));
    return { room_id, file_id, end_time, chat: await chatOf(room_id) };
  }
  const remove = (TableName: string, { PK, SK }: Key) =>
    dynamodb().send(new DeleteCommand({ TableName, Key: { PK, SK } }));
  async function removePartition(TableName: string, PK: string): Promise<void> {
    const { Items = [] } = await dynamodb().send(
      new QueryCommand({
        TableName,
        KeyConditionExpression: 'PK = :pk',
        ExpressionAttributeValues: { ':pk': PK },
        ProjectionExpression: 'PK, SK',
      }),
    );
    for (const { PK, SK } of Items) await remove(TableName, { PK: String(PK), SK: String(SK) });
  }
  const deleteObject = (room_id: string, file_id: string) =>
    operator(reached().target).s3.send(
      new DeleteObjectCommand({ Bucket: outputs['rooms-dev-data'].BucketName, Key: objectKey(room_id, file_id) }),
    );

  let kept: Awaited<ReturnType<typeof filledRoom>>;
  let own: typeof outputs;
  beforeAll(async () => {
    const { target, issuer } = reached();
    setDefaultCACertificates([...getCACertificates('default'), readFileSync(target.certificate, 'utf8')]);
    progress('recovery: cdk bootstrap');
    await cdk(target, { issuer }, 'bootstrap');
    progress('recovery: cdk deploy --all');
    await deploy();
    own = outputs;
  });

  test('the stacks switch to a restored table, and keep their addresses and the restored data', async () => {
    const { TableName, ScheduleGroupName: GroupName } = outputs['rooms-dev-data'];
    kept = await filledRoom();
    progress('recovery: restore and break the table');
    // Both clients join before the restore. One of them stays connected.
    const client = await joined(GUEST, kept.room_id);
    const gone = await joined(ALICE, kept.room_id);
    await dynamodb().send(
      new RestoreTableToPointInTimeCommand({
        SourceTableName: TableName,
        TargetTableName: RESTORED,
        UseLatestRestorableTime: true,
      }),
    );
    await hangUp([gone]);
    const later = await createRoom(callers);
    const end_time = new Date(Date.now() + 86_400_000).toISOString();
    expect((await call(ALICE, 'POST', `/admin/room/${later}`, { end_time })).status).toBe(200);
    await expect.poll(schedules, { timeout: 60_000 }).toContain(`${later}-end`);
    // Deletes everything about a room, including its file and its schedule.
    await removePartition(TableName, roomPartition(kept.room_id));
    await removePartition(TableName, chatPartition(kept.room_id));
    await deleteObject(kept.room_id, kept.file_id);
    await scheduler().send(new DeleteScheduleCommand({ GroupName, Name: `${kept.room_id}-end` }));
    expect((await call(GUEST, 'GET', `/participant/room/${kept.room_id}`)).status).toBe(404);

    const prepare = ['--table', RESTORED];
    expect(await npmRun('prepare-restored', ...prepare)).toMatchObject({
      code: 1,
      printed: expect.stringMatching(/missing {2}stream\n(.*\n)*.*missing {2}time to live\n/),
    });
    const { code, printed } = await npmRun('prepare-restored', ...prepare, '--apply');
    expect({ code, printed }).toMatchObject({ code: 0, printed: expect.stringContaining('added    stream') });
    const [, restoredTable = ''] = /-c restoredTable=(\S+)/.exec(printed) ?? [];
    progress('recovery: cdk deploy --all, with the restored table');
    await deploy({ restoredTable });
    expect(outputs).toEqual({ ...own, 'rooms-dev-realtime': { ...own['rooms-dev-realtime'], TableName: RESTORED } });

    progress('recovery: schedules, check and repair');
    expect(await npmRun('reschedule', '--apply')).toMatchObject({
      code: 0,
      printed: expect.stringContaining('1 created'),
    });
    const dry = await npmRun('check', '--json');
    const kinds = [...dry.printed.matchAll(/"finding":"([^"]+)"/g)].map(([, kind]) => kind);
    expect({ code: dry.code, kinds: [...new Set(kinds)].sort() }, dry.printed).toEqual({
      code: 1,
      kinds: ['connection-gone', 'file-without-object', 'message-file-deleted', 'schedule-left-over'],
    });
    const repair = await npmRun('check', '--repair');
    expect(repair.code, repair.printed).toBe(0);
    expect(await npmRun('check')).toMatchObject({ code: 0, printed: expect.stringContaining(' 0 findings') });
    expect(await schedules()).toEqual([`${kept.room_id}-end`, `${kept.room_id}-next`]);

    progress('recovery: users again');
    expect(await call(GUEST, 'GET', `/participant/room/${kept.room_id}`)).toMatchObject({
      status: 200,
      data: { end_time: kept.end_time },
    });
    expect(await chatOf(kept.room_id)).toEqual(kept.chat);
    expect(await contentOf(kept.room_id, kept.file_id)).toBe('plan');
    expect((await call(ALICE, 'GET', `/participant/room/${later}`)).status).toBe(404);
    await session(callers);
    await transfer(callers);
    // A client that joined before the restore receives new messages through the new stream.
    const sender = await joined(ALICE, kept.room_id);
    const reply = await sender.data('message', {
      room_id: kept.room_id,
      client_message_id: randomUUID(),
      text: 'We are back',
    });
    expect(await client.waitFor(kept.room_id, 'message')).toMatchObject([{ data: reply as object }]);
    // Connections that are missing in the restored table would receive nothing, so all clients are disconnected.
    expect((await npmRun('disconnect-all', '--table', RESTORED, '--apply')).code).toBe(0);
    expect(await client.closed).toMatchObject({ code: 1000 });
  });

  test('the stacks switch back to their own table', async () => {
    progress('recovery: cdk deploy --all, back to the own table');
    await deploy();
    expect(outputs).toEqual(own);
    await session(callers);
    expect((await call(GUEST, 'GET', `/participant/room/${kept.room_id}`)).status).toBe(404);
    expect((await npmRun('reschedule', '--apply')).code).toBe(0);
    expect((await npmRun('check', '--repair')).code).toBe(0);
  });

  test('one room is restored from the restored table while users write in another room', async () => {
    progress('recovery: one room');
    const { s3 } = operator(reached().target);
    const { TableName, BucketName } = outputs['rooms-dev-data'];
    const other = await createRoom(callers, [GUEST]);
    const [sender, listener] = [await joined(ALICE, other), await joined(GUEST, other)];
    let talking = true;
    const talk = (async () => {
      let sent = 0;
      for (; talking; sent++, await sleep(200))
        await sender.data('message', { room_id: other, client_message_id: randomUUID(), text: String(sent) });
      return sent;
    })();
    // Moves the room's file to another bucket, and deletes all its versions.
    const Key = objectKey(kept.room_id, kept.file_id);
    const fromBucket = 'rooms-restored-files';
    await s3.send(new CreateBucketCommand({ Bucket: fromBucket }));
    const { Versions = [], DeleteMarkers = [] } = await s3.send(
      new ListObjectVersionsCommand({ Bucket: BucketName, Prefix: Key }),
    );
    await s3.send(new CopyObjectCommand({ Bucket: fromBucket, Key, CopySource: `${BucketName}/${Key}` }));
    for (const { VersionId } of [...Versions, ...DeleteMarkers])
      await s3.send(new DeleteObjectCommand({ Bucket: BucketName, Key, ...(VersionId && { VersionId }) }));

    const args = ['--from-table', RESTORED, '--room', kept.room_id];
    const lost = await npmRun('restore-room', ...args);
    expect(lost).toMatchObject({ code: 1, printed: expect.stringContaining(`lost: object ${kept.file_id}`) });
    const all = [...args, '--from-bucket', fromBucket];
    const dry = await npmRun('restore-room', ...all);
    expect(dry).toMatchObject({ code: 0, printed: expect.stringContaining('Nothing was written: add --apply.') });
    expect((await call(GUEST, 'GET', `/participant/room/${kept.room_id}`)).status).toBe(404);
    const done = await npmRun('restore-room', ...all, '--apply');
    expect(done, done.printed).toMatchObject({
      code: 0,
      printed: expect.stringContaining(`added: room ${kept.room_id}`),
    });
    const again = await npmRun('restore-room', ...all, '--apply');
    expect(again, again.printed).toMatchObject({ code: 0, printed: expect.stringMatching(/^same: \d+\n$/) });

    expect(await contentOf(kept.room_id, kept.file_id)).toBe('plan');
    expect(await chatOf(kept.room_id)).toEqual(expect.arrayContaining(Array.isArray(kept.chat) ? kept.chat : []));
    // The write reaches the stream, which creates the schedule of the room's end.
    await expect.poll(schedules, { timeout: 60_000 }).toContain(`${kept.room_id}-end`);
    talking = false;
    expect(await listener.waitFor(other, 'message', await talk)).toHaveLength(await talk);

    // Removes the admin of a room, then repairs the room in place.
    await dynamodb().send(new UpdateCommand({ TableName, Key: roomKey(other), UpdateExpression: 'REMOVE admins' }));
    await remove(TableName, participantKey(other, GUEST));
    expect((await npmRun('check', '--repair', '--only', 'room-without-admin')).code).toBe(0);
    expect((await call(ALICE, 'POST', `/admin/room/${other}`, { name: 'Mine again' })).status).toBe(200);
  });

  test('files are copied to a restored bucket', async () => {
    const { s3 } = operator(reached().target);
    const { TableName } = outputs['rooms-dev-data'];
    const restoredBucket = 'rooms-moved-files';
    await s3.send(new CreateBucketCommand({ Bucket: restoredBucket }));
    const prepare = ['--table', TableName, '--bucket', restoredBucket];
    expect(await npmRun('prepare-restored', ...prepare)).toMatchObject({
      code: 1,
      printed: expect.stringMatching(/missing {2}versions\n/),
    });
    const prepared = await npmRun('prepare-restored', ...prepare, '--apply');
    expect(prepared, prepared.printed).toMatchObject({
      code: 0,
      printed: expect.stringContaining(`-c restoredBucket=${restoredBucket}`),
    });
    const { CORSRules } = await s3.send(new GetBucketCorsCommand({ Bucket: restoredBucket }));
    expect(CORSRules).toMatchObject([{ AllowedOrigins: ['http://localhost:3000', 'http://localhost:5173'] }]);
    progress('recovery: cdk deploy --all, with a restored bucket');
    await deploy({ restoredBucket });
    expect(outputs['rooms-dev-realtime'].BucketName).toBe(restoredBucket);
    await transfer(callers);
    const { KeyCount } = await s3.send(new ListObjectsV2Command({ Bucket: restoredBucket, Prefix: 'rooms/' }));
    expect(KeyCount).toBe(1);
  });
});
