import type { RoomSession } from '../room/session.ts';

/** The open rooms: those that are shown, and those with messages that are being sent. */
export interface OpenRooms {
  /** Opens a room, or returns the open one. It stays open at least until `release` is called. */
  view(roomId: string): { readonly session: RoomSession; readonly release: () => void };
  /** Joins the rooms whose join has failed. */
  retryFailed(): void;
  /** Joins a room to which the user was added again. */
  enterAgain(roomId: string): void;
  close(): void;
}

/** Manages the open rooms. `open` opens a room, and calls `onIdle` when nothing is being sent in it. */
export function openRooms(open: (roomId: string, onIdle: () => void) => RoomSession): OpenRooms {
  const rooms = new Map<string, { session: RoomSession; viewers: number }>();

  function closeIfUnused(roomId: string): void {
    const room = rooms.get(roomId);
    if (!room || room.viewers > 0 || room.session.isBusy()) return;
    rooms.delete(roomId);
    room.session.leave();
  }

  return {
    view(roomId) {
      const room = rooms.get(roomId) ?? { session: open(roomId, () => closeIfUnused(roomId)), viewers: 0 };
      rooms.set(roomId, room);
      room.viewers++;
      let released = false;
      return {
        session: room.session,
        release() {
          if (released) return;
          released = true;
          room.viewers--;
          closeIfUnused(roomId);
        },
      };
    },
    retryFailed() {
      for (const { session } of rooms.values()) if (session.store.get().standing.is === 'failed') session.enter();
    },
    enterAgain(roomId) {
      const session = rooms.get(roomId)?.session;
      if (session?.store.get().standing.is === 'removed') session.enter();
    },
    close() {
      for (const { session } of rooms.values()) session.leave();
      rooms.clear();
    },
  };
}
