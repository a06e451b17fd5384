import type { MyRoom } from './contract.ts';
import type { RoomEvent } from './socket.ts';

/** Returns what a user knows of their room after an event. */
export function withEvent(info: MyRoom, { type, data }: RoomEvent, userId: string | undefined): MyRoom {
  if (type === 'room_updated' || type === 'room_started' || type === 'room_ended') return { ...info, ...data };
  if (type !== 'participant_updated' || data.participant_id !== userId) return info;
  const { username = info.username, archive_room = info.archive_room, is_admin = info.is_admin } = data;
  return { ...info, username, archive_room, is_admin };
}
