import { ulid } from 'ulid';
import { describe, expect, test } from 'vitest';
import { appendMessage } from '../../core/store/messages.ts';
import { handler as roomChanges } from '../../functions/events/room-changes.ts';
import { deliver, send } from '../support/delivery.ts';
import { data, refusal, refused } from '../support/invoke.ts';
import { startRealtimeServices } from '../support/realtime-services.ts';
import { runEventFunction } from '../support/run-event-function.ts';
import { newSocket, reply } from '../support/socket.ts';
import { changesIn, recorded } from '../support/stream.ts';
import { joinedV2, newV2Socket } from '../support/v2-client.ts';
import { at, newRoom, type World } from '../support/world.ts';

const { management } = await startRealtimeServices();

const markRead = ({ room_id }: World, as: string, message_id: string) =>
  data('markRead', { as, params: { room_id }, body: { message_id } });
const getRoom = ({ room_id }: World, as: string) => data('getRoom', { as, params: { room_id } });
/** The room as an item in the user's list of rooms. */
const listed = async ({ room_id }: World, as: string) =>
  (await data('listRooms', { as })).find((room) => room.room_id === room_id);
const sendAndDeliver = async (world: World, as: string, ...texts: string[]) => {
  await deliver(await send(world.room_id, as, ...texts));
  const messages = await data('listMessages', { as, params: { room_id: world.room_id }, query: { limit: 1 } });
  return messages[0]?.message_id ?? '';
};

describe('a read mark', () => {
  test('moves only forward, and all participants see it', async () => {
    const world = await newRoom();
    const { room_id, admin, member } = world;
    const [first, second, third] = [ulid(Date.now() - 3_000), ulid(Date.now() - 2_000), ulid(Date.now() - 1_000)];
    expect(await getRoom(world, member)).toMatchObject({ read_to: null });
    expect(await markRead(world, member, second)).toEqual({ participant_id: member, read_to: second });
    expect(await markRead(world, member, first)).toEqual({ participant_id: member, read_to: second });
    expect(await markRead(world, member, second)).toEqual({ participant_id: member, read_to: second });
    expect(await markRead(world, member, third.toLowerCase())).toEqual({ participant_id: member, read_to: third });
    const participants = await data('listParticipants', { as: admin, params: { room_id } });
    expect(participants).toMatchObject([
      { participant_id: admin, read_to: null },
      { participant_id: member, read_to: third },
    ]);
    expect(await listed(world, member)).toMatchObject({ read_to: third });
    expect(await listed(world, admin)).toMatchObject({ read_to: null });
  });

  test('is the newest of 20 messages that are marked in parallel', async () => {
    const world = await newRoom();
    const ids = Array.from({ length: 20 }, (_, n) => ulid(Date.now() - 20_000 + n));
    const answers = await Promise.all(
      ids.toSorted(() => Math.random() - 0.5).map((id) => markRead(world, world.member, id)),
    );
    expect(answers.map(({ read_to }) => read_to)).toContain(ids.at(-1));
    expect(await getRoom(world, world.member)).toMatchObject({ read_to: ids.at(-1) });
  });

  test('is rejected if it is in the future by more than the allowed clock difference', async () => {
    const world = await newRoom();
    const { room_id, member } = world;
    const near = ulid(Date.now() + 4 * 60_000);
    expect(await markRead(world, member, near)).toMatchObject({ read_to: near });
    const reply = await refused('markRead', {
      as: member,
      params: { room_id },
      body: { message_id: ulid(Date.now() + 6 * 60_000) },
    });
    expect(reply.errors).toEqual([
      { code: 'invalid_request', path: 'message_id', message: 'must not be in the future' },
    ]);
  });

  test('is deleted with the participant; a new participant has none', async () => {
    const world = await newRoom();
    const { room_id, admin, member } = world;
    await markRead(world, member, ulid());
    const change = { as: admin, params: { room_id }, body: { participant_ids: [member] } };
    await data('removeParticipants', change);
    expect(await refusal('markRead', { as: member, params: { room_id }, body: { message_id: ulid() } })).toBe(
      'not_a_participant',
    );
    await data('addParticipants', change);
    expect(await getRoom(world, member)).toMatchObject({ read_to: null });
  });
});

