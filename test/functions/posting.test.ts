import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Message } from '../../core/contract/answers.ts';
import { liveMembership } from '../../core/store/access.ts';
import { lockKey } from '../../core/store/keys.ts';
import { appendMessage, sendMessage } from '../../core/store/messages.ts';
import { withRightToPost } from '../../core/store/posting.ts';
import { get } from '../../core/store/read.ts';
import { copiesOf } from '../support/fill.ts';
import { data, refusal, succeed } from '../support/invoke.ts';
import { invokeAction, joined, newSocket, refusedWith, reply } from '../support/socket.ts';
import { newRoom, newUser, snapshot, type World } from '../support/world.ts';

const now = () => new Date().toISOString();
const query = { size: 1, content_type: 'text/plain' };

let world: World;
beforeEach(async () => {
  world = await newRoom();
});

const text = (room_id = world.room_id, client_message_id: string = randomUUID()) => ({
  room_id,
  client_message_id,
  text: 'x',
});
const setRole = ({ room_id, admin, member }: World, role: string) =>
  data('setRole', { as: admin, params: { room_id, participant_id: member }, body: { role } });
const setPosting = ({ room_id, admin }: World, posting: string) =>
  data('changeRoom', { as: admin, params: { room_id }, body: { posting } });
const remove = ({ room_id, admin, member }: World) =>
  data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
const idsOf = async ({ room_id, admin }: World) =>
  (await data('listMessages', { as: admin, params: { room_id }, query: { limit: 200, order: 'asc' } })).map(
    ({ message_id }) => message_id,
  );

const noFiles = { file_ids: [], findFile: () => Promise.reject(new Error('The message has no files.')) };

describe('PATCH …/participant/{participant_id}', () => {
  test('makes a member an observer, who can read but not post, and a member again', async () => {
    const { room_id, member } = world;
    const params = { room_id };
    const observer = { participant_id: member, username: null, archive_room: false, role: 'observer', is_admin: false };
    expect(await setRole(world, 'observer')).toEqual(observer);
    const before = await snapshot();
    expect(await setRole(world, 'observer')).toEqual(observer);
    expect(await snapshot()).toEqual(before);
    const socket = await joined(room_id, member);
    expect(await refusedWith('message', socket, text())).toBe('read_only');
    expect(await refusal('createUpload', { as: member, params, query })).toBe('read_only');
    expect(await data('getRoom', { as: member, params })).toMatchObject({ role: 'observer' });
    expect(await data('listParticipants', { as: member, params })).toContainEqual(
      expect.objectContaining({ participant_id: member, role: 'observer', online: true }),
    );
    expect(await data('listMessages', { as: member, params })).toEqual([]);

    expect(await setRole(world, 'member')).toEqual({ ...observer, role: 'member' });
    await reply('message', socket, text());
    await data('createUpload', { as: member, params, query });
  });

  test('rejects an admin as observer; the role member changes nothing for an admin', async () => {
    const { room_id, admin, member } = world;
    await data('grantAdmin', { as: admin, params: { room_id, participant_id: member } });
    const before = await snapshot();
    for (const participant_id of [admin, member])
      expect(
        await refusal('setRole', { as: admin, params: { room_id, participant_id }, body: { role: 'observer' } }),
      ).toBe('participant_is_admin');
    expect(await setRole(world, 'member')).toMatchObject({ is_admin: true, role: 'member' });
    expect(await snapshot()).toEqual(before);
  });

  test('rejects a user who is not a participant', async () => {
    const { room_id, admin, outsider } = world;
    for (const role of ['member', 'observer'])
      expect(
        await refusal('setRole', { as: admin, params: { room_id, participant_id: outsider }, body: { role } }),
      ).toBe('participant_not_found');
  });

  test('an observer who is granted admin is a member', async () => {
    const { room_id, admin, member } = world;
    await setRole(world, 'observer');
    const params = { room_id, participant_id: member };
    expect(await data('grantAdmin', { as: admin, params })).toMatchObject({ role: 'member', is_admin: true });
    expect(await data('revokeAdmin', { as: admin, params })).toMatchObject({ role: 'member', is_admin: false });
    await reply('message', newSocket(member), text());
  });

  test('a simultaneous demotion and grant never make an admin an observer', async () => {
    for (const { room_id, admin, member } of await copiesOf(world, 50)) {
      const params = { room_id, participant_id: member };
      await Promise.allSettled([
        data('grantAdmin', { as: admin, params }),
        data('setRole', { as: admin, params, body: { role: 'observer' } }),
      ]);
      expect(await data('getRoom', { as: member, params: { room_id } })).toMatchObject({
        is_admin: true,
        role: 'member',
      });
    }
  });
});

