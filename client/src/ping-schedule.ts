/*
 * When to see whether a socket is alive. Pure: no I/O; the clock is given.
 *
 * With `rooms.v2`, traffic is a sign of life. A silence is suspicious after SUSPICIOUS_GAPS times the usual gap between two events, at least `pingMs`, at
 * most LONGEST × `pingMs`: in a busy room a dead socket is noticed early, and a quiet room costs few pings.
 */

/** A silence this many times as long as the usual gap between events is suspicious. */
const SUSPICIOUS_GAPS = 3;
/** The longest silence, in units of `pingMs`. */
const LONGEST = 4;
/** The longest time without sending anything, in units of `pingMs`: it is promised to the service, which closes connections that are silent for longer. */
export const LONGEST_UNSENT = 8;
/** Weight of the last gap in the average. */
const WEIGHT = 0.25;

export interface PingSchedule {
  /** A frame has come. `isEvent`: it was not the reply to one of our own. */
  heard(now: number, isEvent: boolean): void;
  /** A frame other than a ping was sent. */
  sent(now: number): void;
  pinged(now: number): void;
  /** Returns when the next ping is due. `isAdaptive`: as for `rooms.v2`; else `pingMs` after the last one. */
  dueAt(isAdaptive: boolean): number;
}

/** Returns the schedule of a socket that has opened now. All times are in milliseconds. */
export function pingSchedule(pingMs: number, now: number): PingSchedule {
  let [heardAt, eventAt, sentAt, pingedAt] = [now, now, now, now];
  /** The usual gap between two events. */
  let gap = (LONGEST * pingMs) / SUSPICIOUS_GAPS;

  const observe = (silence: number): void => {
    gap += WEIGHT * (Math.min(silence, LONGEST * pingMs) - gap);
  };

  return {
    heard(at, isEvent) {
      heardAt = at;
      if (!isEvent) return;
      observe(at - eventAt);
      eventAt = at;
    },
    sent(at) {
      sentAt = at;
    },
    pinged(at) {
      pingedAt = sentAt = at;
      observe(at - eventAt);
    },
    dueAt(isAdaptive) {
      if (!isAdaptive) return pingedAt + pingMs;
      const silence = Math.min(Math.max(SUSPICIOUS_GAPS * gap, pingMs), LONGEST * pingMs);
      return Math.min(Math.max(heardAt, pingedAt) + silence, sentAt + LONGEST_UNSENT * pingMs);
    },
  };
}
