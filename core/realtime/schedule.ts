import {
  ConflictException,
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  DeleteScheduleCommand,
  ResourceNotFoundException,
  SchedulerClient,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';
import { abortable } from '../platform/abort.ts';
import { SHORT_TIME_LIMITS } from '../platform/client-settings.ts';
import { env } from '../platform/env.ts';
import { nextAfter, type Planned } from '../rules/agenda.ts';
import type { Timestamp } from '../rules/time.ts';
import type { RoomItem } from '../store/items.ts';

/*
 * One-time schedules that announce the start and the end of a room. They do not change the status, which follows from
 * the clock. A late or lost schedule only delays the announcement. EventBridge Scheduler is accurate to the minute.
 */

/** `next`: the next warning or announcement. */
export type Moment = 'start' | 'end' | 'next';

/** The input of the function that announces. */
export interface Announcement {
  readonly room_id: string;
  readonly moment: Moment;
  /** The time for which the schedule was created. It identifies outdated schedules. */
  readonly time: Timestamp;
}

let client: SchedulerClient | undefined;
const scheduler = (): SchedulerClient => {
  client ??= abortable(new SchedulerClient(SHORT_TIME_LIMITS));
  return client;
};

/**
 * The minimum time between creating a schedule and its firing. Users report that Scheduler rejects times in the past,
 * and it is not documented otherwise. So if the moment is near, its announcement is delayed by this much.
 */
const LEAD_MS = 5_000;

/** The schedule group, and the target of the schedules. */
export interface ScheduleSettings {
  readonly group: string;
  readonly functionArn: string;
  /** The role with which schedules invoke the function. */
  readonly roleArn: string;
}

const settingsOfFunction = (): ScheduleSettings => ({
  group: env('SCHEDULE_GROUP'),
  functionArn: env('ANNOUNCE_FUNCTION_ARN'),
  roleArn: env('SCHEDULE_ROLE_ARN'),
});

/** Rounds up, because schedules have whole seconds and must not fire early. */
function expression(time: Timestamp): string {
  const earliest = Math.max(Date.parse(time), Date.now() + LEAD_MS);
  return `at(${new Date(Math.ceil(earliest / 1_000) * 1_000).toISOString().slice(0, 19)})`;
}

const nameOf = ({ room_id, moment }: Pick<Announcement, 'room_id' | 'moment'>, { group }: ScheduleSettings) => ({
  GroupName: group,
  Name: `${room_id}-${moment}`,
});

/** Returns the schedule for an announcement. */
export const scheduleOf = (announcement: Announcement, settings: ScheduleSettings) =>
  ({
    ...nameOf(announcement, settings),
    ScheduleExpression: expression(announcement.time),
    ScheduleExpressionTimezone: 'UTC',
    FlexibleTimeWindow: { Mode: 'OFF' },
    // The function may set `next` again before Scheduler has completed the old schedule, which would delete the new
    // one.
    ActionAfterCompletion: announcement.moment === 'next' ? 'NONE' : 'DELETE',
    Target: {
      Arn: settings.functionArn,
      RoleArn: settings.roleArn,
      Input: JSON.stringify(announcement),
      RetryPolicy: { MaximumRetryAttempts: 5, MaximumEventAgeInSeconds: 3_600 },
    },
  }) satisfies CreateScheduleCommandInput;

async function put(client: SchedulerClient, input: CreateScheduleCommandInput): Promise<void> {
  try {
    await client.send(new CreateScheduleCommand(input));
  } catch (error) {
    if (!(error instanceof ConflictException)) throw error;
    await client.send(new UpdateScheduleCommand(input));
  }
}

async function cancel(client: SchedulerClient, name: ReturnType<typeof nameOf>): Promise<void> {
  try {
    await client.send(new DeleteScheduleCommand(name));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
}

type Times = Planned & Pick<RoomItem, 'room_id'>;

export const MOMENTS: readonly Moment[] = ['start', 'end', 'next'];
function timeOf(room: Times, moment: Moment, since: Timestamp): Timestamp | undefined {
  if (moment === 'next') return nextAfter(room, since, new Date().toISOString())?.at;
  const time = moment === 'start' ? room.start_time : room.end_time;
  return time && time > since ? time : undefined;
}

/**
 * Returns a room's future announcements: its start, its end, and its next warning or announcement, if they are after
 * `since`.
 */
export const announcementsOf = (room: Times, since: Timestamp, moments: readonly Moment[] = MOMENTS): Announcement[] =>
  moments.flatMap((moment) => {
    const time = timeOf(room, moment, since);
    return time ? [{ room_id: room.room_id, moment, time }] : [];
  });

/**
 * Updates the schedules for the given moments of a room. A future moment has a schedule, and a past or removed one has
 * none.
 *
 * @param settings default: the settings in the function's environment
 * @param client default: the client of the process
 * @param pending the announcements. Default: computed from the times
 */
export async function syncSchedules(
  room: Times,
  now: Timestamp,
  moments: readonly Moment[] = MOMENTS,
  settings: ScheduleSettings = settingsOfFunction(),
  client: SchedulerClient = scheduler(),
  pending: readonly Announcement[] = announcementsOf(room, now, moments),
): Promise<void> {
  await Promise.all(
    moments.map((moment) => {
      const announcement = pending.find((each) => each.moment === moment);
      return announcement
        ? put(client, scheduleOf(announcement, settings))
        : cancel(client, nameOf({ room_id: room.room_id, moment }, settings));
    }),
  );
}
