import type { Context } from 'aws-lambda';

/**
 * Sends a request to a connection, and observes its start and end.
 *
 * @param isLong whether to wait longer for a response, because the client would notice a repetition. Default: false
 */
export type Watch = <T>(request: () => Promise<T>, isLong?: boolean) => Promise<T>;

/** The time until which a function may work. Recording what is left after it also needs time: see `RESERVE_MS`. */
export interface Deadline {
  /** Aborts at the deadline. Pass it to every request and every wait. */
  readonly signal: AbortSignal;
  /** Returns the milliseconds that are left, negative after the deadline. */
  leftMs(): number;
  /** Wraps each request to a connection. Undefined if the work waits for connections that do not respond. */
  readonly watch?: Watch;
}

/**
 * The part of a function's time that is reserved for the work after its deadline, in milliseconds: the response, and
 * one write that marks the connections without a delivery. The write includes all attempts of the DynamoDB client,
 * three of two seconds.
 */
export const RESERVE_MS = 10_000;

/** The part of an invocation's context that handlers use. */
export type TimeLeft = Pick<Context, 'getRemainingTimeInMillis'>;

/** Waits, but no longer than until `signal` aborts. Never throws. */
export const wait = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });

/** Returns the deadline that is `ms` milliseconds from now. */
export function deadlineIn(ms: number): Deadline {
  const at = performance.now() + ms;
  return { signal: AbortSignal.timeout(Math.max(0, Math.floor(ms))), leftMs: () => at - performance.now() };
}

/** Returns the deadline of an invocation: `reserveMs` before Lambda ends it. */
export const deadlineOf = (context: TimeLeft, reserveMs = RESERVE_MS): Deadline =>
  deadlineIn(context.getRemainingTimeInMillis() - reserveMs);
