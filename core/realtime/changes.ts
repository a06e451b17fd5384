import type { RoomEvent } from '../contract/realtime.ts';
import { roomStatus } from '../rules/room.ts';
import type { Timestamp } from '../rules/time.ts';
import { type ConnectionItem, type ParticipantItem, type RoomItem, toProfile, toRoom } from '../store/items.ts';

/*
 * What a change of an item means to the clients of its room. Pure: a stream record in, effects out.
 */

export type Effect =
  | { readonly kind: 'event'; readonly event: RoomEvent }
  /** These connections may no longer listen. */
  | {
      readonly kind: 'close';
      readonly room_id: string;
      readonly participant_id: string;
      readonly connections: string[];
    }
  /** All of the room's connections are to be closed. */
  | { readonly kind: 'close_room'; readonly room_id: string }
  /** The room's times are new. */
  | { readonly kind: 'schedule'; readonly room: RoomItem }
  /** What is known of a connection has expired: API Gateway never said that it is gone. */
  | {
      readonly kind: 'expired';
      readonly room_id: string;
      readonly participant_id: string;
      readonly connection_id: string;
    }
  /** A participant's last connection is gone: see whether they come back. */
  | {
      readonly kind: 'presence';
      readonly room_id: string;
      readonly participant_id: string;
      readonly left_at: Timestamp;
    };

export interface Change<Item> {
  readonly old?: Item | undefined;
  readonly new?: Item | undefined;
}

const event = (event: RoomEvent): Effect => ({ kind: 'event', event });

const ROOM_FIELDS = ['name', 'description', 'start_time', 'end_time', 'end_reason'] as const;

/**
 * Effects of a change of a room's item. A room is never deleted.
 * A time to come gets a schedule, which announces it. One that is the moment of the change, or has come before the change is
 * heard of, is announced here and now: for a time in the past there is no schedule.
 */
export function roomChanged({ old, new: room }: Change<RoomItem>, now: Timestamp): Effect[] {
  if (!room) return [];
  const about = { room_id: room.room_id, sent_at: now };
  const data = toRoom(room, now);
  const before = old ? roomStatus(old, room.updated_at) : roomStatus(room, room.created_at);
  const newStart = old?.start_time !== room.start_time;
  const newEnd = old?.end_time !== room.end_time;
  const started =
    newStart && before === 'booked' && data.status === 'started'
      ? [event({ type: 'room_started', ...about, data })]
      : [];
  const ended: Effect[] =
    newEnd && data.status === 'ended'
      ? [event({ type: 'room_ended', ...about, data }), { kind: 'close_room', room_id: room.room_id }]
      : [];
  const schedule: Effect = { kind: 'schedule', room };
  if (!old)
    return [
      event({ type: 'room_created', ...about, data }),
      ...(room.start_time > room.created_at || room.end_time ? [schedule] : []),
      ...started,
      ...ended,
    ];

  const rights: Effect[] = [...old.admins.symmetricDifference(room.admins)].map((participant_id) =>
    event({
      type: 'participant_updated',
      ...about,
      data: { participant_id, is_admin: room.admins.has(participant_id) },
    }),
  );
  if (!ROOM_FIELDS.some((field) => old[field] !== room[field])) return rights;
  return [
    ...rights,
    ...(newStart || newEnd ? [schedule] : []),
    ...(ended.length > 0 ? ended : [event({ type: 'room_updated', ...about, data }), ...started]),
  ];
}

/** Effects of a change of a participant's item. */
export function participantChanged({ old, new: item }: Change<ParticipantItem>, now: Timestamp): Effect[] {
  const known = item ?? old;
  if (!known) return [];
  const { room_id, participant_id } = known;
  const about = { room_id, sent_at: now };
  const peer = { participant_id, username: known.username ?? null };
  const left = event({ type: 'peer_left', ...about, data: peer });

  if (!item)
    return [
      ...(old?.present ? [left] : []),
      event({ type: 'participant_removed', ...about, data: { participant_id } }),
      ...(old?.connections?.size
        ? [{ kind: 'close' as const, room_id, participant_id, connections: [...old.connections] }]
        : []),
    ];

  const profile = toProfile(participant_id, item);
  const added = old ? [] : [event({ type: 'participant_added', ...about, data: profile })];
  const username = old?.username !== item.username;
  const archived = (old?.archive_room ?? false) !== (item.archive_room ?? false);
  const updated =
    old && (username || archived)
      ? [
          event({
            type: 'participant_updated',
            ...about,
            data: {
              participant_id,
              ...(username && { username: profile.username }),
              ...(archived && { archive_room: profile.archive_room }),
            },
          }),
        ]
      : [];
  const joined = item.present && !old?.present ? [event({ type: 'peer_joined', ...about, data: peer })] : [];
  const gone = old?.present && !item.present ? [left] : [];
  const dropped: Effect[] =
    old?.connections?.size && !item.connections?.size && item.present && item.left_at
      ? [{ kind: 'presence', room_id, participant_id, left_at: item.left_at }]
      : [];
  return [...added, ...updated, ...joined, ...gone, ...dropped];
}

/**
 * Effects of a connection's item that DynamoDB deleted when it had expired. API Gateway says of most connections that they
 * are gone, but promises it of none; without this, the participant would be seen in the room for ever.
 */
export const connectionExpired = ({ old }: Change<ConnectionItem>): Effect[] =>
  old ? [{ kind: 'expired', ...pick(old) }] : [];

const pick = ({ room_id, participant_id, connection_id }: ConnectionItem) => ({
  room_id,
  participant_id,
  connection_id,
});
