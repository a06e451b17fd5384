import type { RoomEvent } from '../contract/realtime.ts';
import { pause } from '../platform/abort.ts';
import type { Deadline } from '../platform/deadline.ts';
import { furtherFailure } from '../platform/log.ts';
import { settleAll } from '../platform/settle-all.ts';
import type { AgendaItem } from '../rules/agenda.ts';
import { roomStatus } from '../rules/room.ts';
import type { Timestamp } from '../rules/time.ts';
import { pendingOf, processAgendaItem, recordNothingDue } from '../store/agenda.ts';
import { type RoomItem, toRoom } from '../store/items.ts';
import { roomKey } from '../store/keys.ts';
import { get } from '../store/read.ts';
import { broadcast, closeRoom } from './broadcast.ts';
import { publishAll } from './bus.ts';
import { countRooms } from './room-metrics.ts';
import type { Announcement } from './schedule.ts';

/**
 * How far this machine's clock may be behind the Scheduler's, in milliseconds. AWS keeps its clocks within
 * milliseconds, and a wait of 5 seconds is cheap.
 */
const MAX_LAG_MS = 5_000;
/** A timer may fire a few milliseconds before the time. */
const TIMER_MS = 10;

/** The maximum number of attempts if the room changes while its agenda is processed. */
const AGENDA_ATTEMPTS = 5;

/**
 * Announces that a room has started or ended, unless its times have changed since the schedule was created. For `next`,
 * it processes everything that is due in the room.
 *
 * A schedule that fires early, by this machine's clock, waits for its time.
 *
 * @throws if it fires more than 5 seconds early, so that Lambda retries later
 */
export async function announce({ room_id, moment, time }: Announcement, deadline: Deadline): Promise<void> {
  const early = Date.parse(time) - Date.now();
  if (early > 0 && early <= MAX_LAG_MS) await pause(early + TIMER_MS);

  if (moment === 'next') return processAgenda(room_id, time);
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

/**
 * Processes all warnings and announcements that are due and not done. The marks that it stores reach `room-changes`
 * through the stream. That function sends the warnings, and creates the schedule for the next item.
 */
async function processAgenda(room_id: string, time: Timestamp): Promise<void> {
  for (let attempt = 0; attempt < AGENDA_ATTEMPTS; attempt++) {
    const now = new Date().toISOString();
    const room = await get<RoomItem>(roomKey(room_id));
    if (!room) return;
    const pending = await pendingOf(room, now);
    const due = pending.filter(({ at }) => at <= now);
    if (due.length === 0 && pending.some(({ at }) => at === time))
      throw new Error(`What is due in room ${room_id} at ${time} is done at ${now}.`);
    if (due.length === 0) await recordNothingDue(room_id, time, now);
    if (await processAll(room, due, now)) {
      console.info({ action: 'announce', room_id, moment: 'next', time, done: due.map(({ kind }) => kind) });
      return;
    }
  }
  throw new Error(`Room ${room_id} changes faster than its agenda can be carried out.`);
}

/** Returns false if the room has changed, so that the remaining items must be read again. */
async function processAll(room: RoomItem, due: readonly AgendaItem[], now: Timestamp): Promise<boolean> {
  for (const item of due) if (!(await processAgendaItem(room, item, now))) return false;
  return true;
}
