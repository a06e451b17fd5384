import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_FRAME_BYTES, MAX_PACKED_BYTES } from '../../core/contract/limits.ts';
import type { EventsFrame, RoomEvent } from '../../core/contract/realtime.ts';
import { batchIdentity, detachedFrame, isNumbered, pack } from '../../core/realtime/pack.ts';
import { toMessage } from '../../core/store/items.ts';
import { messageKey } from '../../core/store/keys.ts';
import { unpack } from '../support/v2-client.ts';

const room_id = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
const sent_at = '2026-03-02T09:05:00.125Z';

const message = (text: string, at = sent_at, id = '01KJPWMX60DN4XCMTN3FJRJPH3'): RoomEvent => ({
  type: 'message',
  room_id,
  data: toMessage({
    ...messageKey(room_id, id),
    message_id: id,
    room_id,
    sender_id: 'u',
    client_message_id: 'c',
    text,
    sent_at,
  }),
  sent_at: at,
});
const renamed = (username: string, at = sent_at): RoomEvent => ({
  type: 'participant_updated',
  room_id,
  data: { participant_id: 'u', username },
  sent_at: at,
});

/** Texts of any allowed length, of characters that take more bytes in JSON or UTF-8. */
const text = fc
  .tuple(fc.constantFrom('a', 'ä', '漢', '😀', '\n', '"', '\u0001', '\ud800'), fc.integer({ min: 1, max: 8_000 }))
  .map(([unit, length]) => unit.repeat(Math.max(1, Math.floor(length / unit.length))));
const time = fc.constantFrom(sent_at, '2026-03-02T09:05:00.126Z');
const event: fc.Arbitrary<RoomEvent> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.string({ maxLength: 300 }), time).map(([t, at]) => message(t, at)) },
  { weight: 2, arbitrary: fc.tuple(text, time).map(([t, at]) => message(t, at)) },
  { weight: 1, arbitrary: fc.tuple(fc.string(), time).map(([t, at]) => renamed(t, at)) },
);

const parse = (frames: readonly string[]): EventsFrame[] => frames.map((frame) => JSON.parse(frame));
/** Whether an event fits into a frame by itself, with any number. */
const fits = (one: RoomEvent): boolean =>
  Buffer.byteLength(
    JSON.stringify({ type: 'events', room_id, feed: 'messages', seq: 9_999, sent_at, events: [one] }),
  ) <= MAX_FRAME_BYTES;

describe('packed frames', () => {
  test('contain all events in order and numbered, in at most 32,768 bytes; only events that are too large are omitted', () => {
    let packedTogether = 0;
    let leftOut = 0;
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 5_000 }), (events, first) => {
        const frames = pack(room_id, { feed: 'messages', first }, events);
        for (const frame of frames) expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(MAX_FRAME_BYTES);
        const parsed = parse(frames);
        // A lone surrogate stays an escape sequence, as it was sent.
        const found = new Map(
          parsed.flatMap((frame) => unpack(frame).map((one, index): [number, RoomEvent] => [frame.seq + index, one])),
        );
        for (const [index, one] of events.entries()) {
          const got = found.get(first + index);
          if (got) expect(got).toEqual(one);
          else {
            leftOut++;
            // A later frame has a higher number, so clients notice that this event was omitted.
            expect(fits(one) && Buffer.byteLength(JSON.stringify(one)) < MAX_PACKED_BYTES).toBe(false);
            expect(parsed.some(({ seq }) => seq > first + index)).toBe(true);
          }
        }
        expect(found.size).toBeLessThanOrEqual(events.length);
        const numbers = parsed.flatMap(({ seq, events: held }) => held.map((_, index) => seq + index));
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
        expect(new Set(numbers).size).toBe(numbers.length);
        for (const { events: held } of parsed) if (held.length > 1) packedTogether++;
        for (const [index, frame] of frames.entries())
          if ((parsed[index]?.events.length ?? 0) > 1)
            expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(MAX_PACKED_BYTES);
      }),
      { numRuns: 300 },
    );
    expect(packedTogether).toBeGreaterThan(100);
    expect(leftOut).toBeGreaterThan(0);
  });

  test('are as few as the limit allows: 60 short messages fit in one', () => {
    const events = Array.from({ length: 60 }, (_, n) => message(`message ${n}`));
    const [frame, ...more] = pack(room_id, { feed: 'messages', first: 41 }, events);
    expect(more).toEqual([]);
    expect(JSON.parse(frame ?? '')).toMatchObject({ type: 'events', room_id, feed: 'messages', seq: 41, sent_at });
    // Two consecutive frames never fit into one.
    const long = pack(
      room_id,
      { feed: 'messages', first: 1 },
      Array.from({ length: 40 }, () => message('x'.repeat(4_000))),
    );
    for (const [index, each] of long.slice(1).entries())
      expect(Buffer.byteLength(each) + Buffer.byteLength(long[index] ?? '')).toBeGreaterThan(MAX_PACKED_BYTES);
    expect(pack(room_id, { feed: 'changes', first: 1 }, [])).toEqual([]);
  });

  test('show a gap for an event that is too large, even if nothing follows it', () => {
    const huge = message('\u0001'.repeat(8_000));
    const [first, last, ...more] = parse(pack(room_id, { feed: 'messages', first: 7 }, [message('before'), huge]));
    expect(more).toEqual([]);
    expect(first).toMatchObject({ seq: 7, events: [{ data: { text: 'before' } }] });
    expect(last).toMatchObject({ seq: 9, events: [] });
    expect(parse(pack(room_id, { feed: 'messages', first: 7 }, [huge, message('after')]))).toMatchObject([
      { seq: 8, events: [{ data: { text: 'after' } }] },
    ]);
  });
});

test('send the end of a room without a number, in the frame that detaches', () => {
  const ended = { type: 'room_ended', room_id, data: {}, sent_at } as RoomEvent;
  expect(isNumbered(ended)).toBe(false);
  expect(isNumbered(message('x'))).toBe(true);
  expect(JSON.parse(detachedFrame(room_id, ended, sent_at, sent_at))).toEqual({
    type: 'detached',
    room_id,
    reason: 'room_ended',
    joined_at: sent_at,
    sent_at,
    events: [{ type: 'room_ended', data: {} }],
  });
  expect(JSON.parse(detachedFrame(room_id, undefined, sent_at, undefined))).toEqual({
    type: 'detached',
    room_id,
    reason: 'removed',
    sent_at,
    events: [],
  });
});

test('the ID of a batch depends on its events and its source, not on the time', () => {
  const events = [message('a'), message('b')];
  const later = [message('a', '2026-03-02T10:00:00.000Z'), message('b', '2026-03-02T10:00:00.000Z')];
  expect(batchIdentity('1', later)).toBe(batchIdentity('1', events));
  const others = [
    batchIdentity('2', events),
    batchIdentity('1', [message('a')]),
    batchIdentity('1', [message('b'), message('a')]),
    batchIdentity('1', [message('a'), message('c')]),
  ];
  expect(new Set([batchIdentity('1', events), ...others]).size).toBe(5);
});
