/**
 * Returns how long to wait before the given attempt (1, 2, …), in milliseconds: exponential, full jitter, at most
 * half a second.
 */
export const backoffMs = (attempt: number): number => Math.random() * Math.min(500, 25 * 2 ** attempt);