describe('adding participants with a role', () => {
  test('adds observers, and keeps the role of existing participants', async () => {
    const { room_id, admin, member } = world;
    const params = { room_id };
    const [first, second] = [newUser(), newUser()];
    const roles = async (participant_ids: string[], role?: string) =>
      (await data('addParticipants', { as: admin, params, body: { participant_ids, ...(role && { role }) } })).map(
        ({ role, is_admin }) => (is_admin ? 'admin' : role),
      );
    const { trace } = await succeed('addParticipants', {
      as: admin,
      params,
      body: { participant_ids: [first], role: 'observer' },
    });
    expect(trace.trips).toBe(1);
    expect(await roles([admin, member, first, second], 'observer')).toEqual([
      'admin',
      'member',
      'observer',
      'observer',
    ]);
    expect(await roles([admin, member, first, second], 'member')).toEqual(['admin', 'member', 'observer', 'observer']);
    expect(await roles([newUser()])).toEqual(['member']);
    const listed = await data('listParticipants', { as: first, params });
    expect(listed.filter(({ role }) => role === 'observer').map((each) => each.participant_id)).toEqual(
      [first, second].sort(),
    );
  });
});

describe('posting: "admins"', () => {
  test('lets only admins post and upload, until it is changed back', async () => {
    const { room_id, admin, member } = world;
    const params = { room_id };
    const { data: locked, trace } = await succeed('changeRoom', { as: admin, params, body: { posting: 'admins' } });
    expect([locked.posting, trace.trips]).toEqual(['admins', 1]);
    expect(await get(lockKey(room_id, 15))).toBeDefined();
    expect(await refusedWith('message', newSocket(member), text())).toBe('read_only');
    expect(await refusal('createUpload', { as: member, params, query })).toBe('read_only');
    await reply('message', newSocket(admin), text());
    await data('createUpload', { as: admin, params, query });
    expect(await data('getRoom', { as: member, params })).toMatchObject({ posting: 'admins' });

    expect(await setPosting(world, 'everyone')).toMatchObject({ posting: 'everyone', name: 'A room' });
    expect(await get(lockKey(room_id, 15))).toBeUndefined();
    await reply('message', newSocket(member), text());
  });

  test('applies from the start in a room that is created with it', async () => {
    const locked = await newRoom({ body: { posting: 'admins' } });
    expect(await get(lockKey(locked.room_id, 0))).toBeDefined();
    expect(await refusedWith('message', newSocket(locked.member), text(locked.room_id))).toBe('read_only');
    await reply('message', newSocket(locked.admin), text(locked.room_id));
  });

  test('changes together with the other fields of a request, or not at all', async () => {
    const { room_id, admin, member } = world;
    const body = { posting: 'admins', name: 'Quiet', description: 'd', metadata: { a: [1, null] }, end_time: null };
    const changed = await data('changeRoom', { as: admin, params: { room_id }, body });
    expect(changed).toMatchObject(body);
    const { data: mine } = await succeed('getRoom', { as: admin, params: { room_id } });
    expect(mine).toMatchObject(changed);
    const before = await snapshot();
    const change = { params: { room_id }, body: { posting: 'everyone' } };
    expect(await refusal('changeRoom', { as: member, ...change })).toBe('not_an_admin');
    expect(
      await refusal('changeRoom', { as: admin, ...change, body: { ...change.body, end_time: '2001-01-01T00:00Z' } }),
    ).toBe('invalid_request');
    expect(await snapshot()).toEqual(before);
    await data('endRoom', { as: admin, params: { room_id } });
    expect(await refusal('changeRoom', { as: admin, ...change })).toBe('room_ended');
  });
});

test('metadata is stored as given, and cleared with null', async () => {
  const { room_id, admin } = world;
  const params = { room_id };
  const metadata = { '': { deep: [[{}], null, true, 'ü'] }, toString: 'x' };
  const change = (value: object | null) => data('changeRoom', { as: admin, params, body: { metadata: value } });
  expect((await change(metadata)).metadata).toEqual(metadata);
  expect((await data('listRooms', { as: admin }))[0]?.metadata).toEqual(metadata);
  expect((await change({})).metadata).toEqual({});
  expect((await change(null)).metadata).toBeNull();
  const created = await data('createRoom', { as: admin, body: { name: 'x', metadata } });
  expect((await data('getRoom', { as: admin, params: { room_id: created.room_id } })).metadata).toEqual(metadata);
});

describe('sender_name', () => {
  test('is the username at the time of sending, and remains after the sender has left', async () => {
    const { room_id, admin, member } = world;
    const params = { room_id };
    expect(await reply('message', newSocket(member), text())).toMatchObject({ sender_name: null });
    await data('updateProfile', { as: member, params, body: { username: 'Bob' } });
    expect(await reply('message', newSocket(member), text())).toMatchObject({ sender_name: 'Bob' });
    await data('updateProfile', { as: member, params, body: { username: 'Robert' } });
    await remove(world);
    const history = await data('listMessages', { as: admin, params, query: { order: 'asc' } });
    expect(history.map(({ sender_name }) => sender_name)).toEqual([null, 'Bob']);
  });
});

