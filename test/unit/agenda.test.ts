import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Announcement } from '../../core/contract/answers.ts';
import { agendaIssues, agendaOf, isObsolete, nextAfter, type Planned, sameAgenda } from '../../core/rules/agenda.ts';

/** The time `minute` minutes after the start of the room. */
const T = (minute: number) => new Date(Date.UTC(2026, 2, 1) + minute * 60_000).toISOString();
const room = (changes: Partial<Planned> = {}): Planned => ({ start_time: T(0), updated_at: T(0), ...changes });
const announcement = (
  announcement_id: string,
  minutes: number,
  relative_from: 'start' | 'end' = 'end',
): Announcement => ({
  announcement_id,
  message: 'x',
  relative_from,
  relative_time_in_seconds: minutes * 60,
});
const times = (planned: Planned) => agendaOf(planned).map(({ at }) => at);

describe('the agenda of a room', () => {
  test('has warnings 300 and 60 seconds before its end by default, and none without an end', () => {
    expect(times(room({ end_time: T(60) }))).toEqual([T(55), T(59)]);
    expect(times(room({ end_time: T(60), end_warnings_seconds: [600] }))).toEqual([T(50)]);
    expect(times(room({ end_time: T(60), end_warnings_seconds: [] }))).toEqual([]);
    expect(times(room())).toEqual([]);
  });

  test('has no warning before its start, but may have one at the start', () => {
    expect(times(room({ end_time: T(4) }))).toEqual([T(3)]);
    expect(times(room({ end_time: T(5) }))).toEqual([T(0), T(4)]);
  });

  test('has announcements relative to start and end: none after the end, and at the start instead of before it', () => {
    const announcements = [announcement('a', -10), announcement('b', 50, 'start'), announcement('c', -90)];
    expect(times(room({ announcements }))).toEqual([T(50)]);
    const end_warnings_seconds: number[] = [];
    expect(times(room({ announcements, end_warnings_seconds, end_time: T(100) }))).toEqual([T(10), T(50), T(90)]);
    expect(times(room({ announcements, end_warnings_seconds, end_time: T(30) }))).toEqual([T(0), T(20)]);
    expect(times(room({ announcements, end_warnings_seconds, end_time: T(-1) }))).toEqual([]);
  });

  test('lies between start and end, in order, for any times', () => {
    const minute = fc.integer({ min: -100, max: 100 });
    const any = fc.record({
      start_time: minute.map(T),
      end_time: fc.option(minute.map(T)),
      updated_at: minute.map(T),
      end_warnings_seconds: fc.array(fc.integer({ min: 1, max: 9_000 }), { maxLength: 5 }),
      announcements: fc.array(
        fc
          .tuple(minute, fc.constantFrom('start' as const, 'end' as const))
          .map(([n, from]) => announcement(`a${n}`, n, from)),
      ),
    });
    fc.assert(
      fc.property(any, minute.map(T), (planned, now) => {
        const all = times(planned);
        expect(all).toEqual(all.toSorted());
        for (const at of all) {
          expect(at >= planned.start_time).toBe(true);
          if (planned.end_time) expect(at <= planned.end_time).toBe(true);
        }
        const next = nextAfter(planned, now, now);
        expect(next?.at).toBe(agendaOf(planned).find((item) => item.at > now && !isObsolete(item, planned, now))?.at);
        expect(sameAgenda(planned, { ...planned })).toBe(true);
      }),
    );
  });
});

describe('after the end', () => {
  const isOverAt = (minutes: number, updated: number, now: number): boolean => {
    const planned = room({
      end_time: T(60),
      end_warnings_seconds: [],
      updated_at: T(updated),
      announcements: [announcement('a', minutes)],
    });
    const [item] = agendaOf(planned);
    if (!item) throw new Error('There is one.');
    return isObsolete(item, planned, T(now));
  };
  test('an announcement that was due after the last change is still sent for one hour', () => {
    expect(isOverAt(-10, 0, 61)).toBe(false);
    expect(isOverAt(0, 0, 120)).toBe(false);
    expect(isOverAt(0, 0, 121)).toBe(true);
  });
  test('an announcement that a change has moved into the past is not sent, except one at the end', () => {
    expect(isOverAt(-10, 60, 61)).toBe(true);
    expect(isOverAt(0, 60, 61)).toBe(false);
  });
  test('there are no warnings', () => {
    const planned = room({ end_time: T(60) });
    expect(agendaOf(planned).map((item) => isObsolete(item, planned, T(60)))).toEqual([true, true]);
    expect(agendaOf(planned).map((item) => isObsolete(item, planned, T(59)))).toEqual([false, false]);
  });
});

test('issues contain the path of the invalid entry, and exclude unchanged entries', () => {
  const planned = {
    ...{ start_time: T(0), end_time: T(60), end_warnings_seconds: [3_600, 3_601] },
    announcements: [announcement('a', -70), announcement('b', 10, 'start'), announcement('c', -5)],
  };
  const paths = (known?: string) =>
    agendaIssues(planned, T(20), ({ announcement_id }) => announcement_id === known).map(({ path }) => path);
  const announcements = [0, 1].map((n) => `announcements.${n}.relative_time_in_seconds`);
  expect(paths()).toEqual(['end_warnings_seconds.1', ...announcements]);
  expect(paths('b')).toEqual(['end_warnings_seconds.1', announcements[0]]);
});
