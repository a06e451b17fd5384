/** A short-term cache of this process, by key. */
export interface Recent<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
}

/**
 * Returns a cache. It drops each value after `ms` milliseconds, and all values when it contains `max` of them, so it
 * stays small.
 */
export function recent<Value>(ms: number, max: number): Recent<Value> {
  const entries = new Map<string, { readonly value: Value; readonly until: number }>();
  return {
    get(key) {
      const entry = entries.get(key);
      return entry && entry.until > Date.now() ? entry.value : undefined;
    },
    set(key, value) {
      if (entries.size >= max) entries.clear();
      entries.set(key, { value, until: Date.now() + ms });
    },
  };
}
