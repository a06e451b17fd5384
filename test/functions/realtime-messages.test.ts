import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  MAX_FRAME_BYTES,
  MAX_FRAMES_PER_WINDOW,
  MAX_JSON_BYTES,
  MAX_MESSAGE_LENGTH,
  MAX_USER_FRAMES_PER_WINDOW,
} from '../../core/contract/limits.ts';
import { actions } from '../../core/contract/realtime.ts';
import { epochSeconds } from '../../core/rules/time.ts';
import { getOwnFile } from '../../core/store/files.ts';
import type { FileItem } from '../../core/store/items.ts';
import { fileKey, sentKey } from '../../core/store/keys.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { get } from '../../core/store/read.ts';
import { remove, update } from '../../core/store/write.ts';
import { messageDefaults } from '../support/defaults.ts';
import { data, refusal } from '../support/invoke.ts';
import {
  disconnect,
  frameOf,
  invokeAction,
  invokeUnknownAction,
  joined,
  newSocket,
  refusedWith,
  reply,
} from '../support/socket.ts';
import { at, newRoom, newUser, snapshot, type World } from '../support/world.ts';

const HOUR = 3_600_000;
const unknownRoom = '01900000-0000-7000-8000-000000000000';

let world: World;
beforeAll(async () => {
  world = await newRoom();
});

const text = (text: string, more: object = {}) => ({
  room_id: world.room_id,
  client_message_id: randomUUID(),
  text,
  ...more,
});
const history = (room_id: string, as: string) =>
  data('listMessages', { as, params: { room_id }, query: { limit: 200, order: 'asc' } });
/** The chat items of a room in the table, including the markers of sent messages. */
const chatOf = async (room_id: string) => (await snapshot()).filter((item) => item.includes(`"CHAT#${room_id}"`));

/** Creates a file of the room, and uploads it by default. */
async function file(as: string, { uploaded = true, room_id = world.room_id } = {}) {
  const bytes = Buffer.from('an image');
  const { file_id, upload_url, headers } = await data('createUpload', {
    as,
    params: { room_id },
    query: { name: 'plan "A".png', size: bytes.length, content_type: 'image/png' },
  });
  if (uploaded) expect((await fetch(upload_url, { method: 'PUT', body: bytes, headers })).status).toBe(200);
  return { file_id, name: 'plan "A".png', size: bytes.length, content_type: 'image/png' };
}
const attached = (file_id: string, more: object = {}) => ({
  room_id: world.room_id,
  client_message_id: randomUUID(),
  attachment: { file_id },
  ...more,
});

