import type { RoomEvent } from '../contract/realtime.ts';
import { type Deadline, wait } from '../platform/deadline.ts';
import { furtherFailure } from '../platform/log.ts';
import { settleAll } from '../platform/settle-all.ts';
import type { Timestamp } from '../rules/time.ts';
import { dropConnection, recipientsOf } from '../store/connections.ts';
import type { RoomItem } from '../store/items.ts';
import type { DigestItem } from '../store/presence-digest.ts';
import { type Broadcast, broadcast, closeRoom, type Origin, recordBroadcast } from './broadcast.ts';
import { publish } from './bus.ts';
import type { Effect } from './changes.ts';
import { onTable, removeRecipients } from './deliver.ts';
import { isPeerEvent } from './digest-mode.ts';
import { ensureChecked } from './liveness.ts';
import { notifyUser } from './notify.ts';
import { type DeferredEffect, queueAbsenceCheck, queueDisconnect, queueEffect } from './presence.ts';
import { notePresence } from './presence-digest.ts';
import { countRooms } from './room-metrics.ts';
import type { Moment } from './schedule.ts';
import { syncSchedulesOf } from './sync-schedules.ts';

export interface Circumstances {
  readonly now: Timestamp;
  /** The ID of the first stream record of the changes. A repeated delivery has the same ID. */
  readonly source: string;
  /** When the changes were stored, in epoch milliseconds. */
  readonly stored_at: readonly number[];
  /** How presence is sent in this room. Undefined if it is not relevant. */
  readonly digests: DigestItem | undefined;
  readonly deadline: Deadline;
}

/**
 * Applies the effects of changes to one room. `room` is its current item. Sockets, bus, schedules and presence are
 * independent: if one fails, the others are still applied. A failed bus or schedule is retried separately, through the
 * queue. Applying effects again is safe, and sends nothing twice to sockets.
 *
 * @returns what has become of the events on sockets
 * @throws the first failure, after everything else has finished
 */
export async function applyEffects(
  room_id: string,
  room: RoomItem | undefined,
  effects: readonly Effect[],
  { now, source, stored_at, digests, deadline }: Circumstances,
): Promise<Broadcast> {
  const all: RoomEvent[] = effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : []));
  const events = digests?.is_on ? all.filter((event) => !isPeerEvent(event)) : all;
  const changed = digests?.is_on ? all.flatMap(peerOf) : [];
  const moments = effects.flatMap((effect) => (effect.kind === 'schedule' ? [effect.moment] : []));
  const origin: Origin = { feed: 'changes', source, stored_at };
  const sockets = onSockets(room_id, events, effects, origin, now, deadline);
  const others = [
    publishOrLater(events),
    digests && changed.length > 0 && notePresence(room_id, changed, digests, source),
    room && moments.length > 0 && syncOrLater(room, moments),
    effects.some(({ kind }) => kind === 'disconnect') ? queueDisconnect(room_id) : undefined,
    ...effects.map((effect) => (effect.kind === 'notify' ? notifyUser(effect, source, now, deadline) : undefined)),
    ...effects.map((effect) => {
      if (effect.kind === 'absence') return queueAbsenceCheck(effect);
      return effect.kind === 'liveness'
        ? ensureChecked({ room_id, participant_id: effect.participant_id }, room)
        : undefined;
    }),
  ];
  const [onAll] = await Promise.allSettled([settleAll([sockets, ...others], furtherFailure(room_id)), sockets]);
  if (onAll.status === 'fulfilled') {
    countRooms(events);
    return sockets;
  }
  // The batch will be delivered again.
  if (
    await sockets.then(
      () => true,
      () => false,
    )
  )
    await recordBroadcast(room_id, events, origin);
  throw onAll.reason;
}

/** Returns the participant of a presence event. */
const peerOf = (event: RoomEvent): string[] =>
  event.type === 'peer_joined' || event.type === 'peer_left' ? [event.data.participant_id] : [];

/**
 * Queues a retry of only the events that the bus rejected.
 *
 * @throws if the queue fails, too
 */
async function publishOrLater(events: readonly RoomEvent[]): Promise<void> {
  await queueAll((await publish(events)).map((event) => ({ kind: 'publish', event })));
}

/**
 * Queues a retry of only the schedules that failed.
 *
 * @throws if the queue fails, too
 */
async function syncOrLater(room: RoomItem, moments: readonly Moment[]): Promise<void> {
  try {
    await syncSchedulesOf(room, moments);
  } catch (error) {
    furtherFailure(room.room_id)(error);
    await queueAll([{ kind: 'schedules', room_id: room.room_id, moments }]);
  }
}

const queueAll = async (effects: readonly DeferredEffect[]): Promise<void> => {
  await Promise.all(effects.map(queueEffect));
};

/**
 * The maximum wait for closing the connections of removed participants, in milliseconds. Events for the others wait, so
 * that removed participants do not receive them.
 */
const CLOSE_WAIT_MS = 1_000;

/**
 * First removes the connections of removed participants, which receive only their own removal. Then sends the events to
 * all other connections, and finally removes those if the room has ended.
 */
async function onSockets(
  room_id: string,
  events: readonly RoomEvent[],
  effects: readonly Effect[],
  origin: Origin,
  now: Timestamp,
  deadline: Deadline,
): Promise<Broadcast> {
  const closings = settleAll(
    effects.map((effect) => (effect.kind === 'close' ? removeConnections(effect) : undefined)),
    furtherFailure(room_id),
  );
  // The failure is thrown below, after everything else has finished.
  await Promise.race([closings.catch(() => undefined), wait(CLOSE_WAIT_MS, deadline.signal)]);
  const drops = effects.map((effect) =>
    effect.kind === 'expired' ? drop(effect.participant_id, effect.connection_id) : undefined,
  );
  const [outcome] = await settleAll([toAll(), closings, ...drops], furtherFailure(room_id));
  return outcome;

  async function toAll(): Promise<Broadcast> {
    const sent = await broadcast(room_id, events, origin, deadline);
    const ended = events.find(({ type }) => type === 'room_ended');
    if (effects.some(({ kind }) => kind === 'close_room')) await closeRoom(room_id, ended, sent, deadline);
    return sent;
  }

  async function removeConnections({ connections, event }: Effect & { kind: 'close' }): Promise<void> {
    // A connection without an item has left the room, or a broadcast removed it after reading the removal's mark.
    const recipients = await onTable(() => recipientsOf(room_id, connections));
    await removeRecipients(room_id, recipients, event, deadline);
  }

  function drop(user_id: string, connection_id: string): Promise<void> {
    return dropConnection({ room_id, connection_id, user_id, now });
  }
}
