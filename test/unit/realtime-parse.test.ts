import { describe, expect, test } from 'vitest';
import { isRoomEvent, parseCounts, parseTask } from '../../core/realtime/parse.ts';

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
