import type { RoomsClient } from '../client.ts';
import type { ListRoomsQuery, MyRoom } from '../contract.ts';
import { MAX_TIMER_MS } from '../timing.ts';
import { lazyStore, type ReadableStore } from './lazy-store.ts';

/** The filter of the list. `limit` is the number of rooms per page. */
export type RoomFilter = Omit<ListRoomsQuery, 'cursor'>;

export interface RoomListState {
  /** Newest first. Unchanged rooms stay the same objects. */
  readonly rooms: readonly MyRoom[];
  /** `loading` until the list was read once. `failed` if the last attempt failed, see `error`. */
  readonly status: 'loading' | 'ready' | 'failed';
  readonly error: unknown;
  /** There are more rooms: call `loadMore`. */
  readonly hasMore: boolean;
}

export interface RoomListStore extends ReadableStore<RoomListState> {
  /** Reads the list again. Never rejects: see `status`. */
  refresh(): Promise<void>;
  /** Reads one more page, also at later reads. Never rejects: see `status`. */
  loadMore(): Promise<void>;
}

export const initialRoomList: RoomListState = { rooms: [], status: 'loading', error: undefined, hasMore: false };

/**
 * Default interval between two reads of a list, in milliseconds. It is necessary because rooms that are not joined send
 * no events.
 */
export const REFRESH_MS = 30_000;
/** How long after a start or end the service is certain to report the new status, in milliseconds. */
const AFTER_MS = 300;

/**
 * Returns the delay before the next read of the list, in milliseconds: the interval, or the time until the next room
 * starts or ends.
 */
export function nextRead(rooms: readonly MyRoom[], now: number, refreshMs: number): number {
  const times = rooms
    .map(({ status, start_time, end_time }) => (status === 'booked' ? start_time : status === 'started' && end_time))
    .map((time) => (time ? Date.parse(time) + AFTER_MS - now : 0))
    // If the status has not changed although the time has passed, the next regular read is early enough.
    .filter((ms) => ms > 0);
  return Math.min(refreshMs, ...times);
}

const isHidden = (): boolean => typeof document !== 'undefined' && document.hidden;

/**
 * Returns the rooms of the user. They are read again when the user is added or removed, when a joined room changes,
 * when a room starts or ends, and after `refreshMs`. Nothing is read while the page is hidden.
 *
 * @param onJoinedChange registers a callback for changes of joined rooms. Returns a function that removes it
 */
export function roomListStore(
  client: RoomsClient,
  filter: RoomFilter,
  refreshMs: number,
  onJoinedChange: (listener: () => void) => () => void,
): RoomListStore {
  let pages = 1;
  let read = (): Promise<void> => Promise.resolve();

  const store = lazyStore<RoomListState>(initialRoomList, (own) => {
    const closing = new AbortController();
    const { signal } = closing;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let reading: Promise<void> | undefined;
    let isStale = false;

    /** Keeps the objects of unchanged rooms, to avoid unnecessary rendering. */
    function merge(found: readonly MyRoom[]): readonly MyRoom[] {
      const before = new Map(own.state.rooms.map((room) => [room.room_id, room]));
      const rooms = found.map((room) => {
        const known = before.get(room.room_id);
        return known && JSON.stringify(known) === JSON.stringify(room) ? known : room;
      });
      const isSame = rooms.length === own.state.rooms.length && rooms.every((room, at) => room === own.state.rooms[at]);
      return isSame ? own.state.rooms : rooms;
    }

    async function readPages(): Promise<void> {
      const found: MyRoom[] = [];
      let cursor: string | undefined;
      try {
        for (let page = 0; page < pages && (page === 0 || cursor); page++) {
          const { items, next_cursor } = await client.listRooms({ ...filter, cursor, signal });
          found.push(...items);
          cursor = next_cursor ?? undefined;
        }
        own.set({ rooms: merge(found), status: 'ready', error: undefined, hasMore: cursor !== undefined });
      } catch (error) {
        if (!signal.aborted) own.set({ status: 'failed', error });
      }
    }

    /** A request during a read causes another read, because the list may have changed in between. */
    read = () => {
      isStale = true;
      clearTimeout(timer);
      reading ??= (async () => {
        while (isStale && !signal.aborted) {
          isStale = false;
          await readPages();
        }
        reading = undefined;
        if (!signal.aborted)
          timer = setTimeout(readIfShown, nextRead(own.state.rooms, Date.now(), Math.min(refreshMs, MAX_TIMER_MS)));
      })();
      return reading;
    };
    function readIfShown(): void {
      if (!isHidden()) void read();
    }

    async function follow(): Promise<void> {
      const connection = await client.connect({ signal });
      const stops = (['subscribed', 'added', 'removed', 'read'] as const).map((name) =>
        connection.on(name, () => void read()),
      );
      signal.addEventListener('abort', () => {
        for (const stop of stops) stop();
      });
      await connection.subscribe({ signal });
    }

    void read();
    // Without a connection, the list is still read at its interval.
    follow().catch(() => {});
    const stopJoined = onJoinedChange(() => void read());
    if (typeof document !== 'undefined') document.addEventListener('visibilitychange', readIfShown, { signal });
    return () => {
      closing.abort();
      clearTimeout(timer);
      stopJoined();
      read = () => Promise.resolve();
      pages = 1;
    };
  });
  return Object.assign(store, {
    refresh: () => read(),
    loadMore() {
      pages++;
      return read();
    },
  });
}
