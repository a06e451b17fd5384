import type { MyRoom } from '../../../client/src/index.ts';

export interface RoomFilter {
  /** The search text. It matches a room if the name or description contains every word, or if it equals the room's ID. */
  readonly text: string;
  readonly status: MyRoom['status'] | 'any';
}

export const NO_FILTER: RoomFilter = { text: '', status: 'any' };

export const isFiltering = ({ text, status }: RoomFilter): boolean => text.trim() !== '' || status !== 'any';

/** Normalizes a text for searches: lower case, without accents. */
const plain = (text: string): string => text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();

/** Returns the rooms that match a filter, in the same order. */
export function filterRooms(rooms: readonly MyRoom[], { text, status }: RoomFilter): MyRoom[] {
  const words = plain(text).split(/\s+/).filter(Boolean);
  return rooms.filter((room) => {
    if (status !== 'any' && room.status !== status) return false;
    if (room.room_id === plain(text).trim()) return true;
    // Only the whole ID matches, because many IDs contain the same short numbers.
    const searched = plain(`${room.name} ${room.description ?? ''}`);
    return words.every((word) => searched.includes(word));
  });
}
