import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { RoomsError } from '../../core/contract/errors.ts';
import { jsonObject } from '../../core/contract/fields.ts';
import { CLOCK_SKEW_MS, MAX_BOOKING_AHEAD_MS, MAX_JSON_BYTES, MAX_JSON_DEPTH } from '../../core/contract/limits.ts';
import { isShallow } from '../../core/rules/json.ts';
import { endIssues, isPast, orderIssues, roomStatus, startIssues, throwIfInvalid } from '../../core/rules/room.ts';
import { epochSeconds, isIsoTime, isRealTime, plus, toUtc } from '../../core/rules/time.ts';

const NOW = '2026-03-01T09:30:00.000Z';
const earlier = (ms: number): string => plus(NOW, -ms);
const later = (ms: number): string => plus(NOW, ms);

describe('the status of a room', () => {
  test.each([
    ['booked', later(1), null],
    ['started', NOW, null],
    ['started', earlier(1), undefined],
    ['started', NOW, later(1)],
    ['booked', later(1), later(2)],
    ['ended', earlier(1), NOW],
    ['ended', earlier(2), earlier(1)],
    ['ended', later(2), NOW],
    ['booked', later(2), later(1)],
  ] as const)('is %s with start %s and end %s', (status, start_time, end_time) => {
    expect(roomStatus({ start_time, end_time }, NOW)).toBe(status);
  });

  test('goes from booked to started to ended, and never back', () => {
    const ORDER = ['booked', 'started', 'ended'];
    const moment = fc.integer({ min: 0, max: 2_000_000_000_000 }).map((ms) => new Date(ms).toISOString());
    fc.assert(
      fc.property(moment, fc.option(moment), moment, moment, (start_time, end_time, a, b) => {
        const [early, late] = [a, b].sort() as [string, string];
        const schedule = { start_time, end_time };
        expect(ORDER.indexOf(roomStatus(schedule, early))).toBeLessThanOrEqual(
          ORDER.indexOf(roomStatus(schedule, late)),
        );
      }),
    );
  });
});

describe('issues with times', () => {
  test('a start may be late by the clock skew', () => {
    expect(startIssues(earlier(CLOCK_SKEW_MS), NOW)).toEqual([]);
    expect(startIssues(earlier(CLOCK_SKEW_MS + 1), NOW)).toMatchObject([{ path: 'start_time' }]);
    expect(isPast(earlier(CLOCK_SKEW_MS), NOW)).toBe(false);
  });

  test('an earlier start is accepted if it is the stored one', () => {
    expect(startIssues(earlier(CLOCK_SKEW_MS + 1), NOW, true)).toEqual([]);
  });

  test('up to 10 years ahead are accepted', () => {
    expect(startIssues(later(MAX_BOOKING_AHEAD_MS), NOW)).toEqual([]);
    expect(startIssues(later(MAX_BOOKING_AHEAD_MS + 1), NOW)).toMatchObject([{ path: 'start_time' }]);
    expect(endIssues(later(MAX_BOOKING_AHEAD_MS), NOW)).toEqual([]);
    expect(endIssues(later(MAX_BOOKING_AHEAD_MS + 1), NOW)).toMatchObject([{ path: 'end_time' }]);
  });

  test('an end is in the future, and after the start', () => {
    expect(endIssues(NOW, NOW)).toMatchObject([{ path: 'end_time' }]);
    expect(endIssues(later(1), NOW)).toEqual([]);
    expect(orderIssues({ start_time: NOW, end_time: NOW })).toMatchObject([{ path: 'end_time' }]);
    expect(orderIssues({ start_time: NOW, end_time: later(1) })).toEqual([]);
    expect(orderIssues({ start_time: NOW, end_time: null })).toEqual([]);
  });

  test('a request with any issue is rejected, and all issues are listed', () => {
    expect(() => throwIfInvalid([])).not.toThrow();
    expect(() => throwIfInvalid([{ message: 'a' }])).toThrow(RoomsError);
    const issues = [{ message: 'a' }, { path: 'b', message: 'c' }];
    expect(() => throwIfInvalid(issues)).toThrow(expect.objectContaining({ code: 'invalid_request', issues }));
    expect(() => throwIfInvalid(issues)).toThrow(RoomsError);
  });
});

