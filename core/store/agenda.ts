import type { Announcement } from '../contract/answers.ts';
import { type AgendaItem, agendaIssues, agendaOf, identityOf, isObsolete, type Planned } from '../rules/agenda.ts';
import { throwIfInvalid } from '../rules/room.ts';
import { epochSeconds, type Timestamp } from '../rules/time.ts';
import type { MessageItem, RoomItem } from './items.ts';
import { announcedKey, type Key, messageKey, roomKey, warnedKey } from './keys.ts';
import { newMessageId } from './message-id.ts';
import { batchGetOrdered, getMany } from './read.ts';
import { transact, type Write } from './write.ts';

/*
 * Stores that a warning or an announcement is done. The mark is written only if it does not exist and the room has not
 * changed since the read. An announcement's message is part of the same transaction. A warning is sent when its mark
 * arrives in the stream.
 */

/** The mark of a warning that was sent for an end. */
export interface WarnedItem extends Key {
  room_id: string;
  /** When the announcement was due. */
  at: Timestamp;
  ends_at: Timestamp;
  seconds_left: number;
  /** In epoch seconds. */
  expires_at: number;
}

/** The sender ID of announcements. A user can have the same ID, but `kind` of the message differs. */
const SYSTEM = 'system';

/** How long the mark of a warning is kept after the end that it belongs to, in seconds. */
const WARNED_SECONDS = 24 * 3_600;

const markKey = (room_id: string, item: AgendaItem): Key =>
  item.kind === 'warning'
    ? warnedKey(room_id, item.ends_at, item.seconds_left)
    : announcedKey(room_id, item.announcement.announcement_id);

/**
 * Returns the items of a room's agenda that are not done, by time. Reads the marks of due warnings and of all
 * announcements, because an announcement can be due again after the end has moved.
 */
export async function pendingOf(room: RoomItem, now: Timestamp): Promise<AgendaItem[]> {
  const items = agendaOf(room).filter((item) => !isObsolete(item, room, now));
  const keys = items
    .filter(({ kind, at }) => kind === 'announcement' || at <= now)
    .map((item) => markKey(room.room_id, item));
  const marks = keys.length > 0 ? await getMany<Key>(keys, { consistent: true }) : [];
  const done = new Set(marks.map(({ SK }) => SK));
  return items.filter((item) => !done.has(markKey(room.room_id, item).SK));
}

/**
 * Processes an item of the room's agenda: stores the message of an announcement, or the mark of a warning.
 *
 * @returns whether it is done, by this call or another one. False if the room has changed since it was read
 */
export async function processAgendaItem(room: RoomItem, item: AgendaItem, now: Timestamp): Promise<boolean> {
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
  // An existing mark is enough, even if something else has changed.
  return outcome.done || outcome.refusals[1]?.refused === true;
}

/**
 * Records that a schedule fired when nothing was due. The stream record of this mark creates the next schedule, as for
 * every mark, so that a wrong schedule does not end the sequence.
 */
export async function recordNothingDue(room_id: string, time: Timestamp, now: Timestamp): Promise<void> {
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

/** A condition for the write that changes a room. */
interface Guard {
  readonly conditions: readonly string[];
  readonly values: Readonly<Record<string, string>>;
}

const NO_GUARD: Guard = { conditions: [], values: {} };

/**
 * Validates new warnings and announcements together with the room's times, which may also be new. Returns the condition
 * that the stored values have not changed at the write. Without new values, it reads nothing. For a caller without the
 * admin right, it leaves the rejection to the write. @throws `invalid_request`
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
