import { RoomsApiError } from './errors.ts';

/** Returns the longest wait before a retry, in milliseconds: `initial` · 2^attempt, at most `max`. */
export const longestWait = (attempt: number, initial: number, max: number): number =>
  Math.min(max, initial * 2 ** Math.min(attempt, 30));

/** Returns a wait with full jitter, in milliseconds: anything from 0 to the longest wait. */
export const backoff = (attempt: number, initial: number, max: number): number =>
  Math.random() * longestWait(attempt, initial, max);

/** The longest time of a timer, in milliseconds. Longer ones, and Infinity, would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Returns a promise, and the functions that settle it. */
export function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

/** Resolves after `ms` milliseconds, at most MAX_TIMER_MS. Rejects with the signal's reason when it aborts first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      },
      Math.min(ms, MAX_TIMER_MS),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Returns the result of `promise`. If the signal aborts first, throws its reason and ignores `promise`. */
export function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    // An ignored promise must not cause an unhandled rejection, which would end a Node process.
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * Shares `work` among callers, each until its own signal aborts. A caller that aborts does not affect the others. When
 * all have aborted, `abandon` is called.
 */
export function shared<T>(work: Promise<T>, abandon: () => void): (signal?: AbortSignal) => Promise<T> {
  let waiting = 0;
  let settled = false;
  const settle = () => {
    settled = true;
  };
  work.then(settle, settle);
  return async (signal) => {
    waiting++;
    try {
      return await abortable(work, signal);
    } catch (error) {
      waiting--;
      if (waiting === 0 && !settled) abandon();
      throw error;
    }
  };
}

/** Time limits are options, so that an error can contain the name of the exceeded one. */
export const timeoutError = (what: string, ms: number, option: string, retryable = true): RoomsApiError =>
  new RoomsApiError('timeout', `${what} took longer than ${ms / 1_000} seconds (option ${option}).`, { retryable });

/**
 * Returns a signal that aborts with `error()` after `ms` milliseconds, or with the outer signal's reason. Call `done`
 * at the end.
 */
export function deadline(ms: number, error: () => RoomsApiError, outer?: AbortSignal) {
  const controller = new AbortController();
  const onAbort = () => controller.abort(outer?.reason);
  const restart = () => setTimeout(() => controller.abort(error()), ms);
  let timer = restart();
  if (outer?.aborted) onAbort();
  outer?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    /** Restarts the time. */
    extend(): void {
      clearTimeout(timer);
      timer = restart();
    },
    done(): void {
      clearTimeout(timer);
      outer?.removeEventListener('abort', onAbort);
    },
  };
}

/** Runs `work`, and throws `error()` if it takes longer than `ms` milliseconds. The signal of `work` aborts then. */
export async function within<T>(
  ms: number,
  error: () => RoomsApiError,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const time = deadline(ms, error, signal);
  try {
    return await abortable(work(time.signal), time.signal);
  } finally {
    time.done();
  }
}
