import { seededRandom } from '../client/faults.ts';

/** Choices that follow from a seed. */
export interface Random {
  /** A number from 0 up to, but not including, 1. */
  next(): number;
  /** A number from `min` up to, but not including, `max`. */
  between(min: number, max: number): number;
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One item of a list. Throws for an empty one. */
  pick<T>(items: readonly T[]): T;
  /** A source of its own: what is drawn from it does not change what is drawn from this one. */
  fork(label: string): Random;
}

/** FNV-1a: mixes a seed with a label. */
function mix(seed: number, label: string): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < label.length; index += 1) hash = Math.imul(hash ^ label.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** Returns the choices of a seed: the same seed gives the same choices. */
export function randomOf(seed: number): Random {
  const next = seededRandom(seed);
  // Similar seeds give similar first numbers.
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
