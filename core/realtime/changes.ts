import type { RoomEvent } from '../contract/realtime.ts';
import { agendaOf, isTooLate, sameAgenda, samePlan } from '../rules/agenda.ts';
import { roomStatus } from '../rules/room.ts';
import type { Timestamp } from '../rules/time.ts';
import type { WarnedItem } from '../store/agenda.ts';
import {
  type ConnectionItem,
  type ParticipantItem,
  type RoomItem,
  toAddedParticipant,
  toRoom,
} from '../store/items.ts';
import type { Moment } from './schedule.ts';

/*
 * Computes the effects of changes to a room's items. A stream record only says which item to read, and the current item
 * determines the effects. This module is pure: it does no I/O. See
 * docs/decisions/0010-stream-records-say-where-to-look.md.
 */

export type Effect =
  | { readonly kind: 'event'; readonly event: RoomEvent }
  /**
   * Connections of a removed participant, or in an ended room. Each receives the event, if there is one, and is closed.
   */
  | {
      readonly kind: 'close';
      readonly room_id: string;
      readonly participant_id: string;
      readonly connections: readonly string[];
      readonly event: RoomEvent | undefined;
    }
  /**
   * A change of a user's own participation, for the connections that subscribed to the user. Connections that receive
   * it through the room are excluded.
   */
  | {
      readonly kind: 'notify';
      readonly participant_id: string;
      readonly event: RoomEvent;
      readonly except: readonly string[];
    }
  /** The room has ended: all of its connections are closed. */
  | { readonly kind: 'close_room'; readonly room_id: string }
  /** A time of the room has changed, so its schedule must be updated. */
  | { readonly kind: 'schedule'; readonly moment: Moment }
  /** The item of a connection has expired: API Gateway never reported its disconnect. */
  | {
      readonly kind: 'expired';
      readonly room_id: string;
      readonly participant_id: string;
      readonly connection_id: string;
    }
  /** Some connections of the room could not be closed and were marked. Closing them is retried. */
  | { readonly kind: 'disconnect' }
  /**
   * A participant has lost the last connection. A check after the grace period finds out whether they have returned.
   */
  | {
      readonly kind: 'absence';
      readonly room_id: string;
      readonly participant_id: string;
      readonly left_at: Timestamp;
    }
  /** A participant has a new connection, so checks of the participant's connections must be queued. */
  | { readonly kind: 'liveness'; readonly room_id: string; readonly participant_id: string };

export interface Change<Item> {
  readonly old?: Item | undefined;
  readonly new?: Item | undefined;
}

/** A stream record of an item of a room. */
export type RoomChange =
  | { readonly of: 'room'; readonly change: Change<RoomItem> }
  | { readonly of: 'participant'; readonly participant_id: string; readonly change: Change<ParticipantItem> }
  /** The item of a connection, deleted by DynamoDB's time to live. */
  | { readonly of: 'expired_connection'; readonly connection: ConnectionItem }
  /** A warning's mark was stored. */
  | { readonly of: 'warned'; readonly warned: WarnedItem }
  /** An announcement's mark was stored, together with its message. */
  | { readonly of: 'announced' }
  /** A mark of connections that could not be closed was stored. */
  | { readonly of: 'mark' };

/** The current items that the changes refer to. */
export interface Present {
  readonly room: RoomItem | undefined;
  /** By user ID. */
  readonly participants: ReadonlyMap<string, ParticipantItem>;
  /** When users left by themselves, by user ID. */
  readonly left: ReadonlyMap<string, Timestamp>;
  /** IDs of connections whose item expired, but who have a new item now. */
  readonly connections: ReadonlySet<string>;
}

/**
 * Returns the effects of changes of one room that arrived together, without duplicates. Events contain current data, so
 * several changes of one thing become one event.
 */
export function effectsOf(changes: readonly RoomChange[], present: Present, now: Timestamp): Effect[] {
  const effects = changes.flatMap((each) => {
    if (each.of === 'room') return roomChanged(each.change, present.room, now);
    if (each.of === 'participant') {
      const item = present.participants.get(each.participant_id);
      return [
        ...participantChanged(each.change, item, now, present.left.get(each.participant_id)),
        ...joinedTooLate(each.change, item, present.room, now),
      ];
    }
    if (each.of === 'mark') return [{ kind: 'disconnect' as const }];
    if (each.of === 'announced') return [NEXT];
    if (each.of === 'warned') return [...warningOf(each.warned, present.room, now), NEXT];
    return connectionExpired(each.connection, present.connections);
  });
  return [...new Map(effects.map((effect) => [JSON.stringify(effect), effect])).values()];
}

