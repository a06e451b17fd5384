import { expect, test, vi } from 'vitest';
import {
  type QueuedMessage,
  RoomsApiError,
  type SendQueueStorage,
  sendQueue,
  webStorageQueue,
} from '../../client/src/index.ts';
import { lossyWebSocket } from './faults.ts';
import { codeOf, wireServers } from './meeting.ts';
import { until } from './until.ts';

const wire = wireServers();

/** Returns an in-memory `localStorage`. */
function fakeWebStorage() {
  const items = new Map<string, string>();
  return {
    items,
    get length() {
      return items.size;
    },
    key: (n: number) => [...items.keys()][n] ?? null,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

test('sends messages that were not acknowledged before a reload once and in order', async () => {
  const storage = fakeWebStorage();
  const first = await wire.meeting();
  const { room_id } = first;
  // All replies to messages are lost, so the page does not know which messages are stored.
  const WebSocket = lossyWebSocket((frame) => frame.includes('"type":"reply"') && frame.includes('sender_id'));
  const before = wire.clientOf('alice', { WebSocket });
  const connection = await wire.connect(before);
  const queue = sendQueue(await connection.join(room_id), webStorageQueue(storage, 'alice'));
  const sending = ['one', 'two', 'three'].map((text) => codeOf(queue.send({ text })));
  await until('the first is stored', () => wire.server.handled.includes('message'));
  expect(storage.items.size).toBe(3);
  // The page is closed.
  connection.close();
  expect(await Promise.all(sending)).toEqual(Array(3).fill('connection_closed'));
  expect(storage.items.size).toBe(3);

  const room = await first.connection.join(room_id);
  const again = sendQueue(room, webStorageQueue(storage, 'alice'));
  const fourth = again.send({ text: 'four' });
  const restored = await again.restored;
  expect(restored.map(({ sent }) => sent?.text)).toEqual(['one', 'two', 'three']);
  await fourth;
  expect(storage.items.size).toBe(0);
  const { items } = await first.alice.listMessages(room_id, { order: 'asc' });
  expect(items.map(({ text }) => text)).toEqual(['one', 'two', 'three', 'four']);
});

test('removes a message that the service rejects permanently, or that the application cancels', async () => {
  const storage = fakeWebStorage();
  const { connection, room_id } = await wire.meeting();
  const queue = sendQueue(await connection.join(room_id), webStorageQueue(storage, 'alice'));
  wire.server.refusals.push({ action: 'message', code: 'file_not_found' });
  expect(await codeOf(queue.send({ attachment: { file_id: 'none' } }))).toBe('file_not_found');
  expect(storage.items.size).toBe(0);
  wire.server.delays.message = 1_000;
  const controller = new AbortController();
  const sending = queue.send({ text: 'never mind' }, { signal: controller.signal });
  await until('it is stored', () => storage.items.size === 1);
  controller.abort(new Error('taken back'));
  await expect(sending).rejects.toThrow('taken back');
  expect(storage.items.size).toBe(0);
});

test('keeps the messages of other users and other rooms', async () => {
  const storage = fakeWebStorage();
  const { connection, room_id } = await wire.meeting();
  const message: QueuedMessage = {
    room_id,
    client_message_id: 'x',
    text: 'from bob',
    attachment: null,
    queued_at: new Date().toISOString(),
    position: 1,
  };
  await webStorageQueue(storage, 'bob').put(message);
  await webStorageQueue(storage, 'alice').put({ ...message, room_id: 'another' });
  storage.setItem('foreign', 'not JSON');
  const queue = sendQueue(await connection.join(room_id), webStorageQueue(storage, 'alice'));
  expect(await queue.restored).toEqual([]);
  expect(storage.items.size).toBe(3);
});

test('removes entries of its storage that are not messages', async () => {
  const storage = fakeWebStorage();
  const queue = webStorageQueue(storage, 'alice');
  const message = { room_id: 'r', client_message_id: 'a', text: 'x', attachment: null, queued_at: 't', position: 1 };
  queue.put(message);
  const prefix = [...storage.items.keys()][0]?.slice(0, -1);
  const others = ['{', 'null', '1', '[]', '{}', JSON.stringify({ ...message, text: {} }), '{"room_id":"r"}'];
  others.forEach((text, n) => {
    storage.setItem(`${prefix}${n}`, text);
  });
  expect(queue.list()).toEqual([message]);
  expect(storage.items.size).toBe(1);
});

test('does not send a message that is older than 23 hours, when the service may not recognize it', async () => {
  const storage = fakeWebStorage();
  const { alice, connection, room_id } = await wire.meeting();
  const queued_at = new Date(Date.now() - 23 * 3_600_000 - 1).toISOString();
  const old = { room_id, client_message_id: 'old', text: 'yesterday', attachment: null, queued_at, position: 1 };
  await webStorageQueue(storage, 'alice').put(old);
  const queue = sendQueue(await connection.join(room_id), webStorageQueue(storage, 'alice'));
  expect(await queue.restored).toMatchObject([{ message: old, error: { code: 'timeout' } }]);
  expect(storage.items.size).toBe(0);
  expect((await alice.listMessages(room_id)).items).toEqual([]);
});

test('sends although the storage fails, and reports the failure', async () => {
  const { connection, room_id } = await wire.meeting();
  const full = new Error('the quota is exceeded');
  const broken: SendQueueStorage = {
    list: () => Promise.reject(full),
    put: () => {
      throw full;
    },
    delete: () => Promise.reject(full),
  };
  const onStorageError = vi.fn();
  const queue = sendQueue(await connection.join(room_id), broken, { onStorageError });
  expect(await queue.send({ text: 'all the same' })).toMatchObject({ text: 'all the same' });
  expect(onStorageError.mock.calls).toEqual([[full], [full], [full]]);
  expect(await queue.restored).toEqual([]);
});

test('stores a message with a file after the file is uploaded', async () => {
  const stored: QueuedMessage[] = [];
  const storage: SendQueueStorage = { list: () => [], put: (message) => void stored.push(message), delete: () => {} };
  const { connection, room_id } = await wire.meeting();
  const room = await connection.join(room_id);
  const queue = sendQueue(room, storage);
  const shown = vi.fn();
  // The upload fails, because the wire server does not support files.
  const sending = queue.send({ attachment: new Blob(['x']) }, { onSending: shown });
  await expect(sending).rejects.toBeInstanceOf(RoomsApiError);
  expect(shown).toHaveBeenCalledWith(expect.objectContaining({ state: 'uploading' }));
  expect(stored).toEqual([]);
  const file_id = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
  await queue.send({ attachment: { file_id } });
  expect(stored).toMatchObject([{ attachment: { file_id }, room_id }]);
});
