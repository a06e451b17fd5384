import type { Throttle } from './http-api.ts';

/**
 * A token bucket, as API Gateway's: full with `burst` tokens at first, refilled by `rate` a second; each request takes one.
 *
 * @param now milliseconds, by a clock that never goes back
 * @returns whether a request may pass
 */
export function createTokenBucket(
  { rate, burst }: Throttle,
  now: () => number = () => performance.now(),
): () => boolean {
  let tokens = burst;
  let filledAt = now();
  return () => {
    const time = now();
    tokens = Math.min(burst, tokens + ((time - filledAt) / 1_000) * rate);
    filledAt = time;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
