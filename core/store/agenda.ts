import type { Announcement } from '../contract/answers.ts';
import { type AgendaItem, agendaIssues, agendaOf, identityOf, isOver, type Planned } from '../rules/agenda.ts';
import { throwIfInvalid } from '../rules/room.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import type { MessageItem, RoomItem } from './items.ts';
import { announcedKey, type Key, messageKey, roomKey, warnedKey } from './keys.ts';
import { newMessageId } from './message-id.ts';
import { batchGetOrdered, getMany } from './read.ts';
import { transact, type Write } from './write.ts';

/*
 * Warnings and announcements, each done once: the mark of what is done is stored on condition that there is none, and that the room is as
 * it was read. An announcement's message is stored in the same transaction; a warning is sent when the stream brings its mark.
 */

/** Says that a warning of an end was given. */
export interface WarnedItem extends Key {
  room_id: string;
  /** When it was due. */
  at: Timestamp;
  ends_at: Timestamp;
  seconds_left: number;
  /** In epoch seconds. */
  expires_at: number;
}

/** The sender of announcements. A user can have the same ID: `kind` of the message tells them apart. */
const SYSTEM = 'system';

/** How long the mark of a warning is kept after the end that it is about, in seconds. */
const WARNED_SECONDS = 24 * 3_600;

const markKey = (room_id: string, item: AgendaItem): Key =>
  item.kind === 'warning'
    ? warnedKey(room_id, item.ends_at, item.seconds_left)
    : announcedKey(room_id, item.announcement.announcement_id);

/**
 * Returns what is still to be done in a room, by time. Reads the marks of warnings that are due, and of all announcements: one that was sent
 * may be due again, if the end has moved.
 */
export async function pendingOf(room: RoomItem, now: Timestamp): Promise<AgendaItem[]> {
  const items = agendaOf(room).filter((item) => !isOver(item, room, now));
  const keys = items
    .filter(({ kind, at }) => kind === 'announcement' || at <= now)
    .map((item) => markKey(room.room_id, item));
  const marks = keys.length > 0 ? await getMany<Key>(keys, { consistent: true }) : [];
  const done = new Set(marks.map(({ SK }) => SK));
  return items.filter((item) => !done.has(markKey(room.room_id, item).SK));
}

/**
 * Does an item of the room's agenda: stores the message of an announcement, or the mark that a warning follows from.
 *
 * @returns whether it is done, by this call or another. False: the room has changed since it was read.
 */
export async function carryOut(room: RoomItem, item: AgendaItem, now: Timestamp): Promise<boolean> {
  const { room_id, updated_at } = room;
  const unchanged: Write = {
    ConditionCheck: {
      Key: roomKey(room_id),
      ConditionExpression: 'updated_at = :known',
      ExpressionAttributeValues: { ':known': updated_at },
    },
  };
  const put = (attributes: object): Write => ({
    Put: { Item: attributes, ConditionExpression: 'attribute_not_exists(PK)' },
  });
  const mark = { ...markKey(room_id, item), room_id };
  const outcome = await transact([
    unchanged,
    ...(item.kind === 'warning'
      ? [put({ ...mark, ...warningOf(item) })]
      : [put({ ...mark, sent_at: now }), put(messageOf(room_id, item.announcement, now))]),
  ]);
  // A mark that exists is enough, whatever else has changed.
  return outcome.done || outcome.refusals[1]?.refused === true;
}

/**
 * Says that nothing was due when a schedule fired. As with every mark, its record in the stream has the schedule of what comes next created: no
 * schedule that was wrong ends the sequence.
 */
export async function passOn(room_id: string, time: Timestamp, now: Timestamp): Promise<void> {
  const nothing = warningOf({ kind: 'warning', at: time, ends_at: time, seconds_left: 0 });
  const Item = { ...warnedKey(room_id, time, 0), room_id, ...nothing, expires_at: epochSeconds(now) + WARNED_SECONDS };
  await transact([{ Put: { Item } }]);
}

const warningOf = ({ at, ends_at, seconds_left }: AgendaItem & { kind: 'warning' }) => ({
  at,
  ends_at,
  seconds_left,
  expires_at: epochSeconds(ends_at) + WARNED_SECONDS,
});

function messageOf(room_id: string, { announcement_id, message }: Announcement, now: Timestamp): MessageItem {
  const message_id = newMessageId(now);
  return {
    ...messageKey(room_id, message_id),
    room_id,
    message_id,
    sender_id: SYSTEM,
    client_message_id: announcement_id,
    kind: 'system',
    text: message,
    sent_at: now,
  };
}

/** A condition of the write that changes a room. */
interface Guard {
  readonly conditions: readonly string[];
  readonly values: Readonly<Record<string, string>>;
}

const NO_GUARD: Guard = { conditions: [], values: {} };

/**
 * Validates new warnings and announcements with the times of the room, new or stored. Returns the condition that the stored ones are still the
 * same at the write. Reads nothing unless there are any. A caller who is no admin is left to the write, which refuses.
 * @throws `invalid_request`
 */
export async function guardAgenda(
  room_id: string,
  wanted: { [Field in Exclude<keyof Planned, 'updated_at'>]?: Planned[Field] | undefined },
  caller: string,
  now: Timestamp,
): Promise<Guard> {
  const { end_warnings_seconds, announcements } = wanted;
  if (!end_warnings_seconds && !announcements) return NO_GUARD;
  const keys = (announcements ?? []).map(({ announcement_id }) => announcedKey(room_id, announcement_id));
  const [room, ...marks] = await batchGetOrdered<[RoomItem, ...Key[]]>(roomKey(room_id), ...keys);
  if (!room?.admins.has(caller)) return NO_GUARD;
  const sent = new Set(marks.flatMap((mark) => (mark ? [mark.SK] : [])));
  const stored = new Set(room.announcements?.map(identityOf));
  const start_time = wanted.start_time ?? room.start_time;
  const end_time = wanted.end_time === undefined ? room.end_time : wanted.end_time;
  throwIfInvalid(
    agendaIssues({ start_time, end_time, end_warnings_seconds, announcements }, now, (announcement) => {
      const { SK } = announcedKey(room_id, announcement.announcement_id);
      return sent.has(SK) || stored.has(identityOf(announcement));
    }),
  );
  const knowsEnd = wanted.end_time === undefined && room.end_time;
  return {
    conditions: [
      ...(wanted.start_time === undefined ? ['start_time = :known_start'] : []),
      ...(knowsEnd ? ['end_time = :known_end'] : []),
      ...(wanted.end_time === undefined && !room.end_time ? ['attribute_not_exists(end_time)'] : []),
    ],
    values: {
      ...(wanted.start_time === undefined && { ':known_start': room.start_time }),
      ...(knowsEnd && { ':known_end': knowsEnd }),
    },
  };
}
