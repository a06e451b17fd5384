import { pause } from '../aws/abort.ts';
import type { RoomEvent } from '../contract/realtime.ts';
import { roomStatus } from '../rules/room.ts';
import { type RoomItem, toRoom } from '../store/items.ts';
import { roomKey } from '../store/keys.ts';
import { get } from '../store/read.ts';
import { settleAll } from '../store/settle-all.ts';
import { broadcast, closeRoom } from './broadcast.ts';
import { publishAll } from './bus.ts';
import type { Deadline } from './deadline.ts';
import { furtherFailure } from './further-failure.ts';
import { countRooms } from './room-metrics.ts';
import type { Announcement } from './schedule.ts';

/**
 * How far this machine's clock may be behind the Scheduler's, in milliseconds. Amazon keeps its clocks within milliseconds of each other;
 * five seconds cost little to wait and leave room for a clock that is off.
 */
const MAX_LAG_MS = 5_000;
/** A timer may fire a millisecond before the clock says so. */
const TIMER_MS = 10;

/**
 * Announces that a room has started or ended, unless its times have changed since the schedule was made.
 *
 * A schedule that fires early, by this machine's clock, waits for its time.
 *
 * @throws when it fires more than five seconds early, so that Lambda invokes the function again later
 */
export async function announce({ room_id, moment, time }: Announcement, deadline: Deadline): Promise<void> {
  const early = Date.parse(time) - Date.now();
  if (early > 0 && early <= MAX_LAG_MS) await pause(early + TIMER_MS);

  const now = new Date().toISOString();
  const room = await get<RoomItem>(roomKey(room_id));
  if (!room) return;
  const status = roomStatus(room, now);
  const current = (moment === 'start' ? room.start_time : room.end_time) === time;
  if (current && now < time)
    throw new Error(`The ${moment} of room ${room_id} is announced at ${now}, before ${time}.`);
  if (!current || status !== (moment === 'start' ? 'started' : 'ended')) {
    console.info({ action: 'announce', room_id, moment, time, skipped: current ? status : 'outdated' });
    return;
  }
  const event: RoomEvent = {
    type: moment === 'start' ? 'room_started' : 'room_ended',
    room_id,
    data: toRoom(room, now),
    sent_at: now,
  };
  const onSockets = async () => {
    const outcome = await broadcast(room_id, [event], { feed: 'changes', source: `${moment} ${time}` }, deadline);
    if (moment === 'end') await closeRoom(room_id, event, outcome, deadline);
  };
  await settleAll([onSockets(), publishAll([event])], furtherFailure(room_id));
  countRooms([event]);
  console.info({ action: 'announce', room_id, moment, time });
}
