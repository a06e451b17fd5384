import type { RoomEvent } from '../contract/realtime.ts';
import type { Timestamp } from '../rules/time.ts';
import { dropConnection } from '../store/connections.ts';
import { inOrder } from '../store/in-order.ts';
import { broadcast, closeRoom } from './broadcast.ts';
import { publish } from './bus.ts';
import type { Effect } from './changes.ts';
import { close } from './gateway.ts';
import { watchAbsence } from './presence.ts';
import { countRooms } from './rooms.ts';
import { keepInStep } from './schedule.ts';

/**
 * Carries out what the changes of one room's items mean. Sockets, bus, schedules and presence do not wait for each other, and
 * one that fails keeps none of the others from being done.
 * Doing it again after a failure is harmless: events say what is, not what to add.
 */
export async function carryOut(room_id: string, effects: readonly Effect[], now: Timestamp): Promise<void> {
  const events: RoomEvent[] = effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : []));
  // Only the last counts: two that are brought in step together could end in either order.
  const schedule = effects.findLast((effect) => effect.kind === 'schedule');
  await inOrder([
    onSockets(room_id, events, effects, now),
    publish(events),
    schedule && keepInStep(schedule.room, now),
    ...effects.map((effect) => (effect.kind === 'presence' ? watchAbsence(effect) : undefined)),
  ]);
  countRooms(events);
}

/** First all are told, in one go, then connections are closed. */
async function onSockets(
  room_id: string,
  events: readonly RoomEvent[],
  effects: readonly Effect[],
  now: Timestamp,
): Promise<void> {
  await broadcast(room_id, events);
  await inOrder(
    effects.map(async (effect) => {
      if (effect.kind === 'close_room') await closeRoom(room_id);
      if (effect.kind === 'expired') await drop(effect.participant_id, effect.connection_id);
      if (effect.kind === 'close')
        await inOrder(
          effect.connections.flatMap((connection_id) => [
            drop(effect.participant_id, connection_id),
            close(connection_id),
          ]),
        );
    }),
  );

  function drop(user_id: string, connection_id: string): Promise<void> {
    return dropConnection({ room_id, connection_id, user_id, now });
  }
}
