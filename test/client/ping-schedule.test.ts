import { describe, expect, test } from 'vitest';
import { pingSchedule } from '../../client/src/ping-schedule.ts';

const SECOND = 1_000;
const PING_MS = 30 * SECOND;

/** Simulates a room with one event every `gap` milliseconds. Pings are answered at once. Returns the times of all pings. */
function listen(gap: number, events: number) {
  const schedule = pingSchedule(PING_MS, 0);
  const pings: number[] = [];
  const pingUntil = (end: number) => {
    for (let due = schedule.dueAt(true); due < end; due = schedule.dueAt(true)) {
      schedule.pinged(due);
      schedule.heard(due, false);
      pings.push(due);
    }
  };
  for (let n = 1; n <= events; n++) {
    pingUntil(n * gap);
    schedule.heard(n * gap, true);
  }
  return { schedule, pings, pingUntil, last: events * gap };
}

describe('with rooms.v1', () => {
  test('a ping is due every 30 seconds, whatever is received', () => {
    const schedule = pingSchedule(PING_MS, 0);
    schedule.heard(20 * SECOND, true);
    schedule.sent(25 * SECOND);
    expect(schedule.dueAt(false)).toBe(30 * SECOND);
    schedule.pinged(30 * SECOND);
    expect(schedule.dueAt(false)).toBe(60 * SECOND);
  });
});

describe('with rooms.v2', () => {
  test('a silent room is pinged every 120 seconds', () => {
    const { pings, pingUntil } = listen(0, 0);
    pingUntil(3_600 * SECOND);
    expect(pings.length).toBe(29);
    expect(pings.every((at, n) => at === 120 * SECOND * (n + 1))).toBe(true);
  });

  test('a room with a message every minute is not pinged', () => {
    const { pings } = listen(60 * SECOND, 60);
    // Except every 4 minutes, because the client promises the service a frame in that interval.
    expect(pings).toEqual(Array.from({ length: 14 }, (_, n) => 240 * SECOND * (n + 1)));
  });

  test('if something is received every 10 seconds, a dead socket is noticed within 40 seconds', () => {
    const { schedule, last } = listen(10 * SECOND, 30);
    // The ping is due 30 seconds after the last event. The reply times out 10 seconds later.
    expect(schedule.dueAt(true) - last).toBeLessThanOrEqual(30.1 * SECOND);
  });

  test('a room that becomes silent is pinged less and less often', () => {
    const { pings, pingUntil, last } = listen(SECOND, 60);
    pingUntil(last + 1_000 * SECOND);
    const waits = pings.map((at, n) => (at - (pings[n - 1] ?? last)) / SECOND);
    expect(waits[0]).toBe(30);
    expect(waits.at(-1)).toBe(120);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  });

  test('a ping without a reply is not repeated at once', () => {
    const schedule = pingSchedule(PING_MS, 0);
    schedule.pinged(120 * SECOND);
    expect(schedule.dueAt(true)).toBe(240 * SECOND);
  });

  test('a ping is overdue after the device wakes up', () => {
    const { schedule, last } = listen(SECOND, 10);
    expect(schedule.dueAt(true)).toBeLessThan(last + 121 * SECOND);
  });
});
