import type { RoomItem } from '../store/items.ts';
import { roomKey } from '../store/keys.ts';
import { get } from '../store/read.ts';
import { type Moment, syncSchedules } from './schedule.ts';

/** Far more than the changes that one room's times can get while its schedules are written. */
const SYNC_ATTEMPTS = 5;

/**
 * Syncs the schedules of a room with its times, and reads the times again afterwards. Two invocations may run at the
 * same time, one for a redriven record and one for a new one: the last writer has then read the latest times.
 */
export async function syncSchedulesOf(room: RoomItem, moments: readonly Moment[]): Promise<void> {
  let known = room;
  for (let attempt = 0; attempt < SYNC_ATTEMPTS; attempt++) {
    await syncSchedules(known, new Date().toISOString(), moments);
    const after = await get<RoomItem>(roomKey(room.room_id));
    if (!after || (after.start_time === known.start_time && after.end_time === known.end_time)) return;
    known = after;
  }
  throw new Error(`The times of room ${room.room_id} change faster than its schedules can follow.`);
}
