/** How long to wait before the given attempt (1, 2, …), in milliseconds: exponential, full jitter, at most `max`. */
export const backoffMs = (attempt: number, max = 500): number => Math.random() * Math.min(max, 25 * 2 ** attempt);
