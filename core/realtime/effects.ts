import type { RoomEvent } from '../contract/realtime.ts';
import { dropConnection } from '../store/connections.ts';
import { broadcast, closeRoom } from './broadcast.ts';
import { publish } from './bus.ts';
import type { Effect } from './changes.ts';
import { close } from './gateway.ts';
import { watchAbsence } from './presence.ts';
import { keepInStep } from './schedule.ts';

/**
 * Carries out what the changes of one room's items mean. First all are told, in one go, then connections are closed.
 * Doing it again after a failure is harmless: events say what is, not what to add.
 */
export async function carryOut(room_id: string, effects: readonly Effect[], now: string): Promise<void> {
  const events: RoomEvent[] = effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : []));
  await Promise.all([
    broadcast(room_id, events),
    publish(events),
    ...effects.map((effect) => {
      if (effect.kind === 'schedule') return keepInStep(effect.room, now);
      if (effect.kind === 'presence') return watchAbsence(effect);
      return undefined;
    }),
  ]);
  for (const effect of effects) {
    if (effect.kind === 'close_room') await closeRoom(room_id);
    if (effect.kind === 'close')
      await Promise.all(
        effect.connections.map(async (connection_id) => {
          await dropConnection({ room_id, connection_id, user_id: effect.participant_id, now });
          await close(connection_id);
        }),
      );
  }
}
