import type { Announcement } from '../contract/answers.ts';
import type { Issue } from '../contract/errors.ts';
import { DEFAULT_END_WARNINGS_SECONDS, roomStatus, type Schedule } from './room.ts';
import { plus, type Timestamp } from './time.ts';

/*
 * What the service does in a room at certain times: it warns before the end, and sends announcements. All times follow
 * from the room, and only what is done is stored. See docs/decisions/0052-one-schedule-for-what-is-next.md.
 */

/** The fields of a room that determine its agenda. */
export interface Planned extends Schedule {
  readonly end_warnings_seconds?: readonly number[] | undefined;
  readonly announcements?: readonly Announcement[] | undefined;
  readonly updated_at: Timestamp;
}

export type AgendaItem =
  | { readonly kind: 'warning'; readonly at: Timestamp; readonly ends_at: Timestamp; readonly seconds_left: number }
  | { readonly kind: 'announcement'; readonly at: Timestamp; readonly announcement: Announcement };

/** A warning is not sent if it would be later than this, in milliseconds, because `seconds_left` would be wrong. */
const MAX_WARNING_DELAY_MS = 60_000;
/**
 * How long after the end an announcement that was due before it is still stored, in milliseconds: Scheduler retries for
 * an hour.
 */
const MAX_ANNOUNCEMENT_DELAY_MS = 3_600_000;

/** Returns when an announcement is due. Undefined if it is relative to an end, and the room has none. */
function dueAt({ start_time, end_time }: Schedule, announcement: Announcement): Timestamp | undefined {
  const from = announcement.relative_from === 'start' ? start_time : end_time;
  return from ? plus(from, announcement.relative_time_in_seconds * 1_000) : undefined;
}

/**
 * Returns the agenda of a room, sorted by time. Omits warnings before the start, and everything after the end. An
 * announcement before the start is due at the start. That happens if the end has moved.
 */
export function agendaOf(room: Planned): AgendaItem[] {
  const { start_time, end_time, announcements = [] } = room;
  const warnings = room.end_warnings_seconds ?? DEFAULT_END_WARNINGS_SECONDS;
  const items = [
    ...(end_time
      ? warnings.map((seconds_left): AgendaItem => {
          const at = plus(end_time, -seconds_left * 1_000);
          return { kind: 'warning', at, ends_at: end_time, seconds_left };
        })
      : []),
    ...announcements.flatMap((announcement): AgendaItem[] => {
      const at = dueAt(room, announcement);
      if (at === undefined) return [];
      return [{ kind: 'announcement', at: at > start_time ? at : start_time, announcement }];
    }),
  ];
  return items
    .filter(({ at }) => at >= start_time && (!end_time || at <= end_time))
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

/**
 * Whether an item of an agenda will never be done because the room has ended. An announcement that was due before the
 * end is still stored, because Scheduler may be a minute late. An announcement that a new end has moved into the past
 * is not.
 */
export function isObsolete({ kind, at }: AgendaItem, room: Planned, now: Timestamp): boolean {
  if (roomStatus(room, now) !== 'ended') return false;
  if (kind === 'warning') return true;
  return at < room.updated_at || plus(room.end_time ?? now, MAX_ANNOUNCEMENT_DELAY_MS) < now;
}

/** Whether it is too late for a warning. */
export const isTooLate = (at: Timestamp, now: Timestamp): boolean => plus(at, MAX_WARNING_DELAY_MS) < now;

/** Returns the first item of a room's agenda after a time. */
export const nextAfter = (room: Planned, since: Timestamp, now: Timestamp): AgendaItem | undefined =>
  agendaOf(room).find((item) => item.at > since && !isObsolete(item, room, now));

/** A string that is equal for equal announcements. The table does not preserve the order of fields. */
export const identityOf = ({
  announcement_id,
  message,
  relative_from,
  relative_time_in_seconds,
}: Announcement): string => JSON.stringify([announcement_id, message, relative_from, relative_time_in_seconds]);

/** Whether two versions of a room have the same warnings and announcements, regardless of when they are due. */
export function samePlan(a: Planned, b: Planned): boolean {
  const fields = ({ end_warnings_seconds = DEFAULT_END_WARNINGS_SECONDS, announcements = [] }: Planned) =>
    JSON.stringify([end_warnings_seconds, announcements.map(identityOf)]);
  return fields(a) === fields(b);
}

/** Whether two versions of a room have the same agenda. */
export const sameAgenda = (a: Planned, b: Planned): boolean =>
  a.start_time === b.start_time && a.end_time === b.end_time && samePlan(a, b);

/**
 * Returns the validation issues of warnings and announcements from a caller.
 *
 * @param earliest announcements must not be due before this time
 * @param isKnown whether an announcement was already sent, or is in the room unchanged. Such announcements may be due
 * at any time
 */
export function agendaIssues(
  room: Schedule & Pick<Planned, 'end_warnings_seconds' | 'announcements'>,
  earliest: Timestamp,
  isKnown: (announcement: Announcement) => boolean = () => false,
): Issue[] {
  const { start_time, end_time, end_warnings_seconds = [], announcements = [] } = room;
  const length = end_time ? (Date.parse(end_time) - Date.parse(start_time)) / 1_000 : Number.POSITIVE_INFINITY;
  return [
    ...end_warnings_seconds.flatMap((seconds, n): Issue[] =>
      seconds > length
        ? [{ path: `end_warnings_seconds.${n}`, message: `must not be longer than the room, ${length} seconds` }]
        : [],
    ),
    ...announcements.flatMap((announcement, n): Issue[] => {
      const at = dueAt(room, announcement);
      if (at === undefined || isKnown(announcement)) return [];
      const path = `announcements.${n}.relative_time_in_seconds`;
      if (at < start_time || (end_time && at > end_time))
        return [{ path, message: 'must be between the start and the end of the room' }];
      return at < earliest ? [{ path, message: 'must not be due in the past' }] : [];
    }),
  ];
}
