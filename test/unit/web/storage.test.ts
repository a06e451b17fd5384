import { describe, expect, test } from 'vitest';
import { noticeLog } from '../../../web/src/room/notice-log.ts';
import type { Outgoing } from '../../../web/src/room/state.ts';
import { waitingMessages } from '../../../web/src/room/waiting-messages.ts';
import { createDrafts } from '../../../web/src/session/drafts.ts';
import { memoryStorage, refusingStorage } from './memory.ts';

const HOUR_MS = 3_600_000;

describe('drafts', () => {
  test('keeps a draft for each room and user across a reload', () => {
    const storage = memoryStorage();
    const drafts = createDrafts(storage, 'alice');
    drafts.set('room-1', { text: 'Half a sen', files: [] });
    drafts.set('room-2', { text: 'Another', files: [] });
    const reloaded = createDrafts(storage, 'alice');
    expect(reloaded.get('room-1').text).toBe('Half a sen');
    expect([...reloaded.store.get()]).toEqual(['room-1', 'room-2']);
    expect(createDrafts(storage, 'bob').get('room-1').text).toBe('');
  });

  test('removes a draft completely when it is sent', () => {
    const storage = memoryStorage();
    const drafts = createDrafts(storage, 'alice');
    drafts.set('room-1', { text: 'Hello', files: [] });
    drafts.set('room-1', { text: '', files: [] });
    expect([...drafts.store.get()]).toEqual([]);
    expect(storage.length).toBe(0);
  });

  test('keeps files while the page is open', () => {
    const drafts = createDrafts(memoryStorage(), 'alice');
    const file = new File(['x'], 'a.txt');
    drafts.set('room-1', { text: '', files: [file] });
    expect(drafts.get('room-1').files).toEqual([file]);
    expect(drafts.store.get().has('room-1')).toBe(true);
  });

  test('stores the newest 50 drafts', () => {
    const storage = memoryStorage();
    const drafts = createDrafts(storage, 'alice');
    for (let number = 1; number <= 60; number++) drafts.set(`room-${number}`, { text: `Text ${number}`, files: [] });
    const { store } = createDrafts(storage, 'alice');
    expect(store.get().size).toBe(50);
    expect(store.get().has('room-60') && !store.get().has('room-10')).toBe(true);
  });

  test('works without a storage, and ignores invalid drafts', () => {
    for (const storage of [undefined, refusingStorage]) {
      const drafts = createDrafts(storage, 'alice');
      drafts.set('room-1', { text: 'Hello', files: [] });
      expect(drafts.get('room-1').text).toBe('Hello');
    }
    for (const value of ['[]', '{"room-1":7}', 'null', 'no JSON']) {
      const storage = memoryStorage();
      storage.setItem('rooms.drafts.alice', value);
      expect(createDrafts(storage, 'alice').store.get().size).toBe(0);
    }
  });
});

const outgoing = (id: string, changes: Partial<Outgoing> = {}): Outgoing => ({
  client_message_id: id,
  text: `Text of ${id}`,
  files: [],
  failure: undefined,
  at: new Date().toISOString(),
  ...changes,
});

describe('waiting messages', () => {
  test('keeps waiting messages of every room across a reload, in order', () => {
    const storage = memoryStorage();
    const [first, second] = [
      outgoing('m1', { at: '2026-03-01T09:00:00.000Z' }),
      outgoing('m2', { at: '2026-03-01T09:00:01.000Z' }),
    ];
    const now = () => Date.parse('2026-03-01T09:05:00.000Z');
    waitingMessages(storage, 'alice', now).write('room-1', [], [second, first]);
    const reloaded = waitingMessages(storage, 'alice', now);
    expect(reloaded.rooms()).toEqual(['room-1']);
    expect(reloaded.read('room-1')).toEqual([first, second]);
    expect(reloaded.read('room-2')).toEqual([]);
    expect(waitingMessages(storage, 'alice|bob', now).rooms()).toEqual([]);
  });

  test('removes only the message that was sent, and keeps those of other tabs', () => {
    const storage = memoryStorage();
    const [mine, theirs] = [outgoing('mine'), outgoing('theirs')];
    const [tab, otherTab] = [waitingMessages(storage, 'alice'), waitingMessages(storage, 'alice')];
    tab.write('room-1', [], [mine]);
    otherTab.write('room-1', [], [theirs]);
    tab.write('room-1', [mine], []);
    expect(
      waitingMessages(storage, 'alice')
        .read('room-1')
        .map((one) => one.client_message_id),
    ).toEqual(['theirs']);
  });

  test('asks again for a file that was not uploaded, and sends one that was', () => {
    const storage = memoryStorage();
    const file = new File(['x'], 'a.txt');
    const sent = { name: 'a.txt', size: 1, file, file_id: undefined, loaded: 0 };
    const uploaded = { ...sent, file_id: 'f', loaded: 1 };
    const waiting = waitingMessages(storage, 'alice');
    waiting.write(
      'room-1',
      [],
      [outgoing('lost', { files: [uploaded, sent] }), outgoing('kept', { files: [uploaded] })],
    );
    expect(waiting.read('room-1').map(({ files }) => files.map((one) => one.file))).toEqual([[file, file], [file]]);
    const reloaded = waitingMessages(storage, 'alice').read('room-1');
    expect(Object.fromEntries(reloaded.map((one) => [one.client_message_id, one.failure]))).toEqual({
      lost: 'Attach the file “a.txt” again: the page has been reloaded.',
      kept: undefined,
    });
  });

  test("asks before it sends a message that is older than the service's protection against duplicates", () => {
    const storage = memoryStorage();
    const at = Date.now();
    waitingMessages(storage, 'alice').write('room-1', [], [outgoing('m1')]);
    expect(waitingMessages(storage, 'alice', () => at + 22 * HOUR_MS).rooms()).toEqual(['room-1']);
    const late = waitingMessages(storage, 'alice', () => at + 24 * HOUR_MS);
    expect(late.rooms()).toEqual([]);
    expect(late.read('room-1')[0]?.failure).toBe('The message has waited for more than a day.');
  });
});

describe('notices', () => {
  test('survive a reload, up to the newest 50 of a room', () => {
    const storage = memoryStorage();
    const notices = Array.from({ length: 60 }, (_, index) => ({
      key: `notice-${index}`,
      sentence: [{ name: 'Carol' }, ` was added ${index}.`],
      at: new Date(index).toISOString(),
    }));
    noticeLog(storage, 'alice', 'room-1').write(notices);
    expect(noticeLog(storage, 'alice', 'room-1').read()).toEqual(notices.slice(10));
    expect(noticeLog(storage, 'bob', 'room-1').read()).toEqual([]);
    expect(noticeLog(undefined, 'alice', 'room-1').read()).toEqual([]);
  });
});
