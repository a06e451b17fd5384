import { describe, expect, test } from 'vitest';
import {
  isRoomEvent,
  parseCounts,
  parseTask,
  requireAnnouncement,
  requireFanOutRequest,
} from '../../core/realtime/parse.ts';

const event = { type: 'typing', room_id: 'r', data: { participant_id: 'p', typing: true }, sent_at: 't' };

describe('a task of a lane', () => {
  test.each([
    { kind: 'send', events: [event] },
    { kind: 'send', events: [{ ...event, type: 'of_a_later_version' }], numbers: { feed: 'changes', first: 7 } },
    { kind: 'send', events: [], only: [{ connection_id: 'c', had: 2 }] },
    { kind: 'close' },
    { kind: 'close', event },
  ])('is parsed: %j', (task) => {
    expect(parseTask(JSON.stringify(task))).toEqual(task);
  });

  test.each([
    '{',
    'null',
    '[]',
    '{"kind":"other"}',
    '{"kind":"send"}',
    '{"kind":"send","events":[{}]}',
    JSON.stringify({ kind: 'send', events: [{ ...event, room_id: 1 }] }),
    JSON.stringify({ kind: 'send', events: [{ ...event, data: null }] }),
    JSON.stringify({ kind: 'send', events: [event], numbers: { feed: 'changes' } }),
    JSON.stringify({ kind: 'send', events: [event], only: ['c'] }),
    '{"kind":"close","event":{}}',
  ])('is rejected: %s', (text) => {
    expect(() => parseTask(text)).toThrow();
  });
});

describe('the answer of a fan-out invocation', () => {
  const counts = { sent: 1, gone: 0, failed: 0, skipped: 2, receivers: 1, marked: 0 };

  test('is parsed, also that of an earlier version, which does not count skipped connections', () => {
    expect(parseCounts(JSON.stringify(counts))).toEqual(counts);
    expect(parseCounts(JSON.stringify({ ...counts, skipped: undefined }))).toEqual({ ...counts, skipped: 0 });
  });

  test.each(['', 'null', '{}', JSON.stringify({ ...counts, sent: '1' }), JSON.stringify({ ...counts, marked: null })])(
    'is rejected: %j',
    (text) => {
      expect(() => parseCounts(text)).toThrow();
    },
  );
});

test('an event without a room, time or data is no event', () => {
  expect(isRoomEvent(event)).toBe(true);
  for (const field of ['type', 'room_id', 'sent_at', 'data'])
    expect(isRoomEvent({ ...event, [field]: undefined })).toBe(false);
});

test('the input of a fan-out invocation is checked', () => {
  const recipient = { connection_id: 'c', participant_id: 'p', token_expires_at: 1 };
  const request = { room_id: 'r', recipients: [recipient], task: { kind: 'close' }, time_left_ms: 1 };
  expect(requireFanOutRequest(request)).toBe(request);
  for (const wrong of [
    null,
    { ...request, room_id: undefined },
    { ...request, recipients: [{ ...recipient, connection_id: 1 }] },
    { ...request, task: { kind: 'tell' } },
    { ...request, time_left_ms: '1' },
    { ...request, posts_per_second: '1' },
  ])
    expect(() => requireFanOutRequest(wrong)).toThrow();
});

test('the input of a schedule is checked', () => {
  const announcement = { room_id: 'r', moment: 'next', time: 't' };
  expect(requireAnnouncement(announcement)).toBe(announcement);
  for (const wrong of [undefined, {}, { ...announcement, moment: 'toString' }, { ...announcement, time: 1 }])
    expect(() => requireAnnouncement(wrong)).toThrow();
});
