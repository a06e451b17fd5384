import { RoomsError } from '../contract/errors.ts';

/** How long before the function's own time-out the caller gets `try_again`, in milliseconds: enough to log and to answer. */
const EARLY_MS = 500;

/**
 * Settings of middy for a function that a caller waits for. When the time is nearly over, middy aborts the signal that it gives to the
 * handler, then answers with `try_again`. The handler must run in `abortOn` (core/platform/abort.ts), so that nothing of it goes on after that.
 */
export const EARLY_TIMEOUT = {
  timeoutEarlyInMillis: EARLY_MS,
  timeoutEarlyResponse: (): never => {
    throw new RoomsError('try_again');
  },
};
