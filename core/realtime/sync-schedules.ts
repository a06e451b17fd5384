import { sameAgenda } from '../rules/agenda.ts';
import type { Timestamp } from '../rules/time.ts';
import { pendingOf } from '../store/agenda.ts';
import type { RoomItem } from '../store/items.ts';
import { roomKey } from '../store/keys.ts';
import { get } from '../store/read.ts';
import { type Announcement, announcementsOf, type Moment, syncSchedules } from './schedule.ts';

/** More than the times of a room can change while its schedules are written. */
const SYNC_ATTEMPTS = 5;

/**
 * Updates the schedules of a room, then reads its times again, and repeats this if they have changed. Two invocations
 * can run at the same time, for example for a redriven and a new record. The last writer then uses the latest times.
 */
export async function syncSchedulesOf(room: RoomItem, moments: readonly Moment[]): Promise<void> {
  let known = room;
  for (let attempt = 0; attempt < SYNC_ATTEMPTS; attempt++) {
    const now = new Date().toISOString();
    await syncSchedules(known, now, moments, undefined, undefined, await announcementsNow(known, now, moments));
    const after = await get<RoomItem>(roomKey(room.room_id));
    if (!after || sameAgenda(after, known)) return;
    known = after;
  }
  throw new Error(`The times of room ${room.room_id} change faster than its schedules can follow.`);
}

/** Like `announcementsOf`, but `next` also includes what is due and not done. Its schedule fires at once. */
export async function announcementsNow(
  room: RoomItem,
  now: Timestamp,
  moments: readonly Moment[],
): Promise<readonly Announcement[]> {
  const others = moments.filter((moment) => moment !== 'next');
  const [next] = moments.includes('next') ? await pendingOf(room, now) : [];
  return [
    ...announcementsOf(room, now, others),
    ...(next ? [{ room_id: room.room_id, moment: 'next' as const, time: next.at }] : []),
  ];
}