describe('message', () => {
  test('is stored before it is acknowledged, in two round trips, and appears in the history', async () => {
    const { room_id, member, admin } = await newRoom();
    const before = Date.now();
    const answer = await invokeAction(
      'message',
      newSocket(member),
      text('Hello 😀\n\tyou', { room_id, client_message_id: 'c1' }),
    );
    if (!answer.ok) throw new Error(answer.message);
    expect(answer.data).toEqual({
      ...messageDefaults,
      message_id: expect.stringMatching(/^[0-9A-HJKMNP-TV-Z]{26}$/),
      room_id,
      sender_id: member,
      client_message_id: 'c1',
      text: 'Hello 😀\n\tyou',
      sent_at: expect.any(String),
    });
    expect(Date.parse(answer.data.sent_at)).toBeGreaterThanOrEqual(before);
    expect(answer.trace.trips).toBe(2);
    expect(await history(room_id, admin)).toEqual([answer.data]);
  });

  test('needs no join', async () => {
    const socket = newSocket(world.member);
    await reply('message', socket, text('x'));
  });

  test('is never logged', async () => {
    const { log } = await invokeAction('message', newSocket(world.member), text('a secret between us'));
    expect(JSON.stringify(log)).not.toContain('secret');
  });

  describe('with a file', () => {
    test('contains the stored details of the file, in two round trips', async () => {
      const facts = await file(world.member);
      const answer = await invokeAction('message', newSocket(world.member), attached(facts.file_id));
      expect(answer).toMatchObject({ ok: true, data: { text: null, attachment: facts } });
      expect(answer.trace.trips).toBe(2);
      const both = await reply('message', newSocket(world.member), attached(facts.file_id, { text: 'look' }));
      expect(both).toMatchObject({ text: 'look', attachment: facts });
    });

    test.each<[string, () => Promise<object>, string]>([
      ['was never uploaded', async () => await file(world.member, { uploaded: false }), 'file_not_uploaded'],
      ['belongs to another user', async () => await file(world.admin), 'file_not_found'],
      ['does not exist', async () => ({ file_id: unknownRoom }), 'file_not_found'],
      [
        'is of another room',
        async () => {
          const { room_id } = await newRoom({ members: [world.member] });
          return await file(world.member, { room_id });
        },
        'file_not_found',
      ],
    ])('that %s is rejected', async (_, make, code) => {
      const { file_id } = (await make()) as { file_id: string };
      const before = await chatOf(world.room_id);
      expect(await refusedWith('message', newSocket(world.member), attached(file_id))).toBe(code);
      expect(await chatOf(world.room_id)).toEqual(before);
    });

    test('is accepted after its upload has finished, under the same client_message_id', async () => {
      const bytes = Buffer.from('x');
      const { file_id, upload_url, headers } = await data('createUpload', {
        as: world.member,
        params: { room_id: world.room_id },
        query: { name: 'a', size: 1, content_type: 'text/plain' },
      });
      const frame = attached(file_id);
      expect(await refusedWith('message', newSocket(world.member), frame)).toBe('file_not_uploaded');
      await fetch(upload_url, { method: 'PUT', body: bytes, headers });
      expect(await reply('message', newSocket(world.member), frame)).toMatchObject({ attachment: { file_id } });
    });

    describe('that no message has', () => {
      const DAY = 24 * HOUR;
      const download = (file_id: string) => ({
        as: world.member,
        params: { room_id: world.room_id },
        query: { file_id },
      });
      const expiryOf = async (file_id: string) => (await get<FileItem>(fileKey(world.room_id, file_id)))?.expires_at;

      test('expires after a day, to the second: it can be neither sent nor downloaded', async () => {
        const uploaded = Math.floor(Date.now() / 1_000) * 1_000;
        const { file_id } = await at(uploaded, () => file(world.member));
        expect(await expiryOf(file_id)).toBe((uploaded + DAY) / 1_000);
        await at(uploaded + DAY - 1, () => data('createDownload', download(file_id)));
        await at(uploaded + DAY, async () => {
          expect(await refusal('createDownload', download(file_id))).toBe('file_not_found');
          expect(await refusedWith('message', newSocket(world.member), attached(file_id))).toBe('file_not_found');
        });
      });

      test('does not expire after a message has it, even if it was sent in the last second', async () => {
        const uploaded = Math.floor(Date.now() / 1_000) * 1_000;
        const { file_id } = await at(uploaded, () => file(world.member));
        await at(uploaded + DAY - 1, () => reply('message', newSocket(world.member), attached(file_id)));
        expect(await expiryOf(file_id)).toBeUndefined();
        await at(uploaded + 1_000 * DAY, async () => {
          await data('createDownload', download(file_id));
          await reply('message', newSocket(world.member), attached(file_id));
        });
      });

      test('cannot be sent if it is deleted between the read and the write, and no message is stored', async () => {
        const { file_id } = await file(world.member);
        const sender = { caller: world.member, now: new Date().toISOString() };
        const own = await getOwnFile(world.room_id, file_id, sender);
        await remove(fileKey(world.room_id, file_id));
        const before = await chatOf(world.room_id);
        const message = { room_id: world.room_id, sender_id: world.member, client_message_id: randomUUID() };
        await expect(appendMessage({ ...message, files: [own], now: sender.now })).rejects.toMatchObject({
          code: 'file_not_found',
        });
        expect(await chatOf(world.room_id)).toEqual(before);
        expect(await get(fileKey(world.room_id, file_id))).toBeUndefined();
      });

      test('is rejected if it expires between the read and the write', async () => {
        const { file_id } = await file(world.member);
        const sender = { caller: world.member, now: new Date().toISOString() };
        const own = await getOwnFile(world.room_id, file_id, sender);
        await update(fileKey(world.room_id, file_id), {
          UpdateExpression: 'SET expires_at = :now',
          ExpressionAttributeValues: { ':now': epochSeconds(sender.now) },
        });
        const message = { room_id: world.room_id, sender_id: world.member, client_message_id: randomUUID() };
        await expect(appendMessage({ ...message, files: [own], now: sender.now })).rejects.toMatchObject({
          code: 'file_not_found',
        });
      });

      test('does not expire if two messages use it at the same time, or if one is sent twice', async () => {
        const { file_id } = await file(world.member);
        const twice = attached(file_id);
        const sent = await Promise.all(
          [twice, twice, attached(file_id)].map((frame) => reply('message', newSocket(world.member), frame)),
        );
        expect(new Set(sent.map(({ message_id }) => message_id)).size).toBe(2);
        expect(await expiryOf(file_id)).toBeUndefined();
      });
    });

    test('from before uploads expired is sent and downloaded as before', async () => {
      const { file_id } = await file(world.member);
      await update(fileKey(world.room_id, file_id), { UpdateExpression: 'REMOVE expires_at' });
      await reply('message', newSocket(world.member), attached(file_id));
      const request = { as: world.member, params: { room_id: world.room_id }, query: { file_id } };
      await at(Date.now() + 1_000 * HOUR, () => data('createDownload', request));
    });

    test('can have 10 different files at most; the first one is also `attachment`', async () => {
      const facts = await Promise.all(Array.from({ length: 11 }, () => file(world.member)));
      const attachments = facts.map(({ file_id }) => ({ file_id }));
      const frame = (files: object[]) => ({
        room_id: world.room_id,
        client_message_id: randomUUID(),
        attachments: files,
      });
      const answer = await invokeAction('message', newSocket(world.member), frame(attachments.slice(0, 10)));
      expect(answer).toMatchObject({ ok: true, data: { attachment: facts[0], attachments: facts.slice(0, 10) } });
      expect(answer.trace.trips).toBe(2);
      const [one] = attachments;
      for (const bad of [
        frame(attachments),
        frame([]),
        frame([one ?? {}, one ?? {}]),
        { ...frame(attachments.slice(0, 2)), attachment: one },
      ])
        expect(await refusedWith('message', newSocket(world.member), bad)).toBe('invalid_request');
    });

    test('is rejected if one of its files does not exist', async () => {
      const [first, second] = [await file(world.member), await file(world.admin)];
      const frame = text('x', { attachments: [{ file_id: first.file_id }, { file_id: second.file_id }] });
      const before = await snapshot();
      expect(await refusedWith('message', newSocket(world.member), frame)).toBe('file_not_found');
      expect((await snapshot()).filter((item) => !item.includes('FRAMES#'))).toEqual(
        before.filter((item) => !item.includes('FRAMES#')),
      );
    });

    test('takes only the ID of a file from the sender', async () => {
      const { file_id } = await file(world.member);
      expect(
        await refusedWith(
          'message',
          newSocket(world.member),
          attached(file_id, { attachment: { file_id, name: 'x' } }),
        ),
      ).toBe('invalid_request');
    });
  });

  describe('is rejected', () => {
    test.each<[string, () => Promise<readonly [string, string]>, string]>([
      ['from a user outside of the room', async () => [world.room_id, world.outsider], 'not_a_participant'],
      ['to a room that does not exist', async () => [unknownRoom, world.member], 'room_not_found'],
      [
        'after the sender was removed, from a connection that is still open',
        async () => {
          const { room_id, admin, member } = await newRoom();
          await joined(room_id, member);
          await data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } });
          return [room_id, member];
        },
        'not_a_participant',
      ],
      [
        'after the end',
        async () => {
          const { room_id, admin, member } = await newRoom();
          await data('endRoom', { as: admin, params: { room_id } });
          return [room_id, member];
        },
        'room_ended',
      ],
      [
        'before the start',
        async () => {
          const { room_id, member } = await newRoom({
            body: { start_time: new Date(Date.now() + HOUR).toISOString() },
          });
          return [room_id, member];
        },
        'room_not_started',
      ],
    ])('%s', async (_, situation, code) => {
      const [room_id, user] = await situation();
      const socket = newSocket(user);
      expect(await refusedWith('message', socket, text('x', { room_id }))).toBe(code);
      expect(await chatOf(room_id)).toEqual(room_id === world.room_id ? expect.any(Array) : []);
    });

    test.each<[string, object, string]>([
      ['with neither text nor file nor data', { text: undefined }, 'text, attachment, attachments or data'],
      ['with an empty text', { text: '' }, 'text '],
      ['with an invisible text', { text: ' \u200b\n' }, 'text '],
      ['with a null byte', { text: 'a\u0000' }, 'text '],
      ['with an unpaired surrogate', { text: 'a\ud83d' }, 'text '],
      ['with a text that is too long', { text: 'x'.repeat(MAX_MESSAGE_LENGTH + 1) }, 'text must be at most 8000'],
      ['with a number as text', { text: 1 }, 'text must be a string'],
      ['without client_message_id', { client_message_id: undefined }, 'client_message_id is required'],
      [
        'with a client_message_id that contains the separator of keys',
        { client_message_id: 'a#b' },
        'client_message_id',
      ],
      ['without a room', { room_id: undefined }, 'room_id is required'],
      ['with an invalid room ID', { room_id: 'x' }, 'room_id must be a UUID'],
      ['with a sender_id', { sender_id: 'x' }, 'sender_id is not a field'],
      ['with a sent_at', { sent_at: '2020-01-01T00:00:00.000Z' }, 'sent_at is not a field'],
      ['with an empty type', { type: '' }, 'type must not be empty'],
      ['with a type that is too long', { type: 'x'.repeat(65) }, 'type must be at most 64'],
      ['with a type that contains a line break', { type: 'a\nb' }, 'type must not contain'],
      ['with data that is null', { data: null }, 'data must be a JSON object'],
      ['with data that is a list', { data: [1] }, 'data must be a JSON object'],
      ['with data that is text', { data: '{}' }, 'data must be a JSON object'],
      [
        'with data that is one byte too long',
        { data: { a: 'x'.repeat(MAX_JSON_BYTES - 7) } },
        'data must be at most 4096 bytes',
      ],
      ['with an invalid reply_to', { reply_to: 'x' }, 'reply_to must be a ULID'],
      ['with a sender_name', { sender_name: 'x' }, 'sender_name is not a field'],
      ['with a request_id that is too long', { request_id: 'x'.repeat(129) }, 'request_id'],
    ])('%s', async (_, more, message) => {
      const before = await chatOf(world.room_id);
      const answer = await invokeAction('message', newSocket(world.member), text('x', more));
      expect(answer).toMatchObject({ ok: false, code: 'invalid_request', message: expect.stringContaining(message) });
      expect(await chatOf(world.room_id)).toEqual(before);
    });
  });

  test.each([
    ['nested 1,000 levels deep', `{"a":${'['.repeat(999)}${']'.repeat(999)}}`, 'nested at most 32 levels'],
    ['with __proto__', '{"__proto__":{"admin":true}}', '__proto__'],
    ['with __proto__ inside', '{"a":[{"__proto__":1}]}', '__proto__'],
    ['with an infinite number', '{"a":1e999}', 'numbers'],
  ])('rejects data %s', async (_, json, message) => {
    const frame = JSON.stringify({ action: 'message', request_id: '1', ...text('x', { data: 0 }) });
    const before = await chatOf(world.room_id);
    const answer = await invokeAction('message', newSocket(world.member), frame.replace('"data":0', `"data":${json}`));
    expect(answer).toMatchObject({ ok: false, code: 'invalid_request', message: expect.stringContaining(message) });
    expect(await chatOf(world.room_id)).toEqual(before);
  });

  test('can consist only of data, of up to 4 KiB with any keys, which is returned unchanged', async () => {
    for (const given of [
      { a: 'x'.repeat(MAX_JSON_BYTES - 8) },
      { constructor: 'Ferrari', toString: { prototype: [null, true, -1.5e300, '\ud800'] } },
      {},
    ]) {
      const frame = { ...text('x', { data: given }), text: undefined };
      const sent = await reply('message', newSocket(world.member), frame);
      expect(sent).toMatchObject({ text: null, data: given });
      expect((await history(world.room_id, world.admin)).at(-1)).toEqual(sent);
    }
  });

  test('replies to a message of the room, also to one that was deleted, in two round trips', async () => {
    const { message_id } = await reply('message', newSocket(world.admin), text('question'));
    const params = { room_id: world.room_id, message_id };
    await data('deleteMessage', { as: world.admin, params });
    const answer = await invokeAction(
      'message',
      newSocket(world.member),
      text('answer', { reply_to: message_id.toLowerCase() }),
    );
    expect(answer).toMatchObject({ ok: true, data: { reply_to: message_id } });
    expect(answer.trace.trips).toBe(2);
  });

  test('cannot reply to a message of another room, or to none', async () => {
    const other = await newRoom({ members: [world.member] });
    const foreign = await reply('message', newSocket(world.member), text('x', { room_id: other.room_id }));
    const before = await chatOf(world.room_id);
    for (const reply_to of [foreign.message_id, '01KJPWMX60DN4XCMTN3FJRJPH3'])
      expect(await refusedWith('message', newSocket(world.member), text('x', { reply_to }))).toBe('message_not_found');
    expect(await chatOf(world.room_id)).toEqual(before);
  });

  test('contains the name that its sender had when it was sent', async () => {
    const { room_id, admin, member } = await newRoom();
    const rename = (username: string) => data('updateProfile', { as: member, params: { room_id }, body: { username } });
    const first = await reply('message', newSocket(member), text('x', { room_id }));
    await rename('Bob');
    const second = await reply('message', newSocket(member), text('x', { room_id }));
    await rename('Robert');
    expect([first, second].map(({ sender_name }) => sender_name)).toEqual([null, 'Bob']);
    expect(await history(room_id, admin)).toEqual([first, second]);
  });

  test('that does not fit into the frame of an event is too large, and stores nothing', async () => {
    const files = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const query = { name: '語'.repeat(255), size: 1, content_type: 'a/b' };
        const params = { room_id: world.room_id };
        const { file_id, upload_url, headers } = await data('createUpload', { as: world.member, params, query });
        expect((await fetch(upload_url, { method: 'PUT', body: 'x', headers })).status).toBe(200);
        return { file_id };
      }),
    );
    const before = await chatOf(world.room_id);
    const frame = text('語'.repeat(MAX_MESSAGE_LENGTH), { attachments: files });
    expect(await refusedWith('message', newSocket(world.member), frame)).toBe('payload_too_large');
    expect(await chatOf(world.room_id)).toEqual(before);
  });

  test('may be as long as the contract says, in any script', async () => {
    for (const one of ['x', '漢', 'é', '\n'])
      expect(
        (await reply('message', newSocket(world.member), text(`a${one.repeat(MAX_MESSAGE_LENGTH - 1)}`))).text,
      ).toHaveLength(MAX_MESSAGE_LENGTH);
  });
});

