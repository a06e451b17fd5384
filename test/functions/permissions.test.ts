import { randomUUID } from 'node:crypto';
import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allRoutes, kebab } from '../../core/contract/index.ts';
import type { ActionName } from '../../core/contract/realtime.ts';
import { batchSize } from '../../core/realtime/batches.ts';
import { noCounts } from '../../core/realtime/deliver.ts';
import { markDisconnecting } from '../../core/store/connections.ts';
import { enterLane, isInLane } from '../../core/store/lane.ts';
import { noteChanges } from '../../core/store/presence-digest.ts';
import { handler as announce } from '../../functions/events/announce.ts';
import { handler as deliverMessages } from '../../functions/events/deliver-messages.ts';
import { handler as fanOut } from '../../functions/events/fan-out.ts';
import { handler as presence } from '../../functions/events/presence.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { allEntries } from '../../lib/entries.ts';
import { sampleCalls } from '../fixtures/samples.ts';
import { haveJoined } from '../fixtures/write-items.ts';
import { deployedPermissions } from '../infrastructure/permissions.ts';
import { type FanOut, startFanOut } from '../support/fan-out.ts';
import { data, invoke, type Operation, type Request } from '../support/invoke.ts';
import { resetLanes, runLaneOnce } from '../support/lanes.ts';
import { type Management, startManagement } from '../support/management.ts';
import { queueEvent } from '../support/queue-event.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { sampleRoomOf } from '../support/sample-room.ts';
import { type Services, startServices } from '../support/services.ts';
import {
  disconnect,
  invokeAction,
  invokeUnknownAction,
  joined,
  newSocket,
  reply,
  type Socket,
} from '../support/socket.ts';
import { changesIn, messagesIn, recorded } from '../support/stream.ts';
import { joinedV2, newV2Socket } from '../support/v2-client.ts';
import { at, newRoom } from '../support/world.ts';

/*
 * Compares the role of each deployed function with the AWS permissions that its code uses. The role allows exactly
 * these. In addition, all function tests compare each call with `access` in the contract (see expectWithin).
 */

const granted = deployedPermissions();
const used = new Map<string, Set<string>>(allEntries.map(({ name }) => [name, new Set()]));
const note = (name: string, permissions: Iterable<string>) => {
  for (const each of permissions) used.get(name)?.add(each);
};

let management: Management;
let services: Services;
let largeRooms: FanOut;
beforeAll(async () => {
  [management, services, largeRooms] = await Promise.all([startManagement(), startServices(), startFanOut()]);
  process.env.CALLBACK_URL = management.url;
  // A later part of this test runs the fan-out function itself.
  largeRooms.work = async ({ recipients }) => ({ ...noCounts(), sent: recipients.length });
  await everyEndpoint();
  await everyAction();
  await everyEvent();
});
afterAll(() => Promise.all([management.close(), services.close(), largeRooms.close()]));

async function everyEndpoint(): Promise<void> {
  const call = async (operation: Operation, request: Request) => {
    const { trace, ...reply } = await invoke(operation, request);
    note(kebab(operation), trace.used);
    // Signing a URL sends no request to S3. A request with the URL has the permissions of the function that signed it.
    if (reply.ok && 'upload_url' in reply.data) note(kebab(operation), ['s3:PutObject']);
    if (reply.ok && 'download_url' in reply.data) note(kebab(operation), ['s3:GetObject']);
    // The function deletes objects with a signed URL: see message-changes.test.ts.
    if (operation === 'deleteMessage') note(kebab(operation), ['s3:DeleteObject']);
  };
  const world = await sampleRoomOf(3);
  const { admin, member, outsider } = world;
  for (const { operation, request } of sampleCalls(world)) {
    // Callers with and without the right: a function that rejects a request reads more to find the reason.
    for (const as of [outsider, request.as === admin ? member : admin])
      if (operation !== 'createRoom' && operation !== 'listRooms') await call(operation, { ...request, as });
    await call(operation, request);
  }
  // A retry with the same idempotency key is allowed, even when the times have passed.
  const passed = { name: 'x', end_time: new Date(0).toISOString() };
  await call('createRoom', { as: admin, body: passed, headers: { 'Idempotency-Key': randomUUID() } });
  const other = await newRoom();
  const warnings = { params: { room_id: other.room_id }, body: { end_warnings_seconds: [] } };
  await call('changeRoom', { as: other.admin, ...warnings });
  const { message_id } = await sent(other.room_id, other.admin);
  await call('createDownload', { as: other.admin, params: { room_id: other.room_id }, query: { message_id } });
}

async function doing(action: ActionName, socket: Socket, frame: object) {
  const answer = await invokeAction(action, socket, frame);
  note(action, answer.trace.used);
  return answer;
}

