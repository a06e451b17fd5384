import type { Session } from './session.ts';

/** Emulators that a check can run against: ministack, as in test/deploy, or the local stack. */
export type Emulator = 'ministack' | 'local';

/** One row of `npm run verify`. */
export interface Check {
  readonly name: string;
  /** What a passed check proves about the deployment. */
  readonly proves: string;
  /** What the check does. */
  readonly how: string;
  /** The reason why an emulator cannot pass the check. Default: it can. */
  readonly lacks?: { readonly [Name in Emulator]?: string };
  /** The time limit, in seconds. */
  readonly seconds: number;
  /** Whether the check mostly waits and so runs in parallel to the others. Default: false. */
  readonly waits?: boolean;
  /**
   * Runs the check and returns what it measured.
   *
   * @throws NotShown if the target or the given credentials do not allow the check
   */
  readonly run: (session: Session, signal: AbortSignal) => Promise<string>;
}

/** Returns the value below which the share `q` of the samples lies (nearest rank). */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** Formats percentiles like `p50 41 ms, p99 80 ms`. */
export const percentiles = (samples: readonly number[]): string =>
  `p50 ${Math.round(quantile(samples, 0.5))} ms, p99 ${Math.round(quantile(samples, 0.99))} ms`;
