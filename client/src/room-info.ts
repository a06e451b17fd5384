import type { MyRoom } from './contract.ts';
import type { RoomEvent } from './socket.ts';

/** Returns the user's room after an event. */
export function withEvent(info: MyRoom, { type, data }: RoomEvent, userId: string | undefined): MyRoom {
  if (type === 'room_updated' || type === 'room_started' || type === 'room_ended') return { ...info, ...data };
  if (type === 'message') {
    const isUnread = data.sender_id !== userId && data.message_id > (info.read_to ?? '');
    return { ...info, last_message_at: data.sent_at, has_unread: info.has_unread || isUnread };
  }
  if (type !== 'participant_updated' || data.participant_id !== userId) return info;
  const {
    username = info.username,
    archive_room = info.archive_room,
    is_admin = info.is_admin,
    role = info.role,
  } = data;
  return { ...info, username, archive_room, is_admin, role };
}

/**
 * Returns a room after its user has read up to a message.
 *
 * @param newest the newest delivered message of others, or an empty string
 */
export function withReadMark(info: MyRoom, read_to: string, newest: string): MyRoom {
  if (read_to <= (info.read_to ?? '')) return info;
  return { ...info, read_to, has_unread: newest > read_to };
}
