/**
 * A JSON object that an application attaches to a room or message. The service stores it, and does not interpret it.
 */
export type JsonObject = Readonly<Record<string, unknown>>;

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Whether `test` returns true for a JSON value and everything in it, down to `levels` objects and arrays. False for
 * anything deeper.
 */
function everywhere(value: unknown, levels: number, test: (value: unknown) => boolean): boolean {
  if (!test(value)) return false;
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((each) => everywhere(each, levels - 1, test));
}

/**
 * Whether the depth of objects and arrays is within the limit. Many parsers reject deeper JSON, and serializing it can
 * overflow the stack.
 */
export const isShallow = (value: unknown, levels: number): boolean => everywhere(value, levels, () => true);

/**
 * Whether all numbers are finite: `1e999` is valid JSON, but is parsed as infinity, which JSON cannot represent.
 * Expects a value of limited depth.
 */
export const hasFiniteNumbers = (value: unknown, levels: number): boolean =>
  everywhere(value, levels, (each) => typeof each !== 'number' || Number.isFinite(each));

/**
 * Whether no object has the key `__proto__`, which would change the prototype of objects to which careless receivers
 * copy it.
 */
export const hasSafeKeys = (value: unknown, levels: number): boolean =>
  everywhere(value, levels, (each) => typeof each !== 'object' || each === null || !Object.hasOwn(each, '__proto__'));

/** The size of a value as JSON in UTF-8, in bytes. */
export const jsonBytes = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length;