/** Posts a message, and calls `meanwhile` between reading the sender's right and the write. */
async function postAfter(user: string, meanwhile: () => Promise<unknown>): Promise<Message> {
  const { room_id } = world;
  let done: Promise<unknown> | undefined;
  return withRightToPost(
    () => liveMembership(room_id, user, now()),
    async (_, right) => {
      done ??= meanwhile();
      await done;
      return appendMessage({ ...text(), sender_id: user, right, now: now() });
    },
  );
}

describe('a message whose sender loses the right after it was read', () => {
  test.each<[string, (world: World) => Promise<unknown>, string]>([
    ['because of a removal', remove, 'not_a_participant'],
    [
      'because the sender left',
      ({ room_id, member }) => data('leaveRoom', { as: member, params: { room_id } }),
      'not_a_participant',
    ],
    ['because of a demotion', (room) => setRole(room, 'observer'), 'read_only'],
    ['because of a lock', (room) => setPosting(room, 'admins'), 'read_only'],
  ])('%s is not stored', async (_, lose, code) => {
    await expect(postAfter(world.member, () => lose(world))).rejects.toMatchObject({ code });
    expect(await idsOf(world)).toEqual([]);
  });

  test('is stored if the sender has regained the right', async () => {
    await postAfter(world.member, async () => {
      await setPosting(world, 'admins');
      await setPosting(world, 'everyone');
      await remove(world);
      const { room_id, admin, member } = world;
      await data('addParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
    });
    expect(await idsOf(world)).toHaveLength(1);
  });

  test('is stored if the room is locked and the sender is an admin', async () => {
    await postAfter(world.admin, () => setPosting(world, 'admins'));
    expect(await idsOf(world)).toHaveLength(1);
  });

  test("is not stored if the sender's admin right is revoked and the room is locked", async () => {
    const { room_id, admin, member } = world;
    const params = { room_id, participant_id: member };
    await data('grantAdmin', { as: admin, params });
    const revokeAndLock = async () => {
      await data('revokeAdmin', { as: admin, params });
      await setPosting(world, 'admins');
    };
    await expect(postAfter(member, revokeAndLock)).rejects.toMatchObject({ code: 'read_only' });
    expect(await idsOf(world)).toEqual([]);
  });

  test('gets the stored message as its response when it is sent again', async () => {
    const { room_id, member } = world;
    const frame = text(room_id, 'same');
    const first = await reply('message', newSocket(member), frame);
    for (const lose of [() => setRole(world, 'observer'), () => setPosting(world, 'admins'), () => remove(world)]) {
      await lose();
      expect(await reply('message', newSocket(member), frame)).toEqual(first);
    }
    expect(await invokeAction('message', newSocket(member), text())).toMatchObject({
      ok: false,
      code: 'not_a_participant',
    });
  });
});

describe('while a user sends at full speed, no message is stored after the response to', () => {
  const ROUNDS = 40;
  const AT_ONCE = 4;

  test.each<[string, (world: World) => Promise<unknown>, string]>([
    ['a removal', remove, 'not_a_participant'],
    ['leaving', ({ room_id, member }) => data('leaveRoom', { as: member, params: { room_id } }), 'not_a_participant'],
    ['a demotion', (room) => setRole(room, 'observer'), 'read_only'],
    ['a lock', (room) => setPosting(room, 'admins'), 'read_only'],
  ])('%s', { timeout: 60_000 }, async (_, lose, code) => {
    let total = 0;
    for (const [round, room] of (await copiesOf(world, ROUNDS)).entries()) {
      const { room_id, member: caller } = room;
      const stored: string[] = [];
      const refusals: unknown[] = [];
      const started = Date.now();
      let sent = 0;
      const sender = async (): Promise<void> => {
        while (refusals.length === 0)
          try {
            // Each message has a different time, so that the room's budget does not limit them.
            const time = new Date(started + 50 * sent++).toISOString();
            const message = { ...text(room_id), ...noFiles, caller, now: time, admitted: Promise.resolve(1) };
            stored.push((await sendMessage(message)).message_id);
          } catch (error) {
            refusals.push(error);
          }
      };
      const senders = Array.from({ length: AT_ONCE }, sender);
      await sleep(round);
      await lose(room);
      const after = await idsOf(room);
      await Promise.all(senders);
      expect(await idsOf(room)).toEqual(after);
      expect([...stored].sort()).toEqual([...after].sort());
      for (const refusal of refusals) expect(refusal).toMatchObject({ code });
      total += stored.length;
    }
    expect(total).toBeGreaterThan(ROUNDS);
  });
});
