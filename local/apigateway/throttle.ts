import * as v from 'valibot';

/** `rate` requests per second on average, `burst` at once. */
export interface Throttle {
  readonly rate: number;
  readonly burst: number;
}

const routeSettings = v.object({
  ThrottlingRateLimit: v.optional(v.number()),
  ThrottlingBurstLimit: v.optional(v.number()),
});

/** The throttling settings of a stage. */
export const throttleProperties = v.object({
  DefaultRouteSettings: v.optional(routeSettings, {}),
  RouteSettings: v.optional(v.record(v.string(), routeSettings), {}),
});

/** Returns the throttles of a stage, by route key. */
export const throttlesOf = (stage: v.InferOutput<typeof throttleProperties>): ReadonlyMap<string, Throttle> =>
  new Map(
    Object.entries({ $default: stage.DefaultRouteSettings, ...stage.RouteSettings }).flatMap(
      ([routeKey, { ThrottlingRateLimit: rate, ThrottlingBurstLimit: burst }]) =>
        rate === undefined || burst === undefined ? [] : [[routeKey, { rate, burst }] as const],
    ),
  );

/**
 * Returns a token bucket like that of API Gateway. It starts with `burst` tokens and gets `rate` per second; each
 * request takes one.
 *
 * @param now milliseconds, by a monotonic clock
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
