const ROOM_HASH = /^#\/room\/([0-9a-f-]{36})$/i;
/** Returns the room that the address of the page names. */
export const roomInUrl = (): string | undefined => ROOM_HASH.exec(location.hash)?.[1]?.toLowerCase();

/** Shows a room, or with undefined the list; the browser's back button goes back. */
export const showRoom = (roomId: string | undefined): void => {
  location.hash = roomId ? `#/room/${roomId}` : '#/';
};
