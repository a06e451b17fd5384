import type { KeyValueStorage } from '../../../web/src/session/storage.ts';

/** An in-memory `Storage` like that of browsers. */
export function memoryStorage(): KeyValueStorage {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
    key: (index) => [...values.keys()][index] ?? null,
    get length() {
      return values.size;
    },
  };
}

/** A storage that rejects every access, as in a private window or with a full quota. */
export const refusingStorage: KeyValueStorage = {
  getItem: () => {
    throw new Error('refused');
  },
  setItem: () => {
    throw new Error('refused');
  },
  removeItem: () => {
    throw new Error('refused');
  },
  key: () => null,
  length: 0,
};
