import { MAX_PAGE_SIZE, type MyRoom, type RoomsClient } from '../../../client/src/index.ts';
import { createStore, type Store } from '../store.ts';
import { sayError } from './errors.ts';

/** How often the list is read again, in milliseconds: no event says that a room that the user has not joined was renamed or ended. */
const EVERY_MS = 5_000;
/** Pages that a search reads: it covers the newest 2,000 rooms. */
const MAX_PAGES = 10;
/** A room has started or ended for the service too, this long after its time by this machine's clock. */
const AFTER_MS = 300;

export interface RoomListState {
  readonly rooms: readonly MyRoom[] | undefined;
  /** Why the list could not be read the last time. */
  readonly failure: string | undefined;
  readonly hasMore: boolean;
  /** When the reading of these rooms began, in milliseconds since 1970; 0 before the first. */
  readonly readAt: number;
}

export interface RoomList {
  readonly store: Store<RoomListState>;
  refresh(): Promise<void>;
  /** Reads further back, from now on. */
  showMore(): Promise<void>;
  /** Reads all rooms, up to 2,000, for as long as `on`: a search must not miss those that are not shown yet. */
  readAll(on: boolean): void;
  close(): void;
}

/** The user's rooms, newest first, kept up to date until it is closed. */
export function roomList(client: RoomsClient): RoomList {
  const store = createStore<RoomListState>({
    rooms: undefined,
    failure: undefined,
    hasMore: false,
    readAt: 0,
  });
  let pages = 1;
  let all = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let reading: Promise<void> | undefined;
  let again = false;
  let closed = false;

  async function read(): Promise<void> {
    const readAt = Date.now();
    const max = all ? MAX_PAGES : pages;
    try {
      const rooms: MyRoom[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < max && (page === 0 || cursor); page++) {
        const { items, next_cursor } = await client.listRooms({ limit: MAX_PAGE_SIZE, cursor });
        rooms.push(...items);
        cursor = next_cursor ?? undefined;
      }
      const hasMore = cursor !== undefined;
      store.update(() => ({ rooms, failure: undefined, hasMore, readAt }));
    } catch (error) {
      store.update((state) => ({ ...state, failure: sayError(error) }));
    }
  }

  /** Reads once more where it is asked while reading: what was asked for may have changed since. */
  function refresh(): Promise<void> {
    if (reading) {
      again = true;
      return reading;
    }
    clearTimeout(timer);
    reading = (async () => {
      do {
        again = false;
        await read();
      } while (again && !closed);
      reading = undefined;
      if (!closed) timer = setTimeout(onTimer, nextIn(store.get().rooms ?? [], Date.now()));
    })();
    return reading;
  }

  function onTimer(): void {
    // Whoever comes back to the page sees it read anew at once.
    if (!document.hidden) void refresh();
  }
  const onVisible = (): void => {
    if (!document.hidden) void refresh();
  };
  document.addEventListener('visibilitychange', onVisible);
  void refresh();

  return {
    store,
    refresh,
    showMore() {
      pages++;
      return refresh();
    },
    readAll(on) {
      if (on === all) return;
      all = on;
      if (on && store.get().hasMore) void refresh();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
    },
  };
}

/** When to read the list again, in milliseconds: after a while, or when the next of the rooms starts or ends. */
function nextIn(rooms: readonly MyRoom[], now: number): number {
  const times = rooms
    .flatMap(({ status, start_time, end_time }) =>
      status === 'booked' ? [start_time] : status === 'started' && end_time ? [end_time] : [],
    )
    .map((time) => Date.parse(time) + AFTER_MS - now)
    // What is past and still not told, the service sees differently: no reason to hurry.
    .filter((ms) => ms > 0);
  return Math.min(EVERY_MS, ...times);
}
