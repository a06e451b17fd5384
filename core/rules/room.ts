import { type Issue, invalid } from '../contract/errors.ts';
import { CLOCK_SKEW_MS, MAX_BOOKING_AHEAD_MS } from '../contract/limits.ts';
import { plus, type Timestamp } from './time.ts';

export type RoomStatus = 'booked' | 'started' | 'ended';

export interface Schedule {
  readonly start_time: Timestamp;
  readonly end_time?: Timestamp | null | undefined;
}

/**
 * Returns the status of a room at a time. It follows from the clock, and is never stored. `ended` is checked first, so
 * that a room that ended before its start is ended, not booked.
 */
export function roomStatus({ start_time, end_time }: Schedule, now: Timestamp): RoomStatus {
  if (end_time && end_time <= now) return 'ended';
  return now < start_time ? 'booked' : 'started';
}

const isTooFarAhead = (time: Timestamp, now: Timestamp): boolean => time > plus(now, MAX_BOOKING_AHEAD_MS);

/** Returns whether a `start_time` is earlier than a clock that is behind can explain. */
export const isPast = (start_time: Timestamp, now: Timestamp): boolean => start_time < plus(now, -CLOCK_SKEW_MS);

/** Returns the issues with a requested start. A start in the past is accepted if it is the stored one. */
export function startIssues(start_time: Timestamp, now: Timestamp, unchanged = false): Issue[] {
  if (isPast(start_time, now) && !unchanged)
    return [{ path: 'start_time', message: 'must not be in the past; leave it out to start now' }];
  if (isTooFarAhead(start_time, now)) return [{ path: 'start_time', message: 'must be within ten years from now' }];
  return [];
}

/** Returns the issues with a requested end. */
export function endIssues(end_time: Timestamp, now: Timestamp): Issue[] {
  if (end_time <= now) return [{ path: 'end_time', message: 'must be in the future' }];
  if (isTooFarAhead(end_time, now)) return [{ path: 'end_time', message: 'must be within ten years from now' }];
  return [];
}

/** Returns the issues with start and end together. */
export function orderIssues({ start_time, end_time }: Schedule): Issue[] {
  return end_time && end_time <= start_time
    ? [{ path: 'end_time', message: `must be after start_time, ${start_time}` }]
    : [];
}

/** Throws `invalid_request` with one entry per issue, if there is any. */
export function throwIfInvalid(issues: readonly Issue[]): void {
  if (issues.length > 0) throw invalid(...issues);
}

/** The default times of warnings, in seconds before the end of a room. */
export const DEFAULT_END_WARNINGS_SECONDS: readonly number[] = [300, 60];
