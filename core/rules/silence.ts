import { SILENCE_SECONDS } from '../contract/limits.ts';

/**
 * Returns how long a connection with an announced ping interval can be silent before it is closed, in seconds. One late
 * ping is tolerated.
 */
export const longestSilence = (pingIntervalSeconds: number): number =>
  Math.max(SILENCE_SECONDS, 2 * pingIntervalSeconds + 30);
