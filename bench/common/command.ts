import { UsageError } from '../../tools/cli/usage-error.ts';

/** Runs a benchmark and prints what it answers with. What the user wrote wrongly is said in one line, with exit code 2. */
export async function main(run: () => Promise<string>): Promise<void> {
  try {
    console.log(await run());
  } catch (error) {
    const usage = error instanceof UsageError;
    console.error(usage ? error.message : error);
    process.exitCode = usage ? 2 : 1;
  }
}

/** Progress: not on standard output, which is for the result. */
export const say = (text: string): void => console.error(text);

/** The whole numbers in an option, separated by commas. Throws UsageError for anything else. */
export function numbers(option: string, value: string, min: number, max: number): number[] {
  const all = value.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
  if (all.every((each) => Number.isInteger(each) && each >= min && each <= max)) return all;
  throw new UsageError(
    `--${option} takes whole numbers from ${min} to ${max}, not "${value}"; --help says what there is.`,
  );
}

/** The one whole number in an option. */
export function number(option: string, value: string, min: number, max: number): number {
  const [first, ...more] = numbers(option, value, min, max);
  if (first === undefined || more.length > 0) throw new UsageError(`--${option} takes one number, not "${value}"`);
  return first;
}
