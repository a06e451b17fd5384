import type { RoomSession } from '../room/session.ts';

/** The rooms that are open: those in view, and those with messages that are still on their way. */
export interface OpenRooms {
  /** Opens a room, or gives the one that is open, until `release` is called. */
  view(roomId: string): { readonly session: RoomSession; readonly release: () => void };
  /** Enters the rooms that could not be entered before. */
  retryFailed(): void;
  /** Enters a room again that the user was removed from and is in now. */
  enterAgain(roomId: string): void;
  close(): void;
}

/** `open` opens a room; it calls its second argument when nothing is being sent in the room. */
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
