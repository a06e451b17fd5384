/** A value that changes, as React's `useSyncExternalStore` reads it. `state` is a new object after each change. */
export interface ReadableStore<State> {
  readonly state: State;
  /** Calls `listener` after changes: once for all that happen together. Returns a function that removes the listener. */
  subscribe(listener: () => void): () => void;
}

export interface Store<State> extends ReadableStore<State> {
  /** Changes the given fields. Does nothing if all of them have these values already. */
  set(change: Partial<State>): void;
}

/**
 * Returns a store.
 *
 * @param onListening Called with true after the first listener was added, and with false after the last one was removed.
 */
export function createStore<State extends object>(
  initial: State,
  onListening: (isListening: boolean) => void = () => {},
): Store<State> {
  const listeners = new Set<() => void>();
  let state = initial;
  let isDue = false;

  function notify(): void {
    isDue = false;
    for (const listener of [...listeners]) listener();
  }

  return {
    get state() {
      return state;
    },
    set(change) {
      if (Object.entries(change).every(([name, value]) => Object.is(Reflect.get(state, name), value))) return;
      state = { ...state, ...change };
      if (!isDue) queueMicrotask(notify);
      isDue = true;
    },
    subscribe(listener) {
      // The same function may be added twice.
      const own = () => listener();
      listeners.add(own);
      if (listeners.size === 1) onListening(true);
      return () => {
        if (listeners.delete(own) && listeners.size === 0) onListening(false);
      };
    },
  };
}

/**
 * Returns a store that works only while it has listeners.
 *
 * React removes and adds listeners in quick succession: in StrictMode, and when a page is replaced by another one that shows the same
 * room. The store therefore stops only after `lingerMs` without a listener.
 *
 * @param initial State before the start and after the stop.
 * @param start Called with the first listener. Returns what ends the work.
 * @param lingerMs In milliseconds.
 */
export function lazyStore<State extends object>(
  initial: State,
  start: (store: Store<State>) => () => void,
  lingerMs = 0,
): Store<State> {
  let stop: (() => void) | undefined;
  let lingering: ReturnType<typeof setTimeout> | undefined;
  const store = createStore(initial, (isListening) => {
    clearTimeout(lingering);
    if (isListening) stop ??= start(store);
    else
      lingering = setTimeout(() => {
        stop?.();
        stop = undefined;
        store.set(initial);
      }, lingerMs);
  });
  return store;
}
