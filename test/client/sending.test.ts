import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import {
  type LiveRoom,
  type Message,
  type PendingMessage,
  type Progress,
  RoomsApiError,
} from '../../client/src/index.ts';
import { settingsOf } from '../../client/src/options.ts';
import { type SenderHost, sender } from '../../client/src/sender.ts';
import type { Socket } from '../../client/src/socket.ts';
import { MAX_FRAME_BYTES, MAX_JSON_BYTES } from '../../core/contract/limits.ts';
import { lossyWebSocket } from './faults.ts';
import { codeOf, wireServers } from './meeting.ts';
import { until } from './until.ts';

const wire = wireServers();

const FILES = ['0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02', '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b03'];

const textsOf = (room: LiveRoom) => {
  const texts: (string | null)[] = [];
  room.on('message', ({ text }) => texts.push(text));
  return texts;
};

describe('a message that the service would reject', () => {
  test.each([
    ['text above the limit', { text: 'x'.repeat(33_000) }, 'text'],
    ['text that is not a string', { text: 5 as unknown as string }, 'text'],
    ['neither text nor attachment', {}, 'text'],
    ['empty text', { text: '' }, 'text'],
    ['an attachment that is not a file', { attachment: 'x' as unknown as Blob }, 'attachment'],
    ['both attachment and attachments', { attachment: { file_id: 'x' }, attachments: [] }, 'attachments'],
    ['11 files', { attachments: Array(11).fill({ file_id: 'x' }) }, 'attachments'],
    ['a list with an item that is not a file', { attachments: [{ file_id: 'x' }, {} as Blob] }, 'attachments.1'],
    ['a type above the limit', { text: 'x', type: 'x'.repeat(65) }, 'type'],
    ['an empty type', { text: 'x', type: '' }, 'type'],
    ['data that is not an object', { data: [1] as unknown as Record<string, unknown> }, 'data'],
    ['data that cannot be JSON', { data: { n: 1n } }, 'data'],
    // {"text":""} takes 11 bytes, and each umlaut 2: 4,097 bytes.
    ['data above the limit', { data: { text: 'ä'.repeat(2_043) } }, 'data'],
    ['a reply to an empty ID', { text: 'x', reply_to: '' }, 'reply_to'],
    ['an ID with invalid characters', { text: 'x', client_message_id: 'no spaces' }, 'client_message_id'],
  ])('is rejected before it is sent: %s', async (_, message, path) => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const error: unknown = await room.send(message).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'invalid_request', errors: [{ path }] });
    expect(room.pending).toEqual([]);
    expect(wire.server.frames).not.toContain('message');
    expect(await room.send({ text: 'next' })).toMatchObject({ text: 'next' });
  });

  test('is sent if it is at the limit', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const data = { text: `a${'ä'.repeat(2_042)}` };
    expect(Buffer.byteLength(JSON.stringify(data))).toBe(MAX_JSON_BYTES);
    const message = { data, type: 'x'.repeat(64), attachments: Array(10).fill({ file_id: FILES[0] }) };
    expect(await room.send(message)).toMatchObject({ data, type: message.type, text: null });
  });

  test('is rejected before it is sent if its frame is too large, although its text is not', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    // JSON escapes a lone surrogate as 6 bytes.
    const text = '\ud800'.repeat(8_000);
    expect(Buffer.byteLength(JSON.stringify(text))).toBeGreaterThan(MAX_FRAME_BYTES);
    expect(await codeOf(room.send({ text }))).toBe('payload_too_large');
    expect(wire.server.frames).not.toContain('message');
  });

  test('is rejected if a gateway closes the socket because of it, and the next one is sent', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    wire.server.maxFrameBytes = 5_000;
    const [large, small] = await Promise.allSettled([
      room.send({ text: 'x'.repeat(6_000) }),
      room.send({ text: 'ok' }),
    ]);
    expect(large).toMatchObject({ reason: { code: 'payload_too_large', retryable: false } });
    expect(small).toMatchObject({ value: { text: 'ok' } });
  });
});

