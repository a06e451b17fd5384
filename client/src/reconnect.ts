import type { Settings } from './options.ts';
import { longestWait } from './timing.ts';

/* Decides when to open the next socket, and whether to use a new token. Pure. */

/** In milliseconds. A socket that lasts this long resets the backoff. */
const GOOD_MS = 10_000;
/** The maximum wait while nothing responds, in milliseconds. After an outage, clients return within 5 seconds. */
const UNREACHABLE_MAX_MS = 4_000;
/** How long before its token expires a socket is replaced, in milliseconds. At most half of the token's lifetime. */
const RENEW_MS = 30_000;
/**
 * The minimum time between two renewals, in milliseconds. With a clock that is far ahead, every token would seem to
 * expire at once.
 */
const MIN_RENEW_MS = 30_000;
/** Without a response of the HTTP API, every nth attempt uses a new token. */
const BLIND_REFRESH = 4;

export type TokenState = 'good' | 'refused' | 'busy' | 'unreachable' | 'unknown';

/** The result of an attempt to open and keep a socket. */
export type Outcome =
  /**
   * The socket was open for `lastedMs`. `planned`: the service closed it, for example because a room ended. `renew`:
   * its token has expired, or is about to.
   */
  | { readonly kind: 'lost'; readonly lastedMs: number; readonly planned: boolean; readonly renew: boolean }
  /** The socket was not opened. `token`: the HTTP API's answer about the token. */
  | { readonly kind: 'failed'; readonly token: TokenState };

export interface NextAttempt {
  /** Failures in a row. */
  readonly failures: number;
  /** Whether to ask for a new token. */
  readonly refresh: boolean;
  /** The maximum wait, in milliseconds. The actual wait is random between 0 and this. */
  readonly longestMs: number;
}

/** Returns the next step after an attempt. `refreshed`: the attempt used a new token. */
export function nextAttempt(
  failures: number,
  refreshed: boolean,
  outcome: Outcome,
  { reconnectInitialMs: initial, reconnectMaxMs: max }: Pick<Settings, 'reconnectInitialMs' | 'reconnectMaxMs'>,
): NextAttempt {
  const wait = (refresh: boolean, n = failures, longest = max): NextAttempt => ({
    failures: n + 1,
    refresh,
    longestMs: longestWait(n, initial, longest),
  });
  const atOnce: NextAttempt = { failures: failures + 1, refresh: true, longestMs: 0 };
  if (outcome.kind === 'lost') {
    const { lastedMs, planned, renew } = outcome;
    if (planned) return { ...wait(renew, 0), failures: 0 };
    const isGood = lastedMs >= GOOD_MS;
    if (renew && (isGood || failures === 0)) return isGood ? { ...atOnce, failures: 0 } : atOnce;
    return wait(renew, isGood ? 0 : failures);
  }
  if (outcome.token === 'refused') return refreshed ? wait(true) : atOnce;
  if (outcome.token === 'good' || outcome.token === 'busy') return wait(false);
  const isBlindRefresh = failures % BLIND_REFRESH === 0;
  return wait(isBlindRefresh, failures, outcome.token === 'unreachable' ? Math.min(max, UNREACHABLE_MAX_MS) : max);
}

/**
 * Returns after how many milliseconds to replace a socket whose token is valid for `lifeMs` more. Undefined if no
 * renewal can be planned. `hasty`: the previous socket was replaced within MIN_RENEW_MS.
 */
export function renewAfter(lifeMs: number, hasty: boolean): number | undefined {
  // By the client's clock, the token has expired, but the service has just accepted it.
  if (!(lifeMs > 0)) return undefined;
  return Math.max(lifeMs - Math.min(RENEW_MS, lifeMs / 2), hasty ? MIN_RENEW_MS : 0);
}

/** Returns whether a socket was replaced so soon that it must not happen again. */
export const isHasty = (lastedMs: number): boolean => lastedMs < MIN_RENEW_MS;