describe('unread messages', () => {
  test('are messages of other users after the read mark', async () => {
    const world = await newRoom();
    const { admin, member } = world;
    expect(await getRoom(world, member)).toMatchObject({ last_message_at: null, has_unread: false, unread_count: 0 });
    const last = await sendAndDeliver(world, admin, 'a', 'b', 'c');
    const sent_at = expect.stringMatching(/Z$/);
    expect(await getRoom(world, member)).toMatchObject({ last_message_at: sent_at, has_unread: true, unread_count: 3 });
    expect(await listed(world, member)).toMatchObject({ last_message_at: sent_at, has_unread: true });
    expect(await getRoom(world, admin)).toMatchObject({ last_message_at: sent_at, has_unread: false, unread_count: 0 });
    expect(await listed(world, admin)).toMatchObject({ last_message_at: sent_at, has_unread: false });

    await markRead(world, member, last);
    expect(await getRoom(world, member)).toMatchObject({ has_unread: false, unread_count: 0 });
    await sendAndDeliver(world, admin, 'd');
    expect(await getRoom(world, member)).toMatchObject({ has_unread: true, unread_count: 1 });
  });

  test('are counted up to 100', async () => {
    const world = await newRoom();
    const { room_id, admin, member } = world;
    for (let n = 0; n < 120; n++)
      await appendMessage({
        room_id,
        sender_id: admin,
        client_message_id: `m${n}`,
        text: 'x',
        now: new Date().toISOString(),
      });
    await sendAndDeliver(world, admin, 'the last one');
    expect(await getRoom(world, member)).toMatchObject({ has_unread: true, unread_count: 100 });
  });

  test('do not include messages from before the participant was added', async () => {
    const world = await newRoom();
    const { room_id, admin, outsider } = world;
    await sendAndDeliver(world, admin, 'before');
    await at(Date.now() + 1_000, () =>
      data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [outsider] } }),
    );
    expect(await getRoom(world, outsider)).toMatchObject({ has_unread: false, unread_count: 0 });
    await at(Date.now() + 2_000, () => sendAndDeliver(world, admin, 'after'));
    expect(await getRoom(world, outsider)).toMatchObject({ has_unread: true, unread_count: 1 });
  });

  test('are in the reply to a join', async () => {
    const world = await newRoom();
    await sendAndDeliver(world, world.admin, 'a');
    expect(await reply('join', newSocket(world.member), { room_id: world.room_id })).toMatchObject({
      has_unread: true,
      last_message_at: expect.any(String),
    });
  });

  test('follow the newest message, even if an older one is delivered later or again', async () => {
    const world = await newRoom();
    const { room_id, admin, member } = world;
    const older = await send(room_id, member, 'older');
    await at(Date.now() + 5_000, () => sendAndDeliver(world, admin, 'newer'));
    const { last_message_at } = await getRoom(world, member);
    const { failures } = await deliver(older);
    expect(failures).toEqual([]);
    expect(await getRoom(world, member)).toMatchObject({ last_message_at, has_unread: true });
    await deliver(older);
    expect(await getRoom(world, admin)).toMatchObject({ last_message_at, has_unread: false });
  });
});

describe('the event read', () => {
  const processed = async (work: () => Promise<unknown>) => {
    const records = await recorded(work);
    const { result } = await runEventFunction('room-changes', (context) => roomChanges(changesIn(records), context));
    expect(result.batchItemFailures).toEqual([]);
  };

  test('is sent only to subscribed connections of the reader, once for simultaneous marks', async () => {
    const world = await newRoom();
    const { room_id, admin, member } = world;
    const own = newSocket(member);
    const ownV2 = newV2Socket(member);
    const others = newSocket(admin);
    for (const socket of [own, ownV2, others]) await reply('subscribe', socket, {});
    const joined = (await joinedV2(room_id, admin)).socket;
    const [first, second] = [ulid(Date.now() - 2_000), ulid(Date.now() - 1_000)];
    await processed(async () => {
      await markRead(world, member, first);
      await markRead(world, member, second);
      await markRead(world, member, first);
    });
    const data = { participant_id: member, read_to: second };
    expect(management.received(own.connection_id)).toMatchObject([{ type: 'read', room_id, data }]);
    expect(management.received(ownV2.connection_id)).toMatchObject([
      { type: 'events', feed: 'user', room_id, events: [{ type: 'read', data }] },
    ]);
    expect(management.received(others.connection_id)).toEqual([]);
    expect(JSON.stringify(management.received(joined.connection_id))).not.toContain('"read"');
  });

  test('is not sent for a mark that did not move', async () => {
    const world = await newRoom();
    const own = newSocket(world.member);
    await reply('subscribe', own, {});
    await markRead(world, world.member, ulid());
    await processed(() => markRead(world, world.member, ulid(Date.now() - 5_000)));
    expect(management.received(own.connection_id)).toEqual([]);
  });
});
