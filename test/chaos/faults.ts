import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, type FaultWindow, faultNames } from './plan.ts';
import type { Random } from './random.ts';

/** A fault that was applied. */
export interface Hit {
  /** Milliseconds since the start of the round. */
  readonly at: number;
  readonly fault: Fault;
  readonly what: string;
}

/** The faults of a round, each active as the plan says. */
export interface Faults {
  /** Decides whether a fault applies now. If it does, it is logged with its target. */
  hits(fault: Fault, what: string): boolean;
  /** Logs a fault that always applies. */
  hit(fault: Fault, what: string): void;
  readonly random: Random;
  readonly log: readonly Hit[];
  /** The number of applied faults, by kind. */
  counts(): Readonly<Record<string, number>>;
  /** Disables all faults from now on. */
  stop(): void;
}

/** @param now returns the milliseconds since the start of the round */
export function faultsOf(windows: readonly FaultWindow[], random: Random, now: () => number): Faults {
  const log: Hit[] = [];
  let stopped = false;
  const hit = (fault: Fault, what: string): void => void log.push({ at: now(), fault, what });
  return {
    hits(fault, what) {
      const at = now();
      const window = stopped
        ? undefined
        : windows.find((each) => each.fault === fault && each.from <= at && at < each.to);
      if (!window || !random.chance(window.probability)) return false;
      hit(fault, what);
      return true;
    },
    hit,
    random,
    log,
    counts: () =>
      Object.fromEntries(faultNames.map((name) => [name, log.filter(({ fault }) => fault === name).length])),
    stop() {
      stopped = true;
    },
  };
}

/** No faults, for what happens before and after a round. */
export const noFaults = (random: Random): Faults => faultsOf([], random, () => 0);

export { sleep };