const eventEffect = (event: RoomEvent): Effect => ({ kind: 'event', event });

/** Whether a change affects the schedule `next`. If no item of the agenda is left, the schedule is deleted. */
const agendaChanged = (old: RoomItem | undefined, changed: RoomItem): boolean =>
  !(old && sameAgenda(old, changed)) && [old, changed].some((room) => room && agendaOf(room).length > 0);

/** An item of the agenda is done, so the schedule must be set to the next one. */
const NEXT: Effect = { kind: 'schedule', moment: 'next' };

/** Returns the event of a warning, unless the end has moved in the meantime, or the warning is too late. */
function warningOf({ ends_at, seconds_left, at }: WarnedItem, room: RoomItem | undefined, now: Timestamp): Effect[] {
  if (!room || room.end_time !== ends_at || roomStatus(room, now) !== 'started' || isTooLate(at, now)) return [];
  const data = { ends_at, seconds_left };
  return [eventEffect({ type: 'room_ending', room_id: room.room_id, sent_at: now, data })];
}

const ROOM_FIELDS = ['name', 'description', 'start_time', 'end_time', 'end_reason', 'posting', 'metadata'] as const;

/**
 * Returns the effects of a change of a room's item. `room` is the current item.
 *
 * A future start or end gets a schedule, which announces it. If a start or end is already past when the record is read,
 * no schedule can be created. It is then announced here, if the room has the corresponding status now.
 */
export function roomChanged(
  { old, new: changed }: Change<RoomItem>,
  room: RoomItem | undefined,
  now: Timestamp,
): Effect[] {
  if (!changed || !room) return [];
  const { room_id } = room;
  const about = { room_id, sent_at: now };
  const data = toRoom(room, now);
  const before = old ? roomStatus(old, changed.updated_at) : roomStatus(changed, changed.created_at);
  const newStart = old?.start_time !== changed.start_time;
  const newEnd = old?.end_time !== changed.end_time;
  const started =
    newStart && before === 'booked' && data.status === 'started'
      ? [eventEffect({ type: 'room_started', ...about, data })]
      : [];
  const ended: Effect[] =
    newEnd && data.status === 'ended'
      ? [eventEffect({ type: 'room_ended', ...about, data }), { kind: 'close_room', room_id }]
      : [];
  // The schedule of an unchanged time is not written, because it may be about to fire.
  const schedules: Effect[] = [
    ...(newStart && (old || changed.start_time > changed.created_at)
      ? [{ kind: 'schedule' as const, moment: 'start' as const }]
      : []),
    ...(newEnd ? [{ kind: 'schedule' as const, moment: 'end' as const }] : []),
    ...(agendaChanged(old, changed) ? [NEXT] : []),
  ];
  if (!old) return [eventEffect({ type: 'room_created', ...about, data }), ...schedules, ...started, ...ended];

  const rights: Effect[] = [...old.admins.symmetricDifference(changed.admins)].map((participant_id) =>
    eventEffect({
      type: 'participant_updated',
      ...about,
      data: { participant_id, is_admin: room.admins.has(participant_id) },
    }),
  );
  if (!ROOM_FIELDS.some((field) => old[field] !== changed[field]) && samePlan(old, changed)) return rights;
  return [
    ...rights,
    ...schedules,
    ...(ended.length > 0 ? ended : [eventEffect({ type: 'room_updated', ...about, data }), ...started]),
  ];
}

/**
 * Returns the effects of a change of a participant's item. `item` is the current item, or undefined if the user is not
 * a participant. No event is sent about an outdated state, because a later record describes the current one.
 *
 * @param left_at when the user last left by themselves, if within a day
 */
