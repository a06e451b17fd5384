import { useEffect, useState } from 'preact/hooks';

/** A value that can change, with subscribers. */
export interface Store<State> {
  get(): State;
  /** Replaces the value by the result of `change`. Notifies subscribers only if it is another value. */
  update(change: (state: State) => State): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<State>(initial: State): Store<State> {
  let state = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    update(change) {
      const next = change(state);
      if (next === state) return;
      state = next;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Returns the value of a store, and renders the component again when it changes. */
export function useStore<State>(store: Store<State>): State {
  const [, rerender] = useState({});
  useEffect(() => {
    const listener = (): void => rerender({});
    // The value can have changed since the first rendering.
    listener();
    return store.subscribe(listener);
  }, [store]);
  return store.get();
}
