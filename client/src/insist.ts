import { isRetryable, RoomsApiError, retryAfterOf } from './errors.ts';
import type { Settings } from './options.ts';
import { isFinal } from './room-errors.ts';
import { abortable, backoff, sleep } from './timing.ts';

/** Retries until it succeeds, the signal aborts, or the error is permanent. */
export type Insist = <T>(signal: AbortSignal, attempt: () => Promise<T>) => Promise<T>;

/**
 * Returns a function that retries for a room.
 *
 * @param isPending True until the first join has succeeded, which every error ends that is not retryable
 * @param onRetry Called with each error of the service before a retry
 */
export const insistence =
  (
    { reconnectInitialMs, reconnectMaxMs }: Settings,
    isPending: () => boolean,
    onRetry: (error: RoomsApiError) => void,
  ): Insist =>
  async (signal, attempt) => {
    for (let tried = 0; ; tried++) {
      try {
        return await abortable(attempt(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isFinal(error) || (isPending() && !isRetryable(error))) throw error;
        if (error instanceof RoomsApiError && error.code !== 'connection_lost') onRetry(error);
        await sleep(retryAfterOf(error) + backoff(tried, reconnectInitialMs, reconnectMaxMs), signal);
      }
    }
  };
