import { wait } from '../platform/deadline.ts';

/*
 * How fast the connections of one room are posted to: posts of all rooms share the account's quota of requests to API Gateway. See
 * docs/decisions/0031-budgets.md.
 */

/** What an account may have in a second, unless AWS has raised it. In newer regions, it is 2,500. */
const DEFAULT_QUOTA = 10_000;
/** Of the account's quota. */
const SHARE_OF_ROOM = 1 / 4;
/** What one invocation with a whole processor makes in a second (`npm run bench:fanout`, lib/memory.ts). */
const POSTS_OF_INVOCATION = 3_300;
/** Posts that need not wait, so that timers do not slow down a small room, in milliseconds of its rate. */
const BURST_MS = 20;

const quota = (): number => Number(process.env.API_GATEWAY_QUOTA ?? DEFAULT_QUOTA);

/** Returns how many posts a second a room may take. */
export const postsPerSecondOfRoom = (): number => quota() * SHARE_OF_ROOM;

/**
 * Returns how many fan-out invocations a room, and a process, waits for at the same time: as many as make the posts that a room may take, and twelve
 * at most.
 */
export const invocationsAtOnce = (): number =>
  Math.min(12, Math.max(1, Math.ceil(postsPerSecondOfRoom() / POSTS_OF_INVOCATION)));

/** Waits until so many more posts may be made. */
export type Pace = (posts: number, signal: AbortSignal) => Promise<void>;

/** Returns what lets through so many posts a second. */
export function paceOf(perSecond: number): Pace {
  /** When all posts up to now are due, in milliseconds. */
  let due = 0;
  return async (posts, signal) => {
    const now = performance.now();
    const start = Math.max(now, due);
    due = start + (posts * 1_000) / perSecond;
    if (start - now > BURST_MS) await wait(start - now, signal);
  };
}
