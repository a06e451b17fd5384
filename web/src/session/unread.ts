import type { MyRoom } from '../../../client/src/index.ts';
import { createStore, type Store } from '../store.ts';
import type { RoomList } from './room-list.ts';

/** How long the list can still mark a room as unread after it was read on this page, in milliseconds. */
const LAG_MS = 10_000;

/**
 * Returns the IDs of the rooms to mark as unread.
 *
 * @param open The room that is shown. It is not marked.
 * @param readAt When rooms were read on this page, in milliseconds since 1970.
 */
export function unreadRooms(
  rooms: readonly Pick<MyRoom, 'room_id' | 'has_unread' | 'archive_room'>[],
  open: string | undefined,
  readAt: ReadonlyMap<string, number>,
  now: number,
): ReadonlySet<string> {
  const isRead = (id: string): boolean => id === open || now - (readAt.get(id) ?? 0) < LAG_MS;
  const unread = rooms.filter(
    ({ room_id, has_unread, archive_room }) => has_unread && !archive_room && !isRead(room_id),
  );
  return new Set(unread.map(({ room_id }) => room_id));
}

export interface Unread {
  /** IDs of the rooms with unread messages. */
  readonly store: Store<ReadonlySet<string>>;
  /** Marks a room as read up to a message that the user sees. */
  markRead(roomId: string, messageId: string): void;
  /** Marks a room as unread, because of a message that the user does not see. */
  markUnread(roomId: string): void;
  /** Sets the room that is shown. */
  setOpen(roomId: string | undefined): void;
  close(): void;
}

const isSame = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((id) => b.has(id));

/**
 * Returns the unread marks of one user. Combines those of the service with newer ones of this page.
 *
 * @param mark Sends a read mark to the service.
 */
export function trackUnread(rooms: RoomList, mark: (roomId: string, messageId: string) => void): Unread {
  const store = createStore<ReadonlySet<string>>(new Set());
  const readAt = new Map<string, number>();
  let open: string | undefined;

  function show(): void {
    const list = rooms.store.get().rooms;
    if (!list) return;
    store.update((before) => {
      const found = unreadRooms(list, open, readAt, Date.now());
      const next = open !== undefined && before.has(open) ? new Set([...found, open]) : found;
      return isSame(before, next) ? before : next;
    });
  }

  return {
    store,
    markRead(roomId, messageId) {
      readAt.set(roomId, Date.now());
      if (store.get().has(roomId)) store.update((ids) => new Set([...ids].filter((id) => id !== roomId)));
      mark(roomId, messageId);
    },
    markUnread: (roomId) => store.update((ids) => (ids.has(roomId) ? ids : new Set([...ids, roomId]))),
    setOpen(roomId) {
      open = roomId;
    },
    close: rooms.store.subscribe(show),
  };
}
