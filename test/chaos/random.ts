import { seededRandom } from '../client/faults.ts';

/** Random choices that depend only on a seed. */
export interface Random {
  /** A number ≥ 0 and < 1. */
  next(): number;
  /** A number ≥ `min` and < `max`. */
  between(min: number, max: number): number;
  /** A whole number from `min` to `max`, inclusive. */
  int(min: number, max: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One item of a list. @throws if the list is empty */
  pick<T>(items: readonly T[]): T;
  /** Returns an independent random source, which does not affect this one. */
  fork(label: string): Random;
}

/** FNV-1a: mixes a seed with a label. */
function mix(seed: number, label: string): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < label.length; index += 1) hash = Math.imul(hash ^ label.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** Returns the random source of a seed. The same seed gives the same choices. */
export function randomOf(seed: number): Random {
  const next = seededRandom(seed);
  // Skips the first number, because similar seeds have similar ones.
  next();
  const between = (min: number, max: number): number => min + next() * (max - min);
  return {
    next,
    between,
    int: (min, max) => Math.floor(between(min, max + 1)),
    chance: (probability) => next() < probability,
    pick(items) {
      const item = items[Math.floor(next() * items.length)];
      if (item === undefined) throw new Error('There is nothing to pick from.');
      return item;
    },
    fork: (label) => randomOf(mix(seed, label)),
  };
}
