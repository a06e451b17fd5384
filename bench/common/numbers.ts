/** What benchmarks count with. Medians throughout: one run that the machine disturbed must not shift a figure. */

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
export const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
/** The smallest of the sorted numbers that is not below a share `q` (0 to 1) of them. */
export const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
export const median = (numbers: readonly number[]): number => quantile(ascending(numbers), 0.5);
export const rounded = (value: number, digits = 0): number => Math.round(value * 10 ** digits) / 10 ** digits;

/** The same list in an order of chance (Fisher and Yates), so that no two variants always follow each other. */
export function shuffled<T>(list: readonly T[]): T[] {
  const all = [...list];
  for (let n = all.length - 1; n > 0; n--) {
    const other = Math.floor(Math.random() * (n + 1));
    const [a, b] = [all[n], all[other]];
    if (a !== undefined && b !== undefined) [all[n], all[other]] = [b, a];
  }
  return all;
}
