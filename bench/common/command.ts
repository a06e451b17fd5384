import { UsageError } from '../../tools/cli/usage-error.ts';

/** Runs a benchmark and prints its result. A usage error is printed as one line, with exit code 2. */
export async function main(run: () => Promise<string>): Promise<void> {
  try {
    console.log(await run());
  } catch (error) {
    const usage = error instanceof UsageError;
    console.error(usage ? error.message : error);
    process.exitCode = usage ? 2 : 1;
  }
}

/** Prints progress to standard error, because standard output is for the result. */
export const say = (text: string): void => console.error(text);

/** Parses an option with whole numbers, separated by commas. @throws UsageError if it is invalid */
export function numbers(option: string, value: string, min: number, max: number): number[] {
  const all = value.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
  if (all.every((each) => Number.isInteger(each) && each >= min && each <= max)) return all;
  throw new UsageError(
    `--${option} takes whole numbers from ${min} to ${max}, not "${value}"; for the options, use --help.`,
  );
}

/** Parses an option with one whole number. @throws UsageError if it is invalid */
export function number(option: string, value: string, min: number, max: number): number {
  const [first, ...more] = numbers(option, value, min, max);
  if (first === undefined || more.length > 0) throw new UsageError(`--${option} takes one number, not "${value}"`);
  return first;
}
