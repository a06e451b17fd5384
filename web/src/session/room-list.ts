import { MAX_PAGE_SIZE, type MyRoom, type RoomsClient } from '../../../client/src/index.ts';
import { hubOf } from '../../../client/src/react/index.ts';
import { createStore, type Store } from '../store.ts';
import { sayError } from './errors.ts';

/** How often the list is read again, in milliseconds: no event says that a room that the user has not joined was renamed or ended. */
const EVERY_MS = 5_000;
/** Rooms that a search covers. */
const MAX_ROOMS = 2_000;

export interface RoomListState {
  readonly rooms: readonly MyRoom[] | undefined;
  /** Why the list could not be read the last time. */
  readonly failure: string | undefined;
  readonly hasMore: boolean;
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

/** Returns the user's rooms, newest first, kept up to date until the list is closed: the list of `useRooms`, with failures in words. */
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
