import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MAX_MESSAGE_LENGTH } from '../../core/contract/limits.ts';
import type { FileItem, MessageItem } from '../../core/store/items.ts';
import { changeKey, changesKey, fileKey, messageKey } from '../../core/store/keys.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { get } from '../../core/store/read.ts';
import { update } from '../../core/store/write.ts';
import { deliver } from '../support/delivery.ts';
import { data, invoke, refusal, succeed } from '../support/invoke.ts';
import { type Management, startManagement } from '../support/management.ts';
import { joined, newSocket, refusedWith, reply } from '../support/socket.ts';
import { recorded } from '../support/stream.ts';
import { joinedV2 } from '../support/v2-client.ts';
import { at, newRoom, snapshot, type World } from '../support/world.ts';

const HOUR = 3_600_000;

const newMessage = (more: object = {}) => ({ client_message_id: randomUUID(), ...more });
const send = ({ room_id, member }: World, more: object = { text: 'first' }, as = member) =>
  reply('message', newSocket(as), { room_id, ...newMessage(more) });
const edit = ({ room_id, member }: World, message_id: string, text: string, as = member) =>
  data('editMessage', { as, params: { room_id, message_id }, body: { text } });
const remove = ({ room_id, member }: World, message_id: string, as = member) =>
  data('deleteMessage', { as, params: { room_id, message_id } });
const history = ({ room_id, admin }: World) =>
  data('listMessages', { as: admin, params: { room_id }, query: { limit: 200, order: 'asc' } });
const changes = ({ room_id, admin }: World, query: { after?: number; limit?: number } = {}) =>
  data('listMessageChanges', { as: admin, params: { room_id }, query });
const end = ({ room_id, admin }: World) => data('endRoom', { as: admin, params: { room_id } });

/** Uploads a file of the member to the bucket. */
async function file({ room_id, member }: World): Promise<string> {
  const params = { room_id };
  const query = { name: 'secret.txt', size: 6, content_type: 'text/plain' };
  const { file_id, upload_url, headers } = await data('createUpload', { as: member, params, query });
  expect((await fetch(upload_url, { method: 'PUT', body: 'secret', headers })).status).toBe(200);
  return file_id;
}
const download = ({ room_id, member }: World, file_id: string) =>
  invoke('createDownload', { as: member, params: { room_id }, query: { file_id } });
const attachments = (...ids: string[]) => ({ attachments: ids.map((file_id) => ({ file_id })) });

describe('an edit', () => {
  test('replaces only the text; history shows the message at its old position', async () => {
    const world = await newRoom();
    const before = await send(world, {
      text: 'first',
      type: 'note',
      data: { a: 1 },
      ...attachments(await file(world)),
    });
    const later = await send(world);
    const edited = await edit(world, before.message_id, 'second');
    expect(edited).toEqual({ ...before, text: 'second', edited_at: expect.any(String), change: 1 });
    expect(await history(world)).toEqual([edited, later]);
  });

  test('with the same text changes nothing', async () => {
    const world = await newRoom();
    const { message_id } = await send(world);
    const once = await edit(world, message_id, 'second');
    const before = await snapshot();
    expect(await edit(world, message_id, 'second')).toEqual(once);
    expect(await snapshot()).toEqual(before);
  });

  test.each<[string, (world: World, message_id: string) => Promise<{ as: string; message_id: string }>, string]>([
    ['of somebody else’s message', async ({ admin }, message_id) => ({ as: admin, message_id }), 'not_the_sender'],
    [
      'of a message that does not exist',
      async ({ member }) => ({ as: member, message_id: '01KJPWMX60DN4XCMTN3FJRJPH3' }),
      'message_not_found',
    ],
    [
      'of a message of another room',
      async ({ member }) => {
        const other = await newRoom({ members: [member] });
        return { as: member, message_id: (await send(other, { text: 'x' }, member)).message_id };
      },
      'message_not_found',
    ],
    [
      'of a deleted message',
      async (world, message_id) => {
        await remove(world, message_id);
        return { as: world.member, message_id };
      },
      'message_deleted',
    ],
    [
      'after the end',
      async (world, message_id) => {
        await end(world);
        return { as: world.member, message_id };
      },
      'room_ended',
    ],
    [
      'by a sender who was removed',
      async ({ room_id, admin, member }, message_id) => {
        await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
        return { as: member, message_id };
      },
      'not_a_participant',
    ],
  ])('%s is rejected', async (_, make, code) => {
    const world = await newRoom();
    const { message_id } = await send(world);
    const request = await make(world, message_id);
    const before = await snapshot();
    const params = { room_id: world.room_id, message_id: request.message_id };
    expect(await refusal('editMessage', { as: request.as, params, body: { text: 'second' } })).toBe(code);
    expect(await snapshot()).toEqual(before);
  });

  test('of a system message is rejected, even for a user with the same ID', async () => {
    const world = await newRoom({ members: ['system'] });
    const { room_id } = world;
    const now = new Date().toISOString();
    const { message_id } = await appendMessage({
      room_id,
      sender_id: 'system',
      client_message_id: 'a',
      text: 'x',
      now,
    });
    await update(messageKey(room_id, message_id), {
      UpdateExpression: 'SET kind = :system',
      ExpressionAttributeValues: { ':system': 'system' },
    });
    const params = { room_id, message_id };
    expect(await refusal('editMessage', { as: 'system', params, body: { text: 'y' } })).toBe('not_the_sender');
    expect(await refusal('deleteMessage', { as: 'system', params })).toBe('not_the_sender');
    expect(await remove(world, message_id, world.admin)).toMatchObject({ text: null, deleted_by: world.admin });
  });

  test('that makes the message too large for a frame is rejected with 413', async () => {
    const world = await newRoom();
    const { message_id } = await send(world, {
      data: { a: 'x'.repeat(4_000) },
      text: 'x',
      ...(await longFiles(world)),
    });
    const params = { room_id: world.room_id, message_id };
    const text = '語'.repeat(MAX_MESSAGE_LENGTH);
    const before = await snapshot();
    expect(await refusal('editMessage', { as: world.member, params, body: { text } })).toBe('payload_too_large');
    expect(await snapshot()).toEqual(before);
  });
});