test('send rejects after sendMs, and the next message is sent', async () => {
  const { connection, room_id } = await wire.meeting({ sendMs: 300 });
  const room = await connection.join(room_id);
  wire.server.refuseFrames = 'try_again';
  const first: unknown = await room.send({ text: 'first' }).catch((reason: unknown) => reason);
  expect(first).toMatchObject({ code: 'timeout', message: expect.stringContaining('sendMs') });
  expect(room.pending).toEqual([]);
  wire.server.refuseFrames = undefined;
  expect(await room.send({ text: 'second' })).toMatchObject({ text: 'second' });
});

test('send has a time limit without a connection, and for each message in the queue', async () => {
  const { connection, room_id } = await wire.meeting({ sendMs: 200 });
  const room = await connection.join(room_id);
  wire.way.refusing = true;
  wire.way.cut();
  const codes = await Promise.all(['1', '2', '3'].map((text) => codeOf(room.send({ text }))));
  expect(codes).toEqual(['timeout', 'timeout', 'timeout']);
});

describe('a frame that API Gateway rejects without a request_id', () => {
  test.each([['Limit exceeded'], ['Internal server error'], ['Forbidden']])(
    'is resent at once: %s',
    async (message) => {
      // With 60 seconds, the test times out if the client waits for a reply.
      const { connection, room_id } = await wire.meeting({ replyMs: 60_000 });
      const room = await connection.join(room_id);
      wire.server.gatewayMessages.push(message, message);
      expect(await room.send({ text: 'hello' })).toMatchObject({ text: 'hello' });
      expect(wire.server.frames.filter((action) => action === 'message')).toHaveLength(3);
    },
  );
});

describe('own messages', () => {
  test('are delivered after earlier messages of others, however late the stream is', async () => {
    const { connection, bobs, room_id } = await wire.meeting({ lagMs: 60_000 });
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const heard = textsOf(room);
    wire.server.lagMs = 300;
    await bobsRoom.send({ text: 'earlier' });
    await room.send({ text: 'mine' });
    expect(heard).toEqual([]);
    expect(room.pending).toMatchObject([{ text: 'mine', state: 'stored' }]);
    await until('both are delivered', () => heard.length >= 2);
    expect(heard).toEqual(['earlier', 'mine']);
    expect(room.pending).toEqual([]);
  });

  test('do not move the point from which history is read: messages before them are not missed', async () => {
    // An overlap could hide the error.
    const { connection, bobs, room_id } = await wire.meeting({ overlapMs: 0, lagMs: 60_000 });
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const heard = textsOf(room);
    wire.server.lagMs = 1_000_000;
    await bobsRoom.send({ text: 'earlier' });
    await sleep(5);
    await room.send({ text: 'mine' });
    wire.way.cut();
    await until('both are delivered', () => heard.length >= 2);
    expect(heard).toEqual(['earlier', 'mine']);
  });

  test('are read from history once if the stream lags by more than lagMs', async () => {
    const { connection, bobs, room_id } = await wire.meeting({ lagMs: 50 });
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const heard = textsOf(room);
    const rejoined = vi.fn();
    room.on('rejoined', rejoined);
    wire.server.lagMs = 700;
    await bobsRoom.send({ text: 'earlier' });
    await room.send({ text: 'mine' });
    await until('both are delivered', () => heard.length >= 2);
    await sleep(800);
    await bobsRoom.send({ text: 'later' });
    await until('the later one is there', () => heard.length >= 3);
    expect(heard).toEqual(['earlier', 'mine', 'later']);
    expect(rejoined).not.toHaveBeenCalled();
  });

  test('are pending from the call of send until they are delivered', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    const states: string[] = [];
    room.on('pending', (pending) => states.push(pending.map(({ text, state }) => `${text} ${state}`).join(', ')));
    const onSending = vi.fn<(pending: PendingMessage) => void>();
    wire.server.lagMs = 30;
    const sent = await Promise.all([
      room.send({ text: 'a', client_message_id: 'own-id' }, { onSending }),
      room.send({ text: 'b' }),
    ]);
    await until('both are delivered', () => room.pending.length === 0);
    expect(onSending).toHaveBeenCalledTimes(1);
    expect(onSending.mock.calls[0]?.[0]).toMatchObject({ client_message_id: 'own-id', text: 'a', state: 'queued' });
    expect(sent[0]).toMatchObject({ client_message_id: 'own-id' });
    expect(states.slice(0, 3)).toEqual(['a queued', 'a queued, b queued', 'a stored, b queued']);
    expect(states.at(-1)).toBe('');
  });

  test('are no longer pending after the room is closed or the message is rejected', async () => {
    const { connection, room_id } = await wire.meeting();
    const room = await connection.join(room_id);
    wire.server.refusals.push({ action: 'message', code: 'file_not_found' });
    await codeOf(room.send({ attachment: { file_id: 'x' } }));
    expect(room.pending).toEqual([]);
    wire.server.lagMs = 1_000_000;
    await room.send({ text: 'stored' });
    expect(room.pending).toHaveLength(1);
    await room.leave();
    expect(room.pending).toEqual([]);
  });

  test('stay pending if another user sends with the same client_message_id', async () => {
    const { connection, bobs, room_id } = await wire.meeting();
    const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
    const heard = textsOf(room);
    wire.server.delays.message = 200;
    const sending = room.send({ text: 'mine', client_message_id: '1' });
    await until('it is on its way', () => wire.server.frames.includes('message'));
    wire.server.delays.message = 0;
    await bobsRoom.send({ text: 'bob', client_message_id: '1' });
    await until('bob is heard', () => heard.includes('bob'));
    expect(room.pending).toHaveLength(1);
    await sending;
  });
});