describe('times', () => {
  test('sort as text in chronological order', () => {
    const moment = fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true });
    fc.assert(
      fc.property(moment, moment, (a, b) => {
        expect(toUtc(a.toISOString()) < toUtc(b.toISOString())).toBe(a.getTime() < b.getTime());
      }),
    );
  });

  test('are whole seconds of the epoch', () => {
    expect(epochSeconds('1970-01-01T00:00:01.999Z')).toBe(1);
  });

  test.each([
    ['2026-02-28T00:00:00Z', true],
    ['2028-02-29T23:59:59.999+14:00', true],
    ['2026-01-31T00:00Z', true],
    ['2026-12-31T23:59Z', true],
    ['2026-13-01T00:00Z', false],
    ['2026-01-00T00:00Z', false],
    ['2026-01-32T00:00Z', false],
    ['2026-02-29T00:00:00Z', false],
    ['2026-04-31T00:00:00Z', false],
    ['2026-02-30T12:00:00-05:00', false],
    ['2026-02-30T12:00-05', false],
    ['never', false],
  ])('%s is a day that exists: %s', (text, real) => {
    expect(isRealTime(text)).toBe(real);
  });

  test.each([
    ['2026-03-01T10:00:00.000Z', '2026-03-01T10:00:00.000Z'],
    ['2026-03-01T10:00Z', '2026-03-01T10:00:00.000Z'],
    ['2026-03-01T10:00:00+01', '2026-03-01T09:00:00.000Z'],
    ['2026-03-01T10:00-03', '2026-03-01T13:00:00.000Z'],
    ['2026-03-01T10:00:00+0530', '2026-03-01T04:30:00.000Z'],
    ['2026-03-01T10:00:00+05:30', '2026-03-01T04:30:00.000Z'],
    ['2026-03-01t10:00:00z', '2026-03-01T10:00:00.000Z'],
    ['2026-03-01 10:00:00 +01:00', '2026-03-01T09:00:00.000Z'],
    ['2026-03-01T10:00:00.5Z', '2026-03-01T10:00:00.500Z'],
    ['2026-03-01T10:00:00,25+01', '2026-03-01T09:00:00.250Z'],
    ['2026-03-01T10:00:00.123456789Z', '2026-03-01T10:00:00.123Z'],
  ])('%s is %s in UTC', (text, utc) => {
    expect(isIsoTime(text) && isRealTime(text)).toBe(true);
    expect(toUtc(text)).toBe(utc);
  });

  test.each([
    '2026-03-01',
    '2026-03-01T10Z',
    '2026-03-01T10:00',
    '2026-03-01T24:00Z',
    '2026-03-01T10:60Z',
    '2026-03-01T10:00:00.Z',
    '2026-03-01T10:00.5Z',
    '2026-03-01T10:00:00+1',
    '2026-03-01T10:00:00+24',
    '2026-03-01T10:00:00+01:60',
    '2026-03-01T10:00:00+01:',
    '2026-03-01T10:00:00 Z',
    'Sun, 01 Mar 2026 10:00:00 GMT',
  ])('%s is not accepted', (text) => {
    expect(isIsoTime(text)).toBe(false);
  });
});

describe('a JSON object of the application', () => {
  const parsed = (json: string) => v.safeParse(jsonObject, JSON.parse(json), { abortPipeEarly: true });
  const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;

  test.each([
    '{}',
    '{"constructor":1,"toString":null,"prototype":{"a":[1,"x",false]}}',
    '{"":"\\ud800","語":-0.5e-7}',
    nested(MAX_JSON_DEPTH),
    JSON.stringify({ a: 'x'.repeat(MAX_JSON_BYTES - 8) }),
    // White space does not count towards the limit.
    `{"a":1${' '.repeat(MAX_JSON_BYTES)}}`,
  ])('is kept unchanged: %.40s', (json) => {
    expect(parsed(json)).toMatchObject({ success: true, output: JSON.parse(json) });
    expect(JSON.stringify(parsed(json).output)).toBe(JSON.stringify(JSON.parse(json)));
  });

  test.each([
    ['null', 'must be a JSON object'],
    ['[]', 'must be a JSON object'],
    ['"x"', 'must be a JSON object'],
    ['1', 'must be a JSON object'],
    [nested(MAX_JSON_DEPTH + 1), 'must be nested at most 32 levels deep'],
    [nested(16_000), 'must be nested at most 32 levels deep'],
    ['{"__proto__":{"x":1}}', 'must not have the key __proto__'],
    ['{"a":[{"__proto__":null}]}', 'must not have the key __proto__'],
    ['{"a":[1e999]}', 'must not have numbers beyond 1.8e308'],
    [JSON.stringify({ a: 'x'.repeat(MAX_JSON_BYTES - 7) }), 'must be at most 4096 bytes as JSON in UTF-8'],
    [JSON.stringify({ a: '語'.repeat(MAX_JSON_BYTES / 3) }), 'must be at most 4096 bytes as JSON in UTF-8'],
  ])('is rejected: %.40s', (json, message) => {
    expect(parsed(json).issues?.map((issue) => issue.message)).toEqual([message]);
  });

  test('of any depth is checked without overflowing the stack', () => {
    expect(isShallow(JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`), MAX_JSON_DEPTH)).toBe(false);
  });
});