/** Uploads 10 files whose names and types have the maximum length. */
async function longFiles({ room_id, member }: World) {
  const ids = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const query = { name: '語'.repeat(255), size: 1, content_type: `a/b;${'x'.repeat(250)}` };
      const { file_id, upload_url, headers } = await data('createUpload', { as: member, params: { room_id }, query });
      expect((await fetch(upload_url, { method: 'PUT', body: 'x', headers })).status).toBe(200);
      return file_id;
    }),
  );
  return attachments(...ids);
}

describe('a deletion', () => {
  test('keeps the sender and the time, and records who deleted the message', async () => {
    const world = await newRoom();
    const first = await send(world);
    const sent = await send(world, {
      text: 'secret text',
      type: 'secret type',
      data: { secret: 'data' },
      reply_to: first.message_id,
      ...attachments(await file(world)),
    });
    const deleted = await remove(world, sent.message_id);
    expect(deleted).toEqual({
      ...sent,
      text: null,
      type: null,
      data: null,
      attachment: null,
      attachments: [],
      deleted_at: expect.any(String),
      deleted_by: world.member,
      change: 1,
    });
    expect(await history(world)).toEqual([first, deleted]);
    const item = await get<MessageItem>(messageKey(world.room_id, sent.message_id));
    expect(JSON.stringify(item)).not.toMatch(/secret/);
  });

  test('succeeds a second time without effect', async () => {
    const world = await newRoom();
    const { message_id } = await send(world);
    const once = await remove(world, message_id);
    const before = await snapshot();
    expect(await remove(world, message_id, world.admin)).toEqual(once);
    expect(await snapshot()).toEqual(before);
  });

  test('is allowed for an admin at any time, and for the sender only in a live room', async () => {
    const world = await newRoom();
    const [a, b] = [await send(world), await send(world)];
    const own = await send(world, { text: 'x' }, world.admin);
    expect(await remove(world, a.message_id, world.admin)).toMatchObject({ deleted_by: world.admin, text: null });
    await end(world);
    const params = { room_id: world.room_id, message_id: b.message_id };
    expect(await refusal('deleteMessage', { as: world.member, params })).toBe('room_ended');
    expect(await remove(world, b.message_id, world.admin)).toMatchObject({ deleted_by: world.admin, text: null });
    expect(await remove(world, own.message_id, world.admin)).toMatchObject({ deleted_by: world.admin, text: null });
  });

  test("of another user's message is rejected for a participant", async () => {
    const world = await newRoom();
    const { message_id } = await send(world, { text: 'x' }, world.admin);
    const params = { room_id: world.room_id, message_id };
    expect(await refusal('deleteMessage', { as: world.member, params })).toBe('not_the_sender');
    expect(await refusal('deleteMessage', { as: world.outsider, params })).toBe('not_a_participant');
    const absent = { room_id: world.room_id, message_id: '01KJPWMX60DN4XCMTN3FJRJPH3' };
    expect(await refusal('deleteMessage', { as: world.admin, params: absent })).toBe('message_not_found');
  });

  test('is limited to 120 changes per user and minute', async () => {
    const world = await newRoom();
    const { message_id } = await send(world);
    await remove(world, message_id);
    await at(Math.ceil(Date.now() / 60_000) * 60_000 + 120_000, async () => {
      const params = { room_id: world.room_id, message_id };
      for (let n = 0; n < 120; n++) await remove(world, message_id);
      const answer = await invoke('deleteMessage', { as: world.member, params });
      expect(answer).toMatchObject({ ok: false, code: 'too_many_requests', headers: { 'retry-after': '60' } });
      await remove(world, message_id, world.admin);
    });
  });

  test('wins against a simultaneous edit: the message stays deleted', async () => {
    const world = await newRoom();
    for (let round = 0; round < 10; round++) {
      const { message_id } = await send(world);
      const params = { room_id: world.room_id, message_id };
      const [edited, deleted] = await Promise.all([
        invoke('editMessage', { as: world.member, params, body: { text: 'secret' } }),
        invoke('deleteMessage', { as: world.admin, params }),
      ]);
      expect(deleted.ok).toBe(true);
      if (!edited.ok) expect(edited.code).toBe('message_deleted');
      expect((await history(world)).find((each) => each.message_id === message_id)).toMatchObject({ text: null });
    }
  });

  describe('of a message with a file', () => {
    test('deletes the file at once: record, download and object', async () => {
      const world = await newRoom();
      const file_id = await file(world);
      const { message_id } = await send(world, attachments(file_id));
      const link = await download(world, file_id);
      if (!link.ok) throw new Error('There is a link.');
      expect((await fetch(link.data.download_url)).status).toBe(200);
      await remove(world, message_id);
      expect(await download(world, file_id)).toMatchObject({ ok: false, code: 'file_not_found' });
      expect((await fetch(link.data.download_url)).status).toBe(404);
      expect(await get<FileItem>(fileKey(world.room_id, file_id))).toMatchObject({
        uses: 0,
        expires_at: expect.any(Number),
      });
      const params = { room_id: world.room_id };
      expect(await refusal('createDownload', { as: world.member, params, query: { message_id } })).toBe(
        'file_not_found',
      );
    });

    test('keeps a file until the last message with it is deleted', async () => {
      const world = await newRoom();
      const file_id = await file(world);
      const [a, b] = [await send(world, attachments(file_id)), await send(world, { attachment: { file_id } })];
      await remove(world, a.message_id);
      const link = await download(world, file_id);
      if (!link.ok) throw new Error('There is a link.');
      expect((await fetch(link.data.download_url)).status).toBe(200);
      await remove(world, b.message_id, world.admin);
      expect(await download(world, file_id)).toMatchObject({ ok: false, code: 'file_not_found' });
      expect((await fetch(link.data.download_url)).status).toBe(404);
    });

    test('deletes a file that was sent before uses were counted', async () => {
      const world = await newRoom();
      const file_id = await file(world);
      const { message_id } = await send(world, attachments(file_id));
      await update(fileKey(world.room_id, file_id), { UpdateExpression: 'REMOVE uses' });
      await remove(world, message_id);
      expect(await download(world, file_id)).toMatchObject({ ok: false, code: 'file_not_found' });
    });

    test('counts both messages if a later one has the same old file', async () => {
      const world = await newRoom();
      const file_id = await file(world);
      const old = await send(world, attachments(file_id));
      await update(fileKey(world.room_id, file_id), { UpdateExpression: 'REMOVE uses' });
      await send(world, attachments(file_id));
      await remove(world, old.message_id);
      expect(await download(world, file_id)).toMatchObject({ ok: true });
    });

    test('does not break a message with the same file that is sent at the same time', async () => {
      const world = await newRoom();
      for (let round = 0; round < 10; round++) {
        const file_id = await file(world);
        const { message_id } = await send(world, attachments(file_id));
        const again = newMessage(attachments(file_id));
        const socket = newSocket(world.member);
        const [, second] = await Promise.all([
          remove(world, message_id),
          reply('message', socket, { room_id: world.room_id, ...again }).catch(() => undefined),
        ]);
        const found = await download(world, file_id);
        // Either the message and the bucket both have the file, or neither has it.
        expect(found.ok).toBe(second !== undefined);
        if (found.ok) expect((await fetch(found.data.download_url)).status).toBe(200);
      }
    });

    test('prevents that the file is sent again', async () => {
      const world = await newRoom();
      const file_id = await file(world);
      const { message_id } = await send(world, attachments(file_id));
      const frame = () => ({ room_id: world.room_id, ...newMessage(attachments(file_id)) });
      await at(Date.now() + HOUR / 2, async () => {
        await remove(world, message_id);
        expect(await refusedWith('message', newSocket(world.member), frame())).toBe('file_not_found');
      });
      // The result is the same for a function whose clock is behind.
      expect(await refusedWith('message', newSocket(world.member), frame())).toBe('file_not_found');
    });
  });
});