describe('the same client_message_id', () => {
  test('sent 12 times at once is one message, with the same reply each time', async () => {
    const { room_id, member } = await newRoom();
    const frame = text('once', { room_id });
    // The retries come over several connections, as after a reconnect.
    const sockets = Array.from({ length: 4 }, () => newSocket(member));
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, n) => reply('message', sockets[n % 4] ?? newSocket(member), frame)),
    );
    expect(new Set(replies.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(await history(room_id, member)).toEqual([replies[0]]);
    expect(await chatOf(room_id)).toHaveLength(2);
  });

  test('with other content is a conflict, and stores nothing', async () => {
    const original = await reply('message', newSocket(world.member), text('x'));
    const frame = text('first', { type: 'a', data: { a: 1 } });
    const first = await reply('message', newSocket(world.member), frame);
    const before = await chatOf(world.room_id);
    const { file_id } = await file(world.member);
    for (const other of [
      { text: 'second' },
      { text: undefined },
      { type: 'b' },
      { type: undefined },
      { data: { a: 2 } },
      { reply_to: original.message_id },
      { attachment: { file_id } },
    ])
      expect(await refusedWith('message', newSocket(world.member), { ...frame, ...other })).toBe(
        'idempotency_conflict',
      );
    expect(await chatOf(world.room_id)).toEqual(before);
    expect(await reply('message', newSocket(world.member), frame)).toEqual(first);
  });

  test('of a message that was stored without a hash accepts any content', async () => {
    const frame = text('first');
    const first = await reply('message', newSocket(world.member), frame);
    await update(sentKey(world.room_id, world.member, frame.client_message_id), {
      UpdateExpression: 'REMOVE content_hash',
    });
    expect(await reply('message', newSocket(world.member), { ...frame, text: 'second' })).toEqual(first);
  });

  test('returns the message as it is now, after an edit and a deletion', async () => {
    const { file_id } = await file(world.member);
    const frame = attached(file_id, { text: 'secret' });
    const { message_id } = await reply('message', newSocket(world.member), frame);
    const request = { as: world.member, params: { room_id: world.room_id, message_id } };
    const edited = await data('editMessage', { ...request, body: { text: 'second' } });
    expect(await reply('message', newSocket(world.member), frame)).toEqual(edited);
    const deleted = await data('deleteMessage', request);
    expect(await reply('message', newSocket(world.member), frame)).toEqual(deleted);
    expect(JSON.stringify(deleted)).not.toContain('secret');
  });

  test('is another message for another sender, and in another room', async () => {
    const { room_id, admin, member } = await newRoom();
    const other = await newRoom({ members: [member] });
    const frame = { client_message_id: 'same', text: 'x' };
    const ids = [
      await reply('message', newSocket(member), { ...frame, room_id }),
      await reply('message', newSocket(admin), { ...frame, room_id }),
      await reply('message', newSocket(member), { ...frame, room_id: other.room_id }),
    ].map(({ message_id }) => message_id);
    expect(new Set(ids).size).toBe(3);
  });

  describe.each<[string, (room: World) => Promise<unknown>, string]>([
    ['the room has ended', ({ room_id, admin }) => data('endRoom', { as: admin, params: { room_id } }), 'room_ended'],
    [
      'the sender was removed',
      ({ room_id, admin, member }) =>
        data('removeParticipants', { as: admin, params: { room_id }, body: { participant_ids: [member] } }),
      'not_a_participant',
    ],
    [
      'the start was postponed',
      ({ room_id, admin }) =>
        data('changeRoom', {
          as: admin,
          params: { room_id },
          body: { start_time: new Date(Date.now() + 48 * HOUR).toISOString() },
        }),
      'room_not_started',
    ],
  ])('after %s', (_, change, code) => {
    const sentBefore = async () => {
      const room = await newRoom();
      const frame = text('x', { room_id: room.room_id });
      await reply('message', newSocket(room.member), frame);
      await change(room);
      return { ...room, frame };
    };

    test('returns the first message, and stores nothing', async () => {
      const room = await newRoom();
      const { room_id, member } = room;
      const { file_id } = await file(member, { room_id });
      const frame = attached(file_id, { room_id, text: 'first' });
      const first = await reply('message', newSocket(member), frame);
      await change(room);
      const before = await snapshot();
      const socket = newSocket(member);
      expect(await reply('message', socket, frame)).toEqual(first);
      expect(await refusedWith('message', socket, { ...frame, text: 'second' })).toBe('idempotency_conflict');
      const stored = (items: string[]) => items.filter((item) => !item.includes('FRAMES#'));
      expect(stored(await snapshot())).toEqual(stored(before));
    });

    test('is rejected for another message: a new one, one of another user, one of another room', async () => {
      const room = await newRoom();
      const { room_id, admin, member } = room;
      const other = await newRoom({ members: [member] });
      const frame = (client_message_id: string, more: object = {}) =>
        text('x', { room_id, client_message_id, ...more });
      await reply('message', newSocket(member), frame('own'));
      await reply('message', newSocket(admin), frame('theirs'));
      await reply('message', newSocket(member), frame('elsewhere', { room_id: other.room_id }));
      await change(room);
      const before = await chatOf(room_id);
      for (const id of ['new', 'theirs', 'elsewhere'])
        expect(await refusedWith('message', newSocket(member), frame(id))).toBe(code);
      expect(await chatOf(room_id)).toEqual(before);
    });

    test('is rejected after a day', async () => {
      const room = await newRoom();
      const { room_id, member } = room;
      const socket = newSocket(member, Math.floor(Date.now() / 1_000) + 3 * 86_400);
      const frame = text('x', { room_id });
      await reply('message', socket, frame);
      await change(room);
      await at(Date.now() + 25 * HOUR, async () => expect(await refusedWith('message', socket, frame)).toBe(code));
    });

    test('costs one more round trip if it is rejected, and two if it is found', async () => {
      const { room_id, member, frame } = await sentBefore();
      expect((await invokeAction('message', newSocket(member), frame)).trace.trips).toBe(3);
      expect((await invokeAction('message', newSocket(member), text('y', { room_id }))).trace.trips).toBe(2);
    });

    test('is rejected above the rate limit like everything else', async () => {
      const { member, frame } = await sentBefore();
      await at(Math.ceil(Date.now() / 10_000) * 10_000, async () => {
        const socket = newSocket(member);
        for (let n = 0; n < MAX_FRAMES_PER_WINDOW; n++) await reply('ping', socket, {});
        expect(await refusedWith('message', socket, frame)).toBe('too_many_requests');
      });
    });
  });

  test('is a new message after a day, whether or not the first marker has been deleted', async () => {
    const { room_id, member } = await newRoom();
    const frame = text('again', { room_id });
    const socket = newSocket(member, Math.floor(Date.now() / 1_000) + 3 * 86_400);
    const first = await reply('message', socket, frame);
    await at(Date.now() + 23 * HOUR, async () => expect(await reply('message', socket, frame)).toEqual(first));
    await at(Date.now() + 25 * HOUR, async () => {
      const later = await reply('message', socket, frame);
      expect(later.message_id > first.message_id).toBe(true);
    });
  });
});