/** A message with an attachment, sent twice: the second response returns the stored message. */
async function sent(room_id: string, user_id: string): Promise<{ message_id: string }> {
  const { file_id, upload_url, headers } = await data('createUpload', {
    as: user_id,
    params: { room_id },
    query: { size: 1, content_type: 'text/plain' },
  });
  await fetch(upload_url, { method: 'PUT', body: 'x', headers });
  const first = await reply('message', newSocket(user_id), { room_id, client_message_id: randomUUID(), text: 'x' });
  const frame = { room_id, client_message_id: randomUUID(), attachment: { file_id }, reply_to: first.message_id };
  const answers = [
    await doing('message', newSocket(user_id), frame),
    await doing('message', newSocket(user_id), frame),
  ];
  for (const answer of answers) expect(answer).toMatchObject({ ok: true });
  return { message_id: answers[0]?.ok ? String(Reflect.get(answers[0].data, 'message_id')) : '' };
}

async function everyAction(): Promise<void> {
  const { room_id, admin, member } = await newRoom();
  const socket = newSocket(member);
  for (const action of ['join', 'leave', 'join'] as const) await doing(action, socket, { room_id });
  await doing('ping', socket, {});
  await joined(room_id, admin);
  await doing('typing', socket, { room_id, typing: true });
  await doing('subscribe', socket, {});
  const v2 = newV2Socket(member);
  await doing('join', v2, { room_id });
  await doing('subscribe', v2, {});
  await doing('ping', v2, { rooms: [room_id], subscribed: true });
  note('default', (await invokeUnknownAction(socket, '{}')).trace.used);
  note('disconnect', (await disconnect(socket)).used);
}

