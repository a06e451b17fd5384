import type { RoomEvent } from '../contract/realtime.ts';
import type { Timestamp } from '../rules/time.ts';
import { dropConnection, recipientsOf } from '../store/connections.ts';
import type { RoomItem } from '../store/items.ts';
import { roomKey } from '../store/keys.ts';
import { get } from '../store/read.ts';
import { settleAll } from '../store/settle-all.ts';
import { broadcast, closeRoom } from './broadcast.ts';
import { publish } from './bus.ts';
import type { Effect } from './changes.ts';
import { type Deadline, wait } from './deadline.ts';
import { expel, onTable } from './deliver.ts';
import { furtherFailure } from './further-failure.ts';
import { ensureChecked } from './liveness.ts';
import { notifyUser } from './notify.ts';
import { queueAbsenceCheck, queueDisconnect } from './presence.ts';
import { countRooms } from './rooms.ts';
import { type Moment, syncSchedules } from './schedule.ts';

export interface Circumstances {
  readonly now: Timestamp;
  /** The ID of the first record of the changes: the same when they are delivered again. */
  readonly source: string;
  readonly deadline: Deadline;
}

/**
 * Applies the effects of changes of one room, where `room` is its item now. Sockets, bus, schedules and presence are independent: a
 * failure of one does not keep the others from being done. Applying effects again after a failure is harmless.
 *
 * @throws the first failure, after everything else has finished.
 */
export async function applyEffects(
  room_id: string,
  room: RoomItem | undefined,
  effects: readonly Effect[],
  { now, source, deadline }: Circumstances,
): Promise<void> {
  const events: RoomEvent[] = effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : []));
  const moments = effects.flatMap((effect) => (effect.kind === 'schedule' ? [effect.moment] : []));
  const work = [
    onSockets(room_id, events, effects, { now, source, deadline }),
    publish(events),
    room && moments.length > 0 && syncWithLatest(room, moments),
    effects.some(({ kind }) => kind === 'disconnect') ? queueDisconnect(room_id) : undefined,
    ...effects.map((effect) => (effect.kind === 'notify' ? notifyUser(effect, source, now, deadline) : undefined)),
    ...effects.map((effect) => {
      if (effect.kind === 'absence') return queueAbsenceCheck(effect);
      return effect.kind === 'liveness'
        ? ensureChecked({ room_id, participant_id: effect.participant_id }, room)
        : undefined;
    }),
  ];
  await settleAll(work, furtherFailure(room_id));
  countRooms(events);
}

/** Far more than the changes that one room's times can get while its schedules are written. */
const SYNC_ATTEMPTS = 5;

/**
 * Brings schedules in step with the room's times, and reads these again afterwards: of two invocations at work at the same
 * time, a redriven record's and a new one's, the one that writes last has then seen the later times.
 */
async function syncWithLatest(room: RoomItem, moments: readonly Moment[]): Promise<void> {
  let known = room;
  for (let attempt = 0; attempt < SYNC_ATTEMPTS; attempt++) {
    await syncSchedules(known, new Date().toISOString(), moments);
    const after = await get<RoomItem>(roomKey(room.room_id));
    if (!after || (after.start_time === known.start_time && after.end_time === known.end_time)) return;
    known = after;
  }
  throw new Error(`The times of room ${room.room_id} change faster than its schedules can follow.`);
}

/** How long others wait until the removed have been closed, in milliseconds: so that these are not sent what the others are. */
const FAREWELL_MS = 1_000;

/**
 * Takes the connections of removed participants out of the room, which are sent nothing but a farewell, then sends the events to all
 * connections, and then takes these out if the room has ended.
 */
async function onSockets(
  room_id: string,
  events: readonly RoomEvent[],
  effects: readonly Effect[],
  { now, source, deadline }: Circumstances,
): Promise<void> {
  const closings = settleAll(
    effects.map((effect) => (effect.kind === 'close' ? farewell(effect) : undefined)),
    furtherFailure(room_id),
  );
  // A failure is thrown below, when all else has been done.
  await Promise.race([closings.catch(() => undefined), wait(FAREWELL_MS, deadline.signal)]);
  const work = [
    toAll(),
    closings,
    ...effects.map((effect) =>
      effect.kind === 'expired' ? drop(effect.participant_id, effect.connection_id) : undefined,
    ),
  ];
  await settleAll(work, furtherFailure(room_id));

  async function toAll(): Promise<void> {
    await broadcast(room_id, events, { feed: 'changes', source }, deadline);
    if (!effects.some(({ kind }) => kind === 'close_room')) return;
    const ended = events.find(({ type }) => type === 'room_ended');
    await closeRoom(room_id, ended, deadline);
  }

  async function farewell({ connections, event }: Effect & { kind: 'close' }): Promise<void> {
    // Those without an item have left the room, or have been taken out of it by a broadcast that saw the removal's mark.
    const recipients = await onTable(() => recipientsOf(room_id, connections));
    await expel(room_id, recipients, event, deadline);
  }

  function drop(user_id: string, connection_id: string): Promise<void> {
    return dropConnection({ room_id, connection_id, user_id, now });
  }
}
