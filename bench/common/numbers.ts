/** Statistics for benchmarks. They use medians, so that one disturbed run does not change a figure. */

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
export const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
/** The smallest of the sorted numbers that is at least as large as the share `q` (0 to 1) of them. */
export const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
export const median = (numbers: readonly number[]): number => quantile(ascending(numbers), 0.5);
export const rounded = (value: number, digits = 0): number => Math.round(value * 10 ** digits) / 10 ** digits;

/** A copy of the list in random order (Fisher–Yates), so that the order of variants does not affect the result. */
export function shuffled<T>(list: readonly T[]): T[] {
  const all = [...list];
  for (let n = all.length - 1; n > 0; n--) {
    const other = Math.floor(Math.random() * (n + 1));
    const [a, b] = [all[n], all[other]];
    if (a !== undefined && b !== undefined) [all[n], all[other]] = [b, a];
  }
  return all;
}
