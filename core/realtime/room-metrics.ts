import type { RoomEvent } from '../contract/realtime.ts';
import { count } from '../metrics/emf.ts';

/** Counts the rooms that were created and that ended, once everybody has been told: a failure before is told, and counted, later. */
export function countRooms(events: readonly RoomEvent[]): void {
  const of = (wanted: RoomEvent['type']) => events.filter(({ type }) => type === wanted).length;
  count('events', { RoomsCreated: of('room_created'), RoomsEnded: of('room_ended') });
}
