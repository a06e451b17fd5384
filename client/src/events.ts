import { messageOf } from './errors.ts';

/** What listeners of each event are called with. */
type EventMap = { readonly [name: string]: readonly unknown[] };
type Listener<Args extends readonly unknown[]> = (...args: Args) => void;

export interface Emitter<Events extends EventMap> {
  /** Calls `listener` with every event of that name from now on. The function that it returns ends that. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void;
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void;
}

/** A listener that throws harms neither the others nor us: its error is reported as one that nobody caught. */
function report(error: unknown): void {
  const { reportError } = globalThis as { readonly reportError?: (error: unknown) => void };
  if (reportError) reportError(error);
  else console.error(`A listener of @rooms/client threw: ${messageOf(error)}`, error);
}

export function emitter<Events extends EventMap>(): Emitter<Events> {
  const listeners: { [Name in keyof Events]?: Set<Listener<Events[Name]>> } = {};
  return {
    on(name, listener) {
      // The same function twice is two subscriptions.
      const own: typeof listener = (...args) => listener(...args);
      const all = listeners[name] ?? new Set();
      listeners[name] = all;
      all.add(own);
      return () => void all.delete(own);
    },
    emit(name, ...args) {
      for (const listener of [...(listeners[name] ?? [])]) {
        try {
          listener(...args);
        } catch (error) {
          report(error);
        }
      }
    },
  };
}

export interface Feed<Item> {
  push(item: Item): void;
  /** What was pushed is still given out, then the iterator is done. */
  end(): void;
  readonly iterator: AsyncIterableIterator<Item, undefined>;
}

/** Items that are pushed here come out of an async iterator. `onReturn` is called when its reader stops reading. */
export function feed<Item>(onReturn: () => void): Feed<Item> {
  const items: Item[] = [];
  const readers: ((result: IteratorResult<Item, undefined>) => void)[] = [];
  let ended = false;
  const end = () => {
    ended = true;
    for (const read of readers.splice(0)) read({ value: undefined, done: true });
  };
  const iterator: AsyncIterableIterator<Item, undefined> = {
    [Symbol.asyncIterator]: () => iterator,
    next() {
      const [item] = items;
      if (items.length > 0) {
        items.shift();
        return Promise.resolve({ value: item as Item, done: false });
      }
      if (ended) return Promise.resolve({ value: undefined, done: true });
      return new Promise((resolve) => readers.push(resolve));
    },
    return() {
      items.length = 0;
      end();
      onReturn();
      return Promise.resolve({ value: undefined, done: true });
    },
  };
  return {
    push(item) {
      if (ended) return;
      const read = readers.shift();
      if (read) read({ value: item, done: false });
      else items.push(item);
    },
    end,
    iterator,
  };
}
