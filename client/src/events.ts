import { messageOf } from './errors.ts';

/** The arguments of the listeners of each event. */
type EventMap = { readonly [name: string]: readonly unknown[] };
export type Listener<Args extends readonly unknown[]> = (...args: Args) => void;

/** Methods to listen to events. An unknown event name throws a TypeError. */
export interface Listening<Events extends EventMap> {
  /** Calls `listener` for every event of that name. Returns a function that removes the listener. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void;
  /** Calls `listener` for the next event of that name. Returns a function that removes the listener. */
  once<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void;
  /** Removes a listener that was added with `on` or `once`. If it was added several times, removes the last one. */
  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void;
}

export interface Emitter<Events extends EventMap> extends Listening<Events> {
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void;
}

/** If a listener throws, its error is reported as uncaught, and affects neither other listeners nor the client. */
function report(error: unknown): void {
  const { reportError } = globalThis as { readonly reportError?: (error: unknown) => void };
  if (reportError) reportError(error);
  else console.error(`A listener of @rooms/client threw: ${messageOf(error)}`, error);
}

export function emitter<Events extends EventMap>(names: readonly (keyof Events & string)[]): Emitter<Events> {
  interface Entry<Name extends keyof Events> {
    readonly listener: Listener<Events[Name]>;
    readonly once: boolean;
  }
  const entries: { [Name in keyof Events]?: Entry<Name>[] } = {};

  function entriesOf<Name extends keyof Events>(name: Name): Entry<Name>[] {
    if (!(names as readonly unknown[]).includes(name))
      throw new TypeError(`There is no event "${String(name)}". The events are: ${names.join(', ')}`);
    const own = entries[name] ?? [];
    entries[name] = own;
    return own;
  }
  function remove<Item>(from: Item[], item: Item | undefined): void {
    const at = item === undefined ? -1 : from.indexOf(item);
    if (at >= 0) from.splice(at, 1);
  }
  function add<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>, once: boolean): () => void {
    const own = entriesOf(name);
    if (typeof listener !== 'function') throw new TypeError(`The listener of "${String(name)}" must be a function`);
    const entry = { listener, once };
    own.push(entry);
    return () => remove(own, entry);
  }
  return {
    on: (name, listener) => add(name, listener, false),
    once: (name, listener) => add(name, listener, true),
    off(name, listener) {
      const own = entriesOf(name);
      remove(
        own,
        [...own].reverse().find((entry) => entry.listener === listener),
      );
    },
    emit(name, ...args) {
      const own = entries[name] ?? [];
      for (const entry of [...own]) {
        if (entry.once) remove(own, entry);
        try {
          entry.listener(...args);
        } catch (error) {
          report(error);
        }
      }
    },
  };
}

export interface Feed<Item> {
  push(item: Item): void;
  /** Ends the iterator after all pushed items. */
  end(): void;
  readonly iterator: AsyncIterableIterator<Item, undefined>;
}

/** Returns an async iterator over the items that are pushed. `onReturn` is called when the reader stops. */
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
