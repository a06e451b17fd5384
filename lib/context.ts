import { closest, distance } from 'fastest-levenshtein';
import { UsageError } from '../tools/cli/usage-error.ts';

/*
 * Reads settings from the CDK's context: `-c key=value` on the command line, and `context` in cdk.json. Every reader
 * returns undefined for a missing key, and throws UsageError for an invalid value.
 */

/** The CDK's context: every key with its value. */
export type Context = Readonly<Record<string, unknown>>;

const refuse = (key: string, wanted: string, value: unknown): never => {
  throw new UsageError(`-c ${key}=… needs ${wanted}, but got ${JSON.stringify(value)}.`);
};

const own = (context: Context, key: string): unknown => (Object.hasOwn(context, key) ? context[key] : undefined);

/** Reads a text. Rejects numbers: `"account": 012345678901` in cdk.json would lose its zero. */
export function text(context: Context, key: string): string | undefined {
  const value = own(context, key);
  if (value === undefined) return undefined;
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : refuse(key, 'a value', value);
}

/** Reads a list of texts separated by commas. `none` is the empty list, if `empty` allows one. */
export function list(context: Context, key: string, { empty }: { empty: boolean }): readonly string[] | undefined {
  const parts = text(context, key)
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  if (parts?.length === 0) throw new UsageError(`-c ${key}=… needs at least one ${key}, separated by commas.`);
  return empty && parts?.length === 1 && parts[0] === 'none' ? [] : parts;
}

/** Reads `true` or `false`. */
export function flag(context: Context, key: string): boolean | undefined {
  const value = own(context, key);
  if (value === undefined || typeof value === 'boolean') return value;
  if (value === 'true') return true;
  return value === 'false' ? false : refuse(key, 'true or false', value);
}

const numberOf = (value: unknown): number =>
  typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : Number.NaN;

/** Reads a number. The range is checked together with the other settings. */
export function number(context: Context, key: string): number | undefined {
  const value = own(context, key);
  if (value === undefined) return undefined;
  const parsed = numberOf(value);
  return Number.isFinite(parsed) ? parsed : refuse(key, 'a number', value);
}

/** Reads a throttle: `<requests per second>,<burst>`, such as `500,1000`. */
export function throttle(context: Context, key: string): { rate: number; burst: number } | undefined {
  const [rate, burst, ...more] = list(context, key, { empty: false })?.map(numberOf) ?? [];
  if (rate === undefined) return undefined;
  if (burst === undefined || more.length > 0 || !Number.isFinite(rate) || !Number.isFinite(burst))
    return refuse(key, 'a rate and a burst, such as 500,1000', own(context, key));
  return { rate, burst };
}

/** Reads numbers by name: `<name>:<number>,…`, such as `announce:50,fan-out:100`, or `none`. */
export function numbersByName(context: Context, key: string): Readonly<Record<string, number>> | undefined {
  const entries = list(context, key, { empty: true })?.map((part): [string, number] => {
    const [name = '', value, ...more] = part.split(':');
    const parsed = numberOf(value);
    if (more.length > 0 || !Number.isFinite(parsed))
      return refuse(key, 'names with numbers, such as announce:50,fan-out:100', own(context, key));
    return [name.trim(), parsed];
  });
  return entries && Object.fromEntries(entries);
}

/** Reads throttles by name: `<name>:<requests per second>:<burst>,…`, such as `createRoom:50:100`, or `none`. */
export function throttlesByName(
  context: Context,
  key: string,
): Readonly<Record<string, { rate: number; burst: number }>> | undefined {
  const entries = list(context, key, { empty: true })?.map((part) => {
    const [name = '', rate, burst, ...more] = part.split(':');
    const throttle = { rate: numberOf(rate), burst: numberOf(burst) };
    if (more.length > 0 || !Number.isFinite(throttle.rate) || !Number.isFinite(throttle.burst))
      return refuse(key, 'names with a rate and a burst, such as createRoom:50:100', own(context, key));
    return [name.trim(), throttle] as const;
  });
  return entries && Object.fromEntries(entries);
}

/** Keys without a colon or a slash that the CDK CLI itself adds to its context. */
const KEYS_OF_THE_CDK = new Set(['acknowledged-issue-numbers', 'cli-telemetry']);

/**
 * Maximum edit distance of a typing error. If no known key is closer, the error lists all keys.
 */
const MAX_MISTAKES = 3;

/**
 * Checks that every key of the context is one of `known`. Keys of the CDK itself (feature flags, lookups) contain a
 * colon or a slash and are ignored.
 *
 * @throws UsageError that names the nearest known key
 */
export function refuseUnknownKeys(context: Context, known: readonly string[]): void {
  for (const key of Object.keys(context)) {
    if (/[:/]/.test(key) || KEYS_OF_THE_CDK.has(key) || known.includes(key)) continue;
    const sameLetters = known.find((each) => each.toLowerCase() === key.toLowerCase());
    const nearest = sameLetters ?? closest(key, [...known]);
    const near = sameLetters !== undefined || distance(key, nearest) <= MAX_MISTAKES;
    throw new UsageError(
      `There is no setting ${JSON.stringify(key)}. ` +
        (near ? `Did you mean -c ${nearest}=…?` : `-c takes ${known.join(', ')}.`),
    );
  }
}
