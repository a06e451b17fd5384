import { GetScheduleCommand, ResourceNotFoundException, type SchedulerClient } from '@aws-sdk/client-scheduler';
import { type DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { announcement } from '../../core/contract/answers.ts';
import {
  type Announcement,
  announcementsOf,
  type Moment,
  type ScheduleSettings,
  scheduleOf,
  syncSchedules,
} from '../../core/realtime/schedule.ts';
import { sameAgenda } from '../../core/rules/agenda.ts';
import { ROOM, roomKey } from '../../core/store/keys.ts';
import { walk } from './walk.ts';

/*
 * Creates the schedules of all rooms again from the table. Messages and files are in the same table, and no index
 * contains the future starts and ends, so it reads the whole table.
 */

/** Clients and names for schedules and rooms. */
export interface ScheduleTarget {
  readonly dynamodb: DynamoDBDocumentClient;
  readonly scheduler: SchedulerClient;
  readonly table: string;
  readonly settings: ScheduleSettings;
}

export interface Options {
  /** Whether to write schedules. Otherwise, they are only compared. */
  readonly apply: boolean;
  /** The period in minutes in which starts and ends may have been missed: they are announced as well. Default: 0. */
  readonly missedMinutes?: number;
  /** The maximum read units per second. A page of 1 MB takes 128. */
  readonly readUnits: number;
  /** Rooms whose schedules are compared or written at the same time. */
  readonly concurrency: number;
  /** Where to continue: the `cursor` of an earlier run. */
  readonly from?: string | undefined;
  /** Aborting ends the run after the current page. */
  readonly signal: AbortSignal;
  /** Called after each page. */
  readonly onProgress: (progress: Progress) => void;
  /** Called with each room whose schedules could not be compared or written. */
  readonly onFailure: (room_id: string, error: unknown) => void;
}

export interface Progress {
  /** Items read, of all kinds. */
  items: number;
  /** Rooms with a future start or end, warning or announcement. */
  rooms: number;
  /** Schedules that are right. */
  current: number;
  /** Schedules that are missing. */
  missing: number;
  /** Schedules with a wrong time, function or role. */
  outdated: number;
  /** Rooms whose schedules could not be compared or written. */
  failed: number;
  /** Where another run can continue. Undefined: at the start of the table. */
  cursor: string | undefined;
  /** Whether the end of the table was reached. */
  finished: boolean;
}

/** With this many failures in a row, the cause is not temporary: the run ends, and can continue from its cursor. */
export const MAX_FAILURES = 10;
/** How often a room whose times change during the write is retried. */
const ATTEMPTS = 5;

const times = v.object({
  room_id: v.string(),
  start_time: v.string(),
  end_time: v.optional(v.string()),
  updated_at: v.optional(v.string(), ''),
  end_warnings_seconds: v.optional(v.array(v.number())),
  announcements: v.optional(v.array(announcement)),
});
type Times = v.InferOutput<typeof times>;

export type Comparison = 'current' | 'missing' | 'outdated';

/** How long a schedule that has fired may wait for its successor, in milliseconds. */
const SUCCESSION_MS = 5 * 60_000;

/**
 * Whether a schedule of `next` fires before the wanted time, or has just fired. It then does what is due, if anything, and gives way to the
 * schedule of what comes next.
 */
function isPending(expression: string | undefined, { moment, time }: Announcement): boolean {
  const at = Date.parse(`${/^at\((.+)\)$/.exec(expression ?? '')?.[1]}Z`);
  return moment === 'next' && at > Date.now() - SUCCESSION_MS && at <= Date.parse(time);
}

/** Compares a schedule with what it should be. */
export async function compareSchedule(
  { scheduler, settings }: ScheduleTarget,
  announcement: Announcement,
): Promise<Comparison> {
  const wanted = scheduleOf(announcement, settings);
  try {
    const { GroupName, Name } = wanted;
    const found = await scheduler.send(new GetScheduleCommand({ GroupName, Name }));
    const same =
      (found.ScheduleExpression === wanted.ScheduleExpression || isPending(found.ScheduleExpression, announcement)) &&
      found.State !== 'DISABLED' &&
      found.Target?.Arn === wanted.Target.Arn &&
      found.Target.RoleArn === wanted.Target.RoleArn &&
      (found.Target.Input === wanted.Target.Input || announcement.moment === 'next');
    return same ? 'current' : 'outdated';
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return 'missing';
    throw error;
  }
}

/**
 * Writes the schedules of a room, and removes those that it should not have. The function `room-changes` may do the
 * same at the same time, for a change that the scan has not seen. So the room is read once more afterwards, and the
 * last writer has read the last change.
 *
 * @param options.moments default: start and end
 * @param options.since times before this get no schedule
 */
export async function writeSchedules(
  { dynamodb, scheduler, table, settings }: ScheduleTarget,
  room_id: string,
  { moments, since }: { readonly moments?: readonly Moment[]; readonly since: () => string },
): Promise<void> {
  const read = async (): Promise<Times | undefined> => {
    const { Item } = await dynamodb.send(
      new GetCommand({ TableName: table, Key: roomKey(room_id), ConsistentRead: true }),
    );
    return Item && v.parse(times, Item);
  };
  let room = await read();
  for (let attempt = 1; ; attempt++) {
    // A room that does not exist has no times, and so no schedules.
    await syncSchedules(room ?? { room_id, start_time: '', updated_at: '' }, since(), moments, settings, scheduler);
    const after = await read();
    if (!after || (room && sameAgenda(after, room))) return;
    if (attempt === ATTEMPTS) throw new Error('Its times keep changing.');
    room = after;
  }
}

/**
 * Compares the schedules of all rooms with a future start or end and, with `apply`, writes those that are missing or
 * outdated. Repeating it changes nothing.
 *
 * @returns the progress
 * @throws UsageError for an invalid cursor
 */
export async function reschedule(target: ScheduleTarget, options: Options): Promise<Progress> {
  const { apply, readUnits, concurrency, from, missedMinutes = 0, signal, onProgress, onFailure } = options;
  /** Later times are announced. */
  const since = (): string => new Date(Date.now() - missedMinutes * 60_000).toISOString();
  const progress: Progress = {
    items: 0,
    rooms: 0,
    current: 0,
    missing: 0,
    outdated: 0,
    failed: 0,
    cursor: from,
    finished: false,
  };
  async function settle(room: Times): Promise<void> {
    try {
      const announcements = announcementsOf(room, since());
      const findings = await Promise.all(announcements.map((announcement) => compareSchedule(target, announcement)));
      if (apply && findings.some((finding) => finding !== 'current'))
        await writeSchedules(target, room.room_id, { since });
      for (const finding of findings) progress[finding]++;
    } catch (error) {
      progress.failed++;
      onFailure(room.room_id, error);
    }
  }

  const scan = {
    TableName: target.table,
    FilterExpression: 'SK = :room AND (start_time > :since OR end_time > :since OR attribute_exists(announcements))',
    ProjectionExpression: 'room_id, start_time, end_time, updated_at, end_warnings_seconds, announcements',
    ExpressionAttributeValues: { ':room': ROOM, ':since': since() },
  };
  for await (const { items, scanned, cursor } of walk(target.dynamodb, scan, { readUnits, from, signal })) {
    const rooms = v.parse(v.array(times), items).filter((room) => announcementsOf(room, since()).length > 0);
    progress.items += scanned;
    progress.rooms += rooms.length;
    for (let n = 0; n < rooms.length && progress.failed < MAX_FAILURES; n += concurrency)
      await Promise.all(rooms.slice(n, n + concurrency).map(settle));
    progress.finished = cursor === undefined && progress.failed < MAX_FAILURES;
    // After a failure, it continues from the page of the failure.
    if (progress.failed === 0) progress.cursor = cursor;
    onProgress(progress);
    if (progress.failed >= MAX_FAILURES) break;
  }
  return progress;
}
