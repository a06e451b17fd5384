import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, type FaultWindow, faultNames } from './plan.ts';
import type { Random } from './random.ts';

/** A fault that has hit. */
export interface Hit {
  /** Milliseconds of the round. */
  readonly at: number;
  readonly fault: Fault;
  readonly what: string;
}

/** The faults of a round, on while the plan says so. */
export interface Faults {
  /** Whether a fault hits now. One that does is logged, with what it hits. */
  hits(fault: Fault, what: string): boolean;
  /** Logs a fault that hits for certain. */
  hit(fault: Fault, what: string): void;
  readonly random: Random;
  readonly log: readonly Hit[];
  /** How many there were of each. */
  counts(): Readonly<Record<string, number>>;
  /** From now on, nothing goes wrong. */
  stop(): void;
}

/** @param now milliseconds of the round */
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

/** No faults at all: for what happens before and after a round. */
export const noFaults = (random: Random): Faults => faultsOf([], random, () => 0);

export { sleep };