test('a message that is resent with the same id after delivery does not stay pending', async () => {
  const { connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const heard = textsOf(room);
  const message = { text: 'once', client_message_id: 'again' };
  const first = await room.send(message);
  await until('it is delivered', () => heard.length === 1);
  expect(await room.send(message)).toEqual(first);
  expect(room.pending).toEqual([]);
  await sleep(20);
  expect(heard).toEqual(['once']);
});

test('a message has type, data, files and the message that it answers, also while it is pending', async () => {
  const { connection, bobs, room_id } = await wire.meeting();
  const [room, bobsRoom] = await Promise.all([connection.join(room_id), bobs.join(room_id)]);
  const heard: Message[] = [];
  bobsRoom.on('message', (message) => heard.push(message));
  const { message_id } = await bobsRoom.send({ text: 'question' });
  const onSending = vi.fn<(pending: PendingMessage) => void>();
  const data: Record<string, unknown> = { lat: 47.1 };
  const message = { text: 'answer', type: 'position', data, reply_to: message_id };
  const sending = room.send({ ...message, attachments: FILES.map((file_id) => ({ file_id })) }, { onSending });
  // A later change of the object has no effect.
  data.lat = 0;
  const sent = await sending;
  const expected = {
    ...message,
    data: { lat: 47.1 },
    attachment: { file_id: FILES[0] },
    attachments: FILES.map((file_id) => ({ file_id })),
  };
  expect(onSending.mock.calls[0]?.[0]).toMatchObject(expected);
  expect(sent).toMatchObject(expected);
  await until('bob has it', () => heard.length === 2);
  expect(heard[1]).toEqual(sent);
});

test('uploads several files in parallel, and reports their total progress', async () => {
  const { connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const progress: Progress[] = [];
  const uploads: string[] = [];
  const { host, finish } = fakeUploads(uploads);
  const messages = sender({ ...host, room_id, settings: settingsOf({ url: 'http://localhost', token: () => '' }) });
  const files = [new File(['12'], 'a.txt'), { file_id: 'known' }, new File(['345'], 'b.txt')];
  const sending = messages.send({ attachments: files }, { onProgress: (one) => progress.push(one) });
  await until('both have begun', () => uploads.length === 2);
  expect(messages.pending).toMatchObject([{ state: 'uploading', attachments: [] }]);
  finish('b.txt');
  finish('a.txt');
  expect(await sending).toMatchObject({ attachments: ['id of a.txt', 'known', 'id of b.txt'] });
  expect(progress).toEqual([
    { loaded: 3, total: 5 },
    { loaded: 5, total: 5 },
  ]);
  await room.leave();
});

/** Returns a fake host: an upload ends when the test calls `finish`, and a sent message is echoed as the reply. */
function fakeUploads(uploads: string[]) {
  const ends = new Map<string, () => void>();
  const aborted: string[] = [];
  const upload: SenderHost['upload'] = (file, { onProgress, signal }) =>
    new Promise((resolve, reject) => {
      const { name, size } = file as File;
      uploads.push(name);
      signal?.addEventListener('abort', () => {
        aborted.push(name);
        reject(signal.reason);
      });
      ends.set(name, () => {
        onProgress?.({ loaded: size, total: size });
        resolve({ file_id: `id of ${name}` });
      });
    });
  const socket = {
    request: async (_: string, frame: { attachments?: readonly { file_id: string }[] }) => ({
      ...frame,
      message_id: '1',
      attachments: frame.attachments?.map(({ file_id }) => file_id),
    }),
  } as unknown as Socket;
  const host = {
    upload,
    socketFor: async () => socket,
    isDelivered: () => true,
    onChange: () => {},
    onLag: () => {},
  };
  return { host, aborted, finish: (name: string) => ends.get(name)?.() };
}

test('a failed upload aborts the others, and the message is not sent', async () => {
  const uploads: string[] = [];
  const { host, aborted } = fakeUploads(uploads);
  const refused = new RoomsApiError('upload_refused', 'No.');
  const messages = sender({
    ...host,
    room_id: 'r',
    settings: settingsOf({ url: 'http://localhost', token: () => '' }),
    upload: (file, options) =>
      (file as File).name === 'bad.txt' ? Promise.reject(refused) : host.upload(file, options),
  });
  const sending = messages.send({ attachments: [new File(['1'], 'a.txt'), new File(['2'], 'bad.txt')] });
  await expect(sending).rejects.toBe(refused);
  expect(aborted).toEqual(['a.txt']);
  expect(messages.pending).toEqual([]);
  const stop = new AbortController();
  const stopped = messages.send({ attachments: [new File(['1'], 'a.txt')] }, { signal: stop.signal });
  const reason = new Error('changed my mind');
  stop.abort(reason);
  await expect(stopped).rejects.toBe(reason);
});

test.each(['read_only', 'idempotency_conflict'] as const)('send rejects with %s at once', async (code) => {
  const { connection, bobs, alice, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const bobsRoom = await bobs.join(room_id);
  if (code === 'read_only') {
    await alice.setRole(room_id, 'bob', 'observer');
    await until('bob knows', () => bobsRoom.info.role === 'observer');
  } else await bobsRoom.send({ text: 'one', client_message_id: '1' });
  expect(await codeOf(bobsRoom.send({ text: 'two', client_message_id: '1' }))).toBe(code);
  // The first message can still be pending.
  expect(bobsRoom.pending.map(({ text }) => text)).not.toContain('two');
  expect(await room.send({ text: 'an admin may' })).toMatchObject({ text: 'an admin may' });
});

test('lost replies do not cause duplicate messages', async () => {
  const WebSocket = lossyWebSocket((frame) => frame.includes('"type":"reply"') && frame.includes('sender_id'));
  const { connection, room_id } = await wire.meeting({ WebSocket, replyMs: 50, sendMs: 400 });
  const room = await connection.join(room_id);
  const heard = textsOf(room);
  expect(await codeOf(room.send({ text: 'once' }))).toBe('timeout');
  expect(heard).toEqual(['once']);
});