describe.each<[string, (world: World) => Promise<unknown>]>([
  [
    'an observer',
    ({ room_id, admin, member }) =>
      data('setRole', { as: admin, params: { room_id, participant_id: member }, body: { role: 'observer' } }),
  ],
  [
    'a member of a locked room',
    ({ room_id, admin }) => data('changeRoom', { as: admin, params: { room_id }, body: { posting: 'admins' } }),
  ],
])('%s', (_, restrict) => {
  test('cannot edit, but can delete a message of their own', async () => {
    const world = await newRoom();
    const { message_id } = await send(world);
    await restrict(world);
    const request = { as: world.member, params: { room_id: world.room_id, message_id } };
    expect(await refusal('editMessage', { ...request, body: { text: 'second' } })).toBe('read_only');
    expect(await data('deleteMessage', request)).toMatchObject({ text: null, deleted_by: world.member });
  });
});

describe('the list of changes', () => {
  test('contains each changed message once, at its last change', async () => {
    const world = await newRoom();
    const [a, b, c] = [await send(world), await send(world), await send(world)];
    expect(await changes(world)).toEqual([]);
    await edit(world, a.message_id, 'a1');
    await edit(world, b.message_id, 'b1');
    await edit(world, a.message_id, 'a2');
    await remove(world, c.message_id);
    const all = await changes(world);
    expect(all.map(({ message_id, change, text }) => [message_id, change, text])).toEqual([
      [b.message_id, 2, 'b1'],
      [a.message_id, 3, 'a2'],
      [c.message_id, 4, null],
    ]);
    expect(await changes(world, { after: 2 })).toEqual(all.slice(1));
    expect(await changes(world, { after: 4 })).toEqual([]);
    expect(await changes(world, { after: 999_999_999_999 })).toEqual([]);
    expect(await get(changeKey(world.room_id, 1))).toBeUndefined();
    expect(await get(changesKey(world.room_id))).toMatchObject({ last: 4 });
  });

  test('is read page by page, by cursor or by the last change', async () => {
    const world = await newRoom();
    for (let n = 0; n < 5; n++) await edit(world, (await send(world)).message_id, `text ${n}`);
    const params = { room_id: world.room_id };
    const numbers: (number | null)[] = [];
    let cursor: string | undefined;
    do {
      const query = { limit: 2, ...(cursor !== undefined && { cursor }) };
      const { data: page, page: info } = await succeed('listMessageChanges', { as: world.member, params, query });
      numbers.push(...page.map(({ change }) => change));
      cursor = info?.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(numbers).toEqual([1, 2, 3, 4, 5]);
    const rest = await succeed('listMessageChanges', { as: world.member, params, query: { after: 3, limit: 2 } });
    expect(rest.data.map(({ change }) => change)).toEqual([4, 5]);
    expect(rest.page).toEqual({ size: 2, next_cursor: null });
  });

  test('omits a message whose pointer is older than its last change', async () => {
    const world = await newRoom();
    const [a, b] = [await send(world), await send(world)];
    await edit(world, a.message_id, 'a1');
    await edit(world, b.message_id, 'b1');
    // Simulates a reader that read the pointers before the next edit.
    await update(messageKey(world.room_id, a.message_id), {
      UpdateExpression: 'SET #change = :later',
      ExpressionAttributeNames: { '#change': 'change' },
      ExpressionAttributeValues: { ':later': 3 },
    });
    expect((await changes(world)).map(({ message_id }) => message_id)).toEqual([b.message_id]);
  });

  test('numbers simultaneous changes without a gap', { timeout: 30_000 }, async () => {
    const world = await newRoom();
    const messages = await Promise.all(Array.from({ length: 12 }, () => send(world)));
    await Promise.all(
      messages.map(async ({ message_id }, n) => {
        await edit(world, message_id, `a ${n}`);
        if (n % 3 === 0) await remove(world, message_id, world.admin);
      }),
    );
    const all = await changes(world);
    expect(all).toHaveLength(12);
    const numbers = all.map(({ change }) => change ?? 0);
    expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
    expect(await get(changesKey(world.room_id))).toMatchObject({ last: 16 });
    expect(numbers.at(-1)).toBe(16);
  });
});

describe('events', () => {
  let management: Management;
  beforeAll(async () => {
    management = await startManagement();
    process.env.CALLBACK_URL = management.url;
  });
  beforeEach(() => management.reset());
  afterAll(() => management.close());

  test('of an edit and of a deletion have the whole message, on both protocols', async () => {
    const world = await newRoom();
    const socket = await joined(world.room_id, world.admin);
    const { socket: v2 } = await joinedV2(world.room_id, world.admin);
    let id = '';
    const records = await recorded(async () => {
      id = (await send(world)).message_id;
    });
    await deliver(records);
    const edited = await recorded(() => edit(world, id, 'second'));
    await deliver(edited);
    const deleted = await recorded(() => remove(world, id));
    await deliver(deleted);
    const events = management.received(socket.connection_id);
    expect(events.map(({ type, data: { text, change } }) => [type, text, change])).toEqual([
      ['message', 'first', null],
      ['message_updated', 'second', 1],
      ['message_deleted', null, 2],
    ]);
    expect(events.at(-1)?.data).toEqual((await history(world))[0]);
    const frames = management.delivered.flatMap(({ connection_id, frame }) =>
      connection_id === v2.connection_id ? JSON.parse(frame) : [],
    );
    expect(frames.map(({ feed, seq, events: [{ type }] }) => [feed, seq, type])).toEqual([
      ['messages', 1, 'message'],
      ['messages', 2, 'message_updated'],
      ['messages', 3, 'message_deleted'],
    ]);
  });

  test('that are late or repeated never contain deleted text', async () => {
    const world = await newRoom();
    const socket = await joined(world.room_id, world.admin);
    let id = '';
    const stored = await recorded(async () => {
      id = (await send(world, { text: 'secret', data: { secret: 1 } })).message_id;
    });
    const edited = await recorded(() => edit(world, id, 'secret, too'));
    const deleted = await recorded(() => remove(world, id));
    for (const records of [[...stored, ...edited, ...deleted], [...stored, ...edited], edited]) await deliver(records);
    // A dead letter delivers the record again much later.
    await at(Date.now() + HOUR / 6, () => deliver(stored));
    const events = management.received(socket.connection_id);
    expect(events.map(({ type }) => type)).toEqual([
      ...['message', 'message_deleted'],
      ...['message', 'message_deleted'],
      'message_deleted',
      'message',
    ]);
    expect(JSON.stringify(management.delivered)).not.toContain('secret');
  });

  test('of new messages need no read, unless they are late', async () => {
    const world = await newRoom();
    await joined(world.room_id, world.admin);
    const records = await recorded(() => send(world));
    const reads = async () => {
      const { trace } = await deliver(records);
      return trace.requests.filter((request) => request === 'BatchGetItem').length;
    };
    expect(await reads()).toBe(0);
    expect(await at(Date.now() + 10_000, reads)).toBe(1);
  });

  test('are not sent for writes without a change, or for a message that no longer exists', async () => {
    const world = await newRoom();
    const socket = await joined(world.room_id, world.admin);
    const { message_id } = await send(world);
    const touched = await recorded(() =>
      update(messageKey(world.room_id, message_id), { UpdateExpression: 'REMOVE nothing' }).then(() =>
        update(messageKey(world.room_id, message_id), {
          UpdateExpression: 'SET touched = :true',
          ExpressionAttributeValues: { ':true': true },
        }),
      ),
    );
    await deliver(touched);
    expect(management.received(socket.connection_id)).toEqual([]);
  });

  test('after a join start after its last_change', async () => {
    const world = await newRoom();
    const { message_id } = await send(world);
    const before = await reply('join', newSocket(world.member), { room_id: world.room_id });
    expect(before.last_change).toBe(0);
    await edit(world, message_id, 'second');
    expect(await reply('join', newSocket(world.member), { room_id: world.room_id })).toMatchObject({ last_change: 1 });
    const { reply: v2 } = await joinedV2(world.room_id, world.member);
    expect(v2).toMatchObject({ last_change: 1 });
  });
});