async function everyEvent(): Promise<void> {
  const changes = async (records: readonly DynamoDBRecord[]) =>
    note(
      'room-changes',
      (await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context))).trace.used,
    );
  /**
   * A room with four connections: one works, one is gone, and two do not respond. One of the two cannot be closed
   * either.
   */
  const listening = async (isLarge = false) => {
    const world = await newRoom({ body: { end_time: new Date(Date.now() + 3_600_000).toISOString() } });
    const { room_id, admin, member } = world;
    await joined(room_id, admin);
    const [gone, unresponsive, stuck] = [
      await joined(room_id, admin),
      await joined(room_id, member),
      await joined(room_id, admin),
    ];
    management.respondWith(gone.connection_id, 410);
    for (const { connection_id } of [unresponsive, stuck]) management.respondWith(connection_id, 500);
    management.respondToCloseWith(stuck.connection_id, 500);
    // Large rooms need a second invocation for these. The connections above are read first.
    const crowd = isLarge ? 2 * batchSize(1) : 0;
    await haveJoined(
      room_id,
      Array.from({ length: crowd }, () => `~${randomUUID()}=`),
      admin,
    );
    return world;
  };

  const deliver = async (records: readonly DynamoDBRecord[]) =>
    note(
      'deliver-messages',
      (await runEventFunction('deliver-messages', (context) => deliverMessages(messagesIn(records), context))).trace
        .used,
    );
  const small = await listening();
  await deliver(
    await recorded(async () => {
      const { message_id } = await sent(small.room_id, small.admin);
      await data('deleteMessage', { as: small.admin, params: { room_id: small.room_id, message_id } });
    }),
  );
  const world = await listening(true);
  await deliver(await recorded(() => sent(world.room_id, world.admin)));
  // Beside the large room: a room that was large and is now small, so that its lane ends.
  const shrunk = await newRoom();
  const of = { feed: 'messages', room_id: shrunk.room_id } as const;
  await enterLane(of);
  await deliver(await recorded(() => sent(shrunk.room_id, shrunk.admin)));
  // The messages have waited for 10 seconds, so the function reads them again.
  note('lane', (await at(Date.now() + 10_000, () => runLaneOnce())).trace.used);
  expect(await isInLane(of)).toBe(false);
  // No time is left, so the function makes its messages visible again soon.
  await deliver(await recorded(() => sent(world.room_id, world.admin)));
  note('lane', (await runLaneOnce(10_000)).trace.used);
  resetLanes();

  const batches = largeRooms.batches();
  expect(batches.length).toBeGreaterThan(0);
  for (const { recipients, ...rest } of batches) {
    const batch = { ...rest, recipients: recipients.slice(0, 4) };
    // One connection is gone and two do not respond. One of the two cannot be closed either.
    const [gone, unresponsive, stuck] = batch.recipients.map(({ connection_id }) => connection_id);
    management.respondWith(gone ?? '', 410);
    for (const id of [unresponsive, stuck]) management.respondWith(id ?? '', 500);
    management.respondToCloseWith(stuck ?? '', 500);
    note('fan-out', (await runEventFunction('fan-out', (context) => fanOut(batch, context))).trace.used);
  }

  // The end of the room gets a schedule, then another one, then none. The connections receive an event and are closed.
  let timed = world;
  await changes(
    await recorded(async () => {
      timed = await listening();
    }),
  );
  const { room_id, admin, member } = timed;
  const subscribed = newSocket(member);
  await invokeAction('subscribe', subscribed, {});
  management.respondWith(subscribed.connection_id, 410);
  await invokeAction('subscribe', newV2Socket(member), {});
  const later = new Date(Date.now() + 7_200_000).toISOString();
  const change = (body: object) => recorded(() => data('changeRoom', { as: admin, params: { room_id }, body }));
  await changes(await change({ end_time: later }));
  // The function deletes the object of an expired file with a signed URL: see unused-files.test.ts.
  note('room-changes', ['s3:DeleteObject']);
  const tab = await joined(room_id, member);
  await changes(await recorded(() => disconnect(tab)));
  const queued = (of: string) =>
    services.messages.find(({ MessageBody }) => MessageBody.includes(of))?.MessageBody ?? `nothing of ${of}`;
  const look = async (body: string) =>
    note('presence', (await runEventFunction('presence', (context) => presence(queueEvent(body), context))).trace.used);
  await look(queued('left_at'));
  // Two connections are silent, and one of them had announced pings. Later, their user is marked as absent.
  const silent = await newRoom();
  const [dead, quiet] = [newSocket(silent.member), newSocket(silent.member)];
  await changes(await recorded(() => reply('join', dead, { room_id: silent.room_id, ping_interval_seconds: 60 })));
  await reply('join', quiet, { room_id: silent.room_id });
  await at(Date.now() + 300_000, () => look(queued(silent.member)));
  await reply('leave', quiet, { room_id: silent.room_id });
  const next = services.messages.findLast(({ MessageBody }) => MessageBody.includes(silent.member));
  await look(next?.MessageBody ?? 'there is one');
  await joined(room_id, member);
  const removal = { as: admin, params: { room_id }, body: { participant_ids: [member] } };
  await changes(await recorded(() => data('removeParticipants', removal)));

  // Two connections could not be closed before. Now one can be closed, and the other is queued again. A third
  // connection only leaves the room.
  const [closable, stuck] = [await joined(room_id, admin), await joined(room_id, admin)];
  const ids = [closable, stuck].map(({ connection_id }) => connection_id);
  management.respondToCloseWith(stuck.connection_id, 500);
  const { socket: detachable } = await joinedV2(room_id, admin);
  await markDisconnecting(room_id, [detachable.connection_id], new Date().toISOString(), true);
  await changes(await recorded(() => markDisconnecting(room_id, ids, new Date().toISOString())));
  const retry = services.messages.at(-1)?.MessageBody ?? '';
  expect(JSON.parse(retry)).toEqual({ kind: 'disconnect', room_id });
  for (const response of [500, 200] as const) {
    management.respondToCloseWith(stuck.connection_id, response);
    note(
      'presence',
      (await runEventFunction('presence', (context) => presence(queueEvent(retry), context))).trace.used,
    );
  }
  // A presence digest of a large room.
  const crowded = await listening(true);
  const now = new Date().toISOString();
  const due = await noteChanges({ room_id: crowded.room_id, participant_ids: [admin], source: 'x', now, due: now });
  await look(JSON.stringify({ kind: 'digest', room_id: crowded.room_id, due }));
  resetLanes();
  // Retries effects of changes that failed before.
  const event = { type: 'room_updated', room_id, sent_at: later, data: {} };
  await look(JSON.stringify({ kind: 'publish', event }));
  const moments = ['start', 'end'];
  await look(JSON.stringify({ kind: 'schedules', room_id, moments }));
  await changes(await change({}));

  for (const isLarge of [false, true]) {
    const ended = await listening(isLarge);
    const { end_time } = await data('endRoom', { as: ended.admin, params: { room_id: ended.room_id } });
    const announcement = { room_id: ended.room_id, moment: 'end', time: end_time ?? '' } as const;
    note('announce', (await runEventFunction('announce', (context) => announce(announcement, context))).trace.used);
    const hello = { announcement_id: 'a', message: 'x', relative_from: 'start', relative_time_in_seconds: 0 };
    const planned = await newRoom({ body: { announcements: [hello] } });
    const next = { room_id: planned.room_id, moment: 'next', time: later } as const;
    note('announce', (await runEventFunction('announce', (context) => announce(next, context))).trace.used);
  }
}

describe('the role of each function allows all that its code calls, and nothing else:', () => {
  test('all functions are covered', () => {
    expect([...granted.keys()].sort()).toEqual([...used.keys()].sort());
    expect(allRoutes.length).toBeGreaterThan(0);
  });

  test.each(allEntries.map(({ name }) => name))('%s', (name) => {
    expect([...(used.get(name) ?? [])].sort()).toEqual([...(granted.get(name) ?? [])].sort());
  });
});
