import { useEffect, useState } from 'preact/hooks';

/** A value that changes, and its subscribers. */
export interface Store<State> {
  get(): State;
  /** Replaces the value by what `change` makes of it; nobody is told where that is the same value. */
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

/** The value of a store, for as long as the component is shown. */
export function useStore<State>(store: Store<State>): State {
  const [, rerender] = useState({});
  useEffect(() => {
    const listener = (): void => rerender({});
    // It may have changed between the first rendering and now.
    listener();
    return store.subscribe(listener);
  }, [store]);
  return store.get();
}
