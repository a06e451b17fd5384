/*
 * Decides when to check whether a socket is alive. Pure: no I/O, and the clock is a parameter.
 *
 * With `rooms.v2`, received events prove that the socket works. The client sends a ping after a silence of
 * SUSPICIOUS_GAPS times the average gap between events, at least `pingMs` and at most LONGEST × `pingMs`. So a dead
 * socket is detected early in a busy room, and a quiet room needs few pings.
 */

/** A silence this many times as long as the usual gap between events is suspicious. */
const SUSPICIOUS_GAPS = 3;
/** The longest silence, in units of `pingMs`. */
const LONGEST = 4;
/**
 * The maximum time without sending, in units of `pingMs`. The client announces it to the service, which closes
 * connections after a longer silence.
 */
export const LONGEST_UNSENT = 8;
/** Weight of the last gap in the average. */
const WEIGHT = 0.25;

export interface PingSchedule {
  /** A frame was received. `isEvent`: it was not a reply. */
  heard(now: number, isEvent: boolean): void;
  /** A frame other than a ping was sent. */
  sent(now: number): void;
  pinged(now: number): void;
  /**
   * Returns when the next ping is due. `isAdaptive` applies the rules of `rooms.v2`. Otherwise, it is `pingMs` after
   * the last one.
   */
  dueAt(isAdaptive: boolean): number;
}

/** Returns the schedule of a socket that was opened now. All times are in milliseconds. */
export function pingSchedule(pingMs: number, now: number): PingSchedule {
  let [heardAt, eventAt, sentAt, pingedAt] = [now, now, now, now];
  /** The average gap between two events. */
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
