import { wait } from '../platform/deadline.ts';

/*
 * Limits the post rate to the connections of one room, because all rooms of an account share one quota. See
 * docs/decisions/0031-budgets.md.
 */

/** The default quota of an account, in requests per second. In newer regions, it is 2,500. */
const DEFAULT_QUOTA = 10_000;
/** The share of the account's quota that one room may use. */
const SHARE_OF_ROOM = 1 / 4;
/** The posts per second of one invocation with one vCPU (`npm run bench:fanout`, lib/memory.ts). */
const POSTS_OF_INVOCATION = 3_300;
/** The burst without waiting, in milliseconds of the room's rate, so that timers do not delay small rooms. */
const BURST_MS = 20;

const quota = (): number => Number(process.env.API_GATEWAY_QUOTA ?? DEFAULT_QUOTA);

/** Returns the maximum number of posts per second to a room. */
export const postsPerSecondOfRoom = (): number => quota() * SHARE_OF_ROOM;

/**
 * Returns the maximum number of simultaneous fan-out invocations for a room and a process: enough for the room's post
 * rate, and at most 12.
 */
export const invocationsAtOnce = (): number =>
  Math.min(12, Math.max(1, Math.ceil(postsPerSecondOfRoom() / POSTS_OF_INVOCATION)));

/** Waits until `posts` more posts are allowed. */
export type Pace = (posts: number, signal: AbortSignal) => Promise<void>;

/** Returns a limiter for this many posts per second. */
export function paceOf(perSecond: number): Pace {
  /** The time at which all requested posts are allowed, in milliseconds. */
  let due = 0;
  return async (posts, signal) => {
    const now = performance.now();
    const start = Math.max(now, due);
    due = start + (posts * 1_000) / perSecond;
    if (start - now > BURST_MS) await wait(start - now, signal);
  };
}
