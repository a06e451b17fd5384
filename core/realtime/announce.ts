import type { RoomEvent } from '../contract/realtime.ts';
import { roomStatus } from '../rules/room.ts';
import { inOrder } from '../store/in-order.ts';
import { type RoomItem, toRoom } from '../store/items.ts';
import { roomKey } from '../store/keys.ts';
import { get } from '../store/read.ts';
import { broadcast, closeRoom } from './broadcast.ts';
import { publish } from './bus.ts';
import { countRooms } from './rooms.ts';
import type { Announcement } from './schedule.ts';

/** Tells everybody that a room has started or ended, unless its times have changed since the schedule was made. */
export async function announce({ room_id, moment, time }: Announcement): Promise<void> {
  const now = new Date().toISOString();
  const room = await get<RoomItem>(roomKey(room_id));
  if (!room) return;
  const status = roomStatus(room, now);
  const due =
    moment === 'start'
      ? room.start_time === time && status === 'started'
      : room.end_time === time && status === 'ended';
  if (!due) {
    console.info({ action: 'announce', room_id, moment, time, skipped: status });
    return;
  }
  const event: RoomEvent = {
    type: moment === 'start' ? 'room_started' : 'room_ended',
    room_id,
    data: toRoom(room, now),
    sent_at: now,
  };
  const onSockets = async () => {
    await broadcast(room_id, [event]);
    if (moment === 'end') await closeRoom(room_id);
  };
  await inOrder([onSockets(), publish([event])]);
  countRooms([event]);
  console.info({ action: 'announce', room_id, moment, time });
}
