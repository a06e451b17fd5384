import type { RoomEvent } from '../contract/realtime.ts';
import { count } from '../platform/emf.ts';

/**
 * Counts rooms that were created or ended. Call it after the events were delivered: if delivery fails, the retry counts
 * them.
 */
export function countRooms(events: readonly RoomEvent[]): void {
  const of = (wanted: RoomEvent['type']) => events.filter(({ type }) => type === wanted).length;
  count('events', { RoomsCreated: of('room_created'), RoomsEnded: of('room_ended') });
}
