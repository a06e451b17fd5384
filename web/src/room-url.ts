const ROOM_HASH = /^#\/room\/([0-9a-f-]{36})$/i;
/** Returns the ID of the room in the page's URL. */
export const roomInUrl = (): string | undefined => ROOM_HASH.exec(location.hash)?.[1]?.toLowerCase();

/** Shows a room, or the list if undefined, and adds an entry to the browser's history. */
export const showRoom = (roomId: string | undefined): void => {
  location.hash = roomId ? `#/room/${roomId}` : '#/';
};
