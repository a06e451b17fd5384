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
 * Recreates the schedules of all rooms from the table. It reads the whole table, including messages and files, because no
 * index contains the future starts and ends.
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
  /** Also announces starts and ends of this many past minutes, which may have been missed. Default: 0. */
  readonly missedMinutes?: number;
  /** The maximum read units per second. A page of 1 MB takes 128. */
  readonly readUnits: number;
  /** Number of rooms that are processed in parallel. */
  readonly concurrency: number;
  /** The `cursor` of an earlier run from which to continue. */
  readonly from?: string | undefined;
  /** Aborting ends the run after the current page. */
  readonly signal: AbortSignal;
  /** Called after each page. */
  readonly onProgress: (progress: Progress) => void;
  /** Called for each room whose schedules could not be compared or written. */
  readonly onFailure: (room_id: string, error: unknown) => void;
}

export interface Progress {
  /** Number of items read, of all kinds. */
  items: number;
  /** Number of rooms with a future start, end, warning or announcement. */
  rooms: number;
  /** Number of correct schedules. */
  current: number;
  /** Number of missing schedules. */
  missing: number;
  /** Number of schedules with a wrong time, function or role. */
  outdated: number;
  /** Number of rooms whose schedules could not be compared or written. */
  failed: number;
  /** Cursor from which another run can continue. Undefined: at the start of the table. */
  cursor: string | undefined;
  /** Whether the end of the table was reached. */
  finished: boolean;
}

/** The run ends after this many consecutive failures, because the cause is not temporary. It can continue from its cursor. */
export const MAX_FAILURES = 10;
/** Maximum number of attempts for a room whose times keep changing. */
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

/** How long after its time a fired schedule is accepted, in milliseconds, until it is replaced by the next one. */
const SUCCESSION_MS = 5 * 60_000;

/**
 * Whether a schedule of `next` is due before the wanted time, or has just fired. When it fires, the function replaces it by the
 * schedule of the next moment, so an earlier time does no harm.
 */
function isPending(expression: string | undefined, { moment, time }: Announcement): boolean {
  const at = Date.parse(`${/^at\((.+)\)$/.exec(expression ?? '')?.[1]}Z`);
  return moment === 'next' && at > Date.now() - SUCCESSION_MS && at <= Date.parse(time);
}

/** Compares a schedule with the expected one. */
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
 * Writes the schedules of a room, and removes obsolete ones. The function `room-changes` can do the same in parallel, for a
 * change that the scan has not seen. Therefore, the room is read again after the write, and the write is repeated if its
 * times have changed.
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
    // A room that does not exist has no schedules.
    await syncSchedules(room ?? { room_id, start_time: '', updated_at: '' }, since(), moments, settings, scheduler);
    const after = await read();
    if (!after || (room && sameAgenda(after, room))) return;
    if (attempt === ATTEMPTS) throw new Error('Its times keep changing.');
    room = after;
  }
}

/**
 * Compares the schedules of all rooms with a future start or end. With `apply`, writes missing and outdated schedules.
 * It can be repeated.
 *
 * @returns the progress
 * @throws UsageError for an invalid cursor
 */
export async function reschedule(target: ScheduleTarget, options: Options): Promise<Progress> {
  const { apply, readUnits, concurrency, from, missedMinutes = 0, signal, onProgress, onFailure } = options;
  /** Only times after this one get a schedule. */
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
