import type { MyRoom } from '../../../client/src/index.ts';

export interface RoomFilter {
  /** Every word of it is in the name or the description of a room, or it is the room's ID. */
  readonly text: string;
  readonly status: MyRoom['status'] | 'any';
}

export const NO_FILTER: RoomFilter = { text: '', status: 'any' };

export const isFiltering = ({ text, status }: RoomFilter): boolean => text.trim() !== '' || status !== 'any';

/** Spells a text as searches compare it: without case, and without accents. */
const plain = (text: string): string => text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();

/** The rooms that a filter lets through, in their order. */
export function filterRooms(rooms: readonly MyRoom[], { text, status }: RoomFilter): MyRoom[] {
  const words = plain(text).split(/\s+/).filter(Boolean);
  return rooms.filter((room) => {
    if (status !== 'any' && room.status !== status) return false;
    if (room.room_id === plain(text).trim()) return true;
    // A part of an ID would match by chance: short numbers are in many of them.
    const searched = plain(`${room.name} ${room.description ?? ''}`);
    return words.every((word) => searched.includes(word));
  });
}