test('two senders at full speed cause no conflict, and the history has all messages', async () => {
  const { room_id, admin, member } = await newRoom();
  const burst = async (user: string) => {
    const socket = newSocket(user);
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, n) => invokeAction('message', socket, text(`${n}`, { room_id }))),
    );
    return all.map((answer) => (answer.ok ? answer.data.message_id : answer.code));
  };
  const [first, second] = await Promise.all([burst(admin), burst(member)]);
  const stored = await history(room_id, admin);
  expect(stored.map(({ message_id }) => message_id)).toEqual([...first, ...second].sort());
  expect(new Set(stored.map(({ message_id }) => message_id)).size).toBe(20);
});

describe('every frame', () => {
  test('of a connection whose token has expired is rejected', async () => {
    const socket = newSocket(world.member, Math.floor(Date.now() / 1_000) + 60);
    await reply('ping', socket, {});
    await at(Date.now() + 61_000, async () => {
      const { room_id } = world;
      expect(await refusedWith('ping', socket, {})).toBe('token_expired');
      expect(await refusedWith('join', socket, { room_id })).toBe('token_expired');
      expect(await refusedWith('leave', socket, { room_id })).toBe('token_expired');
      expect(await refusedWith('message', socket, text('x'))).toBe('token_expired');
      expect(await invokeUnknownAction(socket, {})).toMatchObject({ code: 'token_expired' });
    });
  });

  test.each(['', ' ', 'null', '"text"', '7', '[]', '[{"action":"ping"}]', '{"action":"ping"', 'ping', '\u0000\u0001'])(
    'that is not a JSON object is rejected: %j',
    async (frame) => {
      const answer = await invokeUnknownAction(newSocket(newUser()), frame);
      expect(answer).toMatchObject({ ok: false, code: 'invalid_request', request_id: null });
      if (!answer.ok) expect(answer.message).toBe('A frame must be a JSON object.');
    },
  );

  test('above 32 KB is rejected, and one of exactly 32 KB is accepted', async () => {
    const socket = newSocket(world.member);
    const padded = (bytes: number) => {
      const frame = frameOf('ping', { request_id: 'r' });
      return frame + ' '.repeat(bytes - Buffer.byteLength(frame));
    };
    expect(await invokeAction('ping', socket, padded(MAX_FRAME_BYTES))).toMatchObject({ ok: true });
    expect(await invokeAction('ping', socket, padded(MAX_FRAME_BYTES + 1))).toMatchObject({
      ok: false,
      code: 'payload_too_large',
      message: 'A frame must be at most 32768 bytes.',
      request_id: 'r',
    });
    // The limit is in bytes, not in characters.
    expect(await refusedWith('message', socket, text('漢'.repeat(11_000)))).toBe('payload_too_large');
  });

  test('gets its request_id in the reply if that can be read', async () => {
    const socket = newSocket(world.member);
    expect(await invokeAction('ping', socket, { request_id: 'a' })).toMatchObject({ ok: true, request_id: 'a' });
    expect(await invokeAction('ping', socket, { request_id: 'b', more: 1 })).toMatchObject({
      ok: false,
      request_id: 'b',
    });
    expect(await invokeAction('join', socket, { request_id: 'c', room_id: unknownRoom })).toMatchObject({
      request_id: 'c',
    });
    expect(await invokeUnknownAction(socket, { request_id: 'd' })).toMatchObject({ ok: false, request_id: 'd' });
    for (const request_id of [undefined, null, 7, '', 'x'.repeat(129), { a: 1 }])
      expect(await invokeAction('ping', socket, { request_id })).toMatchObject({
        ok: false,
        code: 'invalid_request',
        request_id: null,
      });
  });

  test.each([
    {},
    { action: 'jion' },
    { action: null },
    { action: '$default' },
    { action: 'toString' },
    { room_id: 'x' },
  ])('with an unknown action gets a list of the actions: %j', async (frame) => {
    expect(await invokeUnknownAction(newSocket(newUser()), frame)).toMatchObject({
      ok: false,
      code: 'invalid_request',
      message: `action must be one of ${Object.keys(actions).join(', ')}`,
    });
  });

  test('may be a ping, which costs one round trip and returns the time', async () => {
    const answer = await invokeAction('ping', newSocket(newUser()), {});
    if (!answer.ok) throw new Error(answer.message);
    expect(new Date(answer.data.time).toISOString()).toBe(answer.data.time);
    expect(answer.trace.trips).toBe(1);
  });
});

