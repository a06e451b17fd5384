import * as v from 'valibot';

/** `rate` requests a second on average, `burst` at once. */
export interface Throttle {
  readonly rate: number;
  readonly burst: number;
}

const routeSettings = v.object({
  ThrottlingRateLimit: v.optional(v.number()),
  ThrottlingBurstLimit: v.optional(v.number()),
});

/** What a stage says of throttling. */
export const throttleProperties = v.object({
  DefaultRouteSettings: v.optional(routeSettings, {}),
  RouteSettings: v.optional(v.record(v.string(), routeSettings), {}),
});

/** The throttles of a stage, by route key. */
export const throttlesOf = (stage: v.InferOutput<typeof throttleProperties>): ReadonlyMap<string, Throttle> =>
  new Map(
    Object.entries({ $default: stage.DefaultRouteSettings, ...stage.RouteSettings }).flatMap(
      ([routeKey, { ThrottlingRateLimit: rate, ThrottlingBurstLimit: burst }]) =>
        rate === undefined || burst === undefined ? [] : [[routeKey, { rate, burst }] as const],
    ),
  );

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
