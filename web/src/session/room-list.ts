import { MAX_PAGE_SIZE, type MyRoom, type RoomsClient } from '../../../client/src/index.ts';
import { hubOf } from '../../../client/src/react/index.ts';
import { createStore, type Store } from '../store.ts';
import { sayError } from './errors.ts';

/** Interval between reads of the list, in milliseconds. Rooms that are not joined send no events about changes. */
const EVERY_MS = 5_000;
/** Maximum number of rooms that a search covers. */
const MAX_ROOMS = 2_000;

export interface RoomListState {
  readonly rooms: readonly MyRoom[] | undefined;
  /** The error of the last read, if it failed. */
  readonly failure: string | undefined;
  readonly hasMore: boolean;
}

export interface RoomList {
  readonly store: Store<RoomListState>;
  refresh(): Promise<void>;
  /** Loads older rooms, now and in later reads. */
  showMore(): Promise<void>;
  /** While `on`, loads up to 2,000 rooms, so that a search covers rooms that are not shown yet. */
  readAll(on: boolean): void;
  close(): void;
}

/** Returns the user's rooms, newest first, updated until the list is closed. Adds error texts to the list of `useRooms`. */
export function roomList(client: RoomsClient): RoomList {
  const list = hubOf(client).rooms({ limit: MAX_PAGE_SIZE }, EVERY_MS);
  const store = createStore<RoomListState>({ rooms: undefined, failure: undefined, hasMore: false });
  let all = false;

  function show(): void {
    const { rooms, status, error, hasMore } = list.state;
    if (status === 'loading') return;
    store.update((before) => ({
      rooms: status === 'ready' || before.rooms ? rooms : undefined,
      failure: status === 'failed' ? sayError(error) : undefined,
      hasMore,
    }));
    if (all && hasMore && status === 'ready' && rooms.length < MAX_ROOMS) void list.loadMore();
  }

  const stop = list.subscribe(show);
  show();
  return {
    store,
    refresh: list.refresh,
    showMore: list.loadMore,
    readAll(on) {
      all = on;
      show();
    },
    close: stop,
  };
}
