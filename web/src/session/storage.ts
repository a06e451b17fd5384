/*
 * Access to the browser's storage. Every value is validated when it is read, because other versions of the page or users can change it.
 * If the browser rejects a write, as in private windows, the value is not kept, and everything else works.
 */

export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
  key(index: number): string | null;
  readonly length: number;
}

/** Returns the storage of this browser, which its tabs share. Undefined if the browser does not allow it. */
export function browserStorage(): KeyValueStorage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}

/** Reads a JSON value. Returns undefined if it is missing or invalid. */
export function readStored<Value>(
  storage: KeyValueStorage | undefined,
  key: string,
  isValid: (value: unknown) => value is Value,
): Value | undefined {
  try {
    const text = storage?.getItem(key);
    const value: unknown = text ? JSON.parse(text) : undefined;
    return isValid(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Writes a JSON value, or removes it if undefined. Returns false if the browser does not store it. */
export function writeStored(storage: KeyValueStorage | undefined, key: string, value: unknown): boolean {
  try {
    if (value === undefined) storage?.removeItem(key);
    else storage?.setItem(key, JSON.stringify(value));
    return storage !== undefined;
  } catch {
    return false;
  }
}

/** Lists the keys that start with `prefix`. */
export function storedKeys(storage: KeyValueStorage | undefined, prefix: string): string[] {
  try {
    return Array.from({ length: storage?.length ?? 0 }, (_, index) => storage?.key(index) ?? '').filter((key) =>
      key.startsWith(prefix),
    );
  } catch {
    return [];
  }
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keeps the newest `max` entries of a record, which lists its entries from the oldest to the newest. */
export const newest = <Value>(record: Readonly<Record<string, Value>>, max: number): Record<string, Value> =>
  Object.fromEntries(Object.entries(record).slice(-max));