export function participantChanged(
  { old, new: changed }: Change<ParticipantItem>,
  item: ParticipantItem | undefined,
  now: Timestamp,
  left_at?: Timestamp,
): Effect[] {
  const known = item ?? changed ?? old;
  if (!known) return [];
  const { room_id, participant_id } = known;
  const about = { room_id, sent_at: now };

  const wasPresent = old?.present ?? false;
  const becamePresent = changed?.present ?? false;
  const presence: Effect[] =
    wasPresent !== becamePresent && becamePresent === (item?.present ?? false)
      ? [
          eventEffect({
            type: becamePresent ? 'peer_joined' : 'peer_left',
            ...about,
            data: { participant_id, username: known.username ?? null },
          }),
        ]
      : [];

  if (!changed) {
    const removed: RoomEvent = {
      type: 'participant_removed',
      ...about,
      // A user who left, was added again and then removed counts as removed.
      data: { participant_id, reason: left_at && old && left_at >= old.added_at ? 'left' : 'removed' },
    };
    // A user who was added again may have joined again, on the same connection.
    const connections = [...(old?.connections ?? new Set<string>()).difference(item?.connections ?? new Set())];
    return [
      ...presence,
      ...(item
        ? []
        : [eventEffect(removed), { kind: 'notify' as const, participant_id, event: removed, except: connections }]),
      ...(connections.length > 0
        ? [{ kind: 'close' as const, room_id, participant_id, connections, event: item ? undefined : removed }]
        : []),
    ];
  }
  if (!item) return presence;

  const profile = toAddedParticipant(participant_id, item);
  const event: RoomEvent = { type: 'participant_added', ...about, data: profile };
  const added: Effect[] = old ? [] : [eventEffect(event), { kind: 'notify', participant_id, event, except: [] }];
  const username = old?.username !== changed.username;
  const archived = (old?.archive_room ?? false) !== (changed.archive_room ?? false);
  const role = old?.role !== changed.role;
  const updated =
    old && (username || archived || role)
      ? [
          eventEffect({
            type: 'participant_updated',
            ...about,
            data: {
              participant_id,
              ...(username && { username: profile.username }),
              ...(archived && { archive_room: profile.archive_room }),
              ...(role && { role: profile.role }),
            },
          }),
        ]
      : [];
  const read: Effect[] =
    old && item.read_to !== undefined && old.read_to !== changed.read_to
      ? [
          {
            kind: 'notify',
            participant_id,
            event: { type: 'read', ...about, data: { participant_id, read_to: item.read_to } },
            except: [],
          },
        ]
      : [];
  const lostLast = old?.connections?.size && !changed.connections?.size;
  const absence: Effect[] =
    lostLast && item.present && !item.connections?.size && item.left_at
      ? [{ kind: 'absence', room_id, participant_id, left_at: item.left_at }]
      : [];
  const gained = (changed.connections ?? new Set<string>()).difference(old?.connections ?? new Set()).size > 0;
  const liveness: Effect[] =
    gained && item.present && item.connections?.size ? [{ kind: 'liveness', room_id, participant_id }] : [];
  return [...added, ...updated, ...read, ...presence, ...absence, ...liveness];
}

const NO_CONNECTIONS: ReadonlySet<string> = new Set();

/**
 * Returns the effects of a join that was stored after the room had ended. `item` and `room` are the current items. This
 * happens if the join read the room before the end, or with a clock that is behind. The function that closed the room's
 * connections did not find this one.
 */
function joinedTooLate(
  { old, new: changed }: Change<ParticipantItem>,
  item: ParticipantItem | undefined,
  room: RoomItem | undefined,
  now: Timestamp,
): Effect[] {
  if (!item || !room || roomStatus(room, now) !== 'ended') return [];
  const joined = (changed?.connections ?? new Set<string>()).difference(old?.connections ?? NO_CONNECTIONS);
  const connections = [...joined.intersection(item.connections ?? NO_CONNECTIONS)];
  if (connections.length === 0) return [];
  const { room_id, participant_id } = item;
  const event: RoomEvent = { type: 'room_ended', room_id, sent_at: now, data: toRoom(room, now) };
  return [{ kind: 'close', room_id, participant_id, connections, event }];
}

/**
 * Returns the effects of an expired connection item that DynamoDB has deleted. API Gateway reports most disconnects,
 * but does not guarantee it.
 */
const connectionExpired = (
  { room_id, participant_id, connection_id }: ConnectionItem,
  joinedAgain: ReadonlySet<string>,
): Effect[] => (joinedAgain.has(connection_id) ? [] : [{ kind: 'expired', room_id, participant_id, connection_id }]);