describe('the rate limit of a connection', () => {
  const NOW = Date.parse('2026-05-05T12:00:01.000Z');
  const soon = NOW / 1_000 + 600;

  test('rejects further frames, which have no effect', async () => {
    await at(NOW, async () => {
      const { room_id, member } = await newRoom();
      const socket = newSocket(member, soon);
      const answers: Awaited<ReturnType<typeof invokeAction<'message'>>>[] = [];
      // Three rooms, because a room accepts 50 messages per second.
      const rooms = [
        room_id,
        ...(await Promise.all([1, 2].map(async () => (await newRoom({ members: [member] })).room_id))),
      ];
      while (answers.length < MAX_FRAMES_PER_WINDOW + 20)
        answers.push(
          ...(await Promise.all(
            Array.from({ length: 12 }, (_, n) => invokeAction('message', socket, text('x', { room_id: rooms[n % 3] }))),
          )),
        );
      const refused = answers.flatMap((answer) => (answer.ok ? [] : [answer.code]));
      expect(refused).toEqual(Array(20).fill('too_many_requests'));
      const stored = await Promise.all(rooms.map((each) => history(each, member)));
      expect(stored.flat()).toHaveLength(MAX_FRAMES_PER_WINDOW);
      for (const action of ['join', 'leave'] as const)
        expect(await refusedWith(action, socket, { room_id })).toBe('too_many_requests');
      expect(await refusedWith('ping', socket, {})).toBe('too_many_requests');
      expect(await invokeUnknownAction(socket, {})).toMatchObject({ code: 'too_many_requests' });
      expect(
        (await snapshot()).filter((item) => item.includes(socket.connection_id) && !item.includes('FRAMES#')),
      ).toEqual([]);
      // Other connections of the user are not affected, and the connection itself works again later.
      await reply('ping', newSocket(member, soon), {});
    });
  });

  test('starts again with the next window', async () => {
    const socket = newSocket(newUser(), soon);
    await at(NOW, async () => {
      for (let n = 0; n < MAX_FRAMES_PER_WINDOW; n++) await reply('ping', socket, {});
      expect(await refusedWith('ping', socket, {})).toBe('too_many_requests');
    });
    await at(NOW + 10_000, () => reply('ping', socket, {}));
  });

  test('applies exactly to all connections of a user together, and not to other users', async () => {
    const user = newUser();
    await at(NOW, async () => {
      const sockets = Array.from({ length: 4 }, () => newSocket(user, soon));
      const codes: (string | undefined)[] = [];
      for (let n = 0; n < MAX_USER_FRAMES_PER_WINDOW + 4; n++) {
        const answer = await invokeAction('ping', sockets[n % 4] ?? newSocket(user), {});
        codes.push(answer.ok ? undefined : answer.code);
      }
      expect(codes).toEqual([
        ...Array(MAX_USER_FRAMES_PER_WINDOW).fill(undefined),
        ...Array(4).fill('too_many_requests'),
      ]);
      // A new connection of the user is limited too.
      expect(await refusedWith('ping', newSocket(user, soon), {})).toBe('too_many_requests');
      await reply('ping', newSocket(newUser(), soon), {});
    });
    await at(NOW + 9_000, () => reply('ping', newSocket(user, soon), {}));
  });

  test.each([
    [0, 9],
    [1, 9],
    [999, 9],
    [8_000, 1],
    [8_999, 1],
  ])('%i ms after NOW, an error says to wait %i s', async (ms, retry_after) => {
    const socket = newSocket(newUser(), soon);
    await at(NOW, async () => {
      for (let n = 0; n < MAX_FRAMES_PER_WINDOW; n++) await reply('ping', socket, {});
    });
    const answer = await at(NOW + ms, () => invokeAction('ping', socket, {}));
    expect(answer).toMatchObject({ ok: false, code: 'too_many_requests', retry_after });
    if (!answer.ok) expect(answer.message).toContain(`Try again in ${retry_after} seconds.`);
    await at(NOW + ms + retry_after * 1_000, () => reply('ping', socket, {}));
  });

  test('of a user is configurable per environment', async () => {
    vi.stubEnv('USER_FRAME_LIMIT', '2');
    try {
      await at(NOW, async () => {
        const user = newUser();
        for (let n = 0; n < 2; n++) await reply('ping', newSocket(user, soon), {});
        expect(await refusedWith('ping', newSocket(user, soon), {})).toBe('too_many_requests');
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test('costs one write per frame of any connection, also for a rejected frame', async () => {
    const socket = newSocket(newUser(), soon);
    await at(NOW, async () => {
      for (let n = 0; n <= MAX_FRAMES_PER_WINDOW; n++) {
        const { trace } = await invokeAction('ping', socket, {});
        expect(trace.requests).toEqual(['UpdateItem']);
      }
    });
  });

  test('uses counters that expire', async () => {
    const socket = newSocket(newUser());
    await reply('ping', socket, {});
    const [counter] = (await snapshot()).filter((item) => item.includes(socket.connection_id));
    const { expires_at } = JSON.parse(counter ?? '{}');
    expect(expires_at).toBeGreaterThan(Date.now() / 1_000);
    expect(expires_at).toBeLessThan(Date.now() / 1_000 + 660);
    await disconnect(socket);
  });
});
