import { SILENCE_SECONDS } from '../contract/limits.ts';

/**
 * Returns how long a connection that has promised a ping interval may be silent before it is closed, in seconds: of two pings, one may be
 * late.
 */
export const longestSilence = (pingIntervalSeconds: number): number =>
  Math.max(SILENCE_SECONDS, 2 * pingIntervalSeconds + 30);
