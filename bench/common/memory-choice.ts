import type { Report } from '../cold-start/starts.ts';
import { PRICES } from '../prices.ts';
import { ascending, quantile, rounded } from './numbers.ts';
import { ASSUMPTIONS } from './price-model.ts';

/**
 * Measurements of a function with this memory, in milliseconds. They are lower quartiles, which are less sensitive to
 * other load than medians.
 */
export interface Setting {
  readonly memory: number;
  readonly init: number;
  /** Duration of the first request. */
  readonly first: number;
  /** Duration of INIT and the first request, for which the user waits at a cold start. */
  readonly start: number;
  readonly warm: number;
  readonly warmP95: number;
  /** The maximum memory of the process. */
  readonly used: number;
  /** Lambda's price of one million requests, including INIT. `coldShare` of the requests have a cold start. */
  readonly dollars: number;
}

/**
 * Returns Lambda's average price of a request. INIT has been billed like all other time since August 2025.
 *
 * @see https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
 */
function priceOf(memory: number, start: number, warm: number): number {
  const { coldShare } = ASSUMPTIONS;
  const ms = coldShare * Math.ceil(start) + (1 - coldShare) * Math.ceil(warm);
  return PRICES.lambdaRequest.dollars + (ms / 1_000) * (memory / 1_024) * PRICES.lambdaGbSecond.dollars;
}

export const lowerQuartile = (times: readonly number[]): number => quantile(ascending(times), 0.25);

/**
 * Returns the measurements with one setting.
 *
 * @param init duration of INIT, which does not depend on the memory
 */
export function settingOf(memory: number, init: number, reports: readonly Report[]): Setting {
  const warmTimes = ascending(reports.flatMap(({ warm }) => warm));
  const first = lowerQuartile(reports.map(({ invoke }) => invoke));
  const warm = quantile(warmTimes, 0.25);
  const start = init + first;
  return {
    memory,
    init: rounded(init, 1),
    first: rounded(first, 1),
    start: rounded(start, 1),
    warm: rounded(warm, 1),
    warmP95: rounded(quantile(warmTimes, 0.95), 1),
    used: rounded(Math.max(...reports.map((report) => report.memory))),
    dollars: rounded(1e6 * priceOf(memory, start, warm), 3),
  };
}

/** The maximum duration, relative to the fastest setting. */
const SLACK = 1.1;
/** Differences below this many milliseconds are measurement noise, and not noticeable. */
const UNNOTICED_MS = 1;

/**
 * Returns the cheapest setting that is at most 10 % slower than the fastest, both for cold starts and for warm
 * requests.
 */
export function cheapestOf(settings: readonly Setting[]): Setting {
  const isFast = (pick: (setting: Setting) => number) => {
    const fastest = Math.min(...settings.map(pick));
    return (setting: Setting) => pick(setting) <= fastest * SLACK + UNNOTICED_MS;
  };
  const [startsFast, runsFast] = [isFast(({ start }) => start), isFast(({ warm }) => warm)];
  const fast = settings.filter((setting) => startsFast(setting) && runsFast(setting));
  // If no setting is fast enough for both, the largest one is chosen.
  const [cheapest] = (fast.length > 0 ? fast : settings.slice(-1)).toSorted((a, b) => a.dollars - b.dollars);
  if (!cheapest) throw new Error('There is no setting to choose from.');
  return cheapest;
}
