import type { Report } from '../cold-start/starts.ts';
import { PRICES } from '../prices.ts';
import { ascending, quantile, rounded } from './numbers.ts';
import { ASSUMPTIONS } from './price-model.ts';

/** A function with so much memory. Milliseconds: lower quartiles, which other processes on the machine disturb less than medians. */
export interface Setting {
  readonly memory: number;
  readonly init: number;
  /** The first request. */
  readonly first: number;
  /** INIT and the first request together: what the user of a cold start waits for. */
  readonly start: number;
  readonly warm: number;
  readonly warmP95: number;
  /** The most that the process has had. */
  readonly used: number;
  /** What Lambda charges for a million requests, of which `coldShare` meet a cold start. INIT is billed. */
  readonly dollars: number;
}

/**
 * Returns what Lambda charges for one request, on average. INIT is billed like any other time since August 2025.
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
 * Returns what was measured with one setting.
 *
 * @param init the function's INIT, which does not depend on its memory
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

/** How much longer than with the fastest setting a function may take. */
const SLACK = 1.1;
/** Milliseconds that nobody notices, and below which times of a measurement differ by chance. */
const UNNOTICED_MS = 1;

/** Returns the cheapest setting with which neither a start nor a warm request takes more than 10 % longer than with the fastest. */
export function cheapestOf(settings: readonly Setting[]): Setting {
  const isFast = (pick: (setting: Setting) => number) => {
    const fastest = Math.min(...settings.map(pick));
    return (setting: Setting) => pick(setting) <= fastest * SLACK + UNNOTICED_MS;
  };
  const [startsFast, runsFast] = [isFast(({ start }) => start), isFast(({ warm }) => warm)];
  const fast = settings.filter((setting) => startsFast(setting) && runsFast(setting));
  // If no setting is fast for both, the largest is chosen.
  const [cheapest] = (fast.length > 0 ? fast : settings.slice(-1)).toSorted((a, b) => a.dollars - b.dollars);
  if (!cheapest) throw new Error('There is no setting to choose from.');
  return cheapest;
}
