/** An observable value for React's `useSyncExternalStore`. `state` is a new object after each change. */
export interface ReadableStore<State> {
  readonly state: State;
  /** Calls `listener` after changes, once for simultaneous ones. Returns a function that removes the listener. */
  subscribe(listener: () => void): () => void;
}

export interface Store<State> extends ReadableStore<State> {
  /** Changes the given fields. Has no effect if all of them already have these values. */
  set(change: Partial<State>): void;
}

/**
 * Returns a store.
 *
 * @param onListening called with true when the first listener is added, and with false when the last one is removed
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
 * React can remove and add listeners in quick succession: in StrictMode, and when another page with the same room
 * replaces the current one. So the store stops only after `lingerMs` without a listener.
 *
 * @param initial the state before the start and after the stop
 * @param start called with the first listener. Returns a function that stops the work
 * @param lingerMs in milliseconds
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
