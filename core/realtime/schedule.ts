import {
  ConflictException,
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  DeleteScheduleCommand,
  ResourceNotFoundException,
  SchedulerClient,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';
import { abortable } from '../aws/abort.ts';
import { env } from '../env.ts';
import type { Timestamp } from '../rules/time.ts';
import type { RoomItem } from '../store/items.ts';
import { CLIENT_OPTIONS } from './client-options.ts';

/*
 * One-off schedules that tell clients when a room starts and ends. They tell only: the status follows from the clock, so one
 * that is late (EventBridge Scheduler promises the minute) or lost makes nothing wrong.
 */

export type Moment = 'start' | 'end';

/** What a schedule hands to the function that announces. */
export interface Announcement {
  readonly room_id: string;
  readonly moment: Moment;
  /** The time for which it was made: an outdated schedule is known by it. */
  readonly time: Timestamp;
}

let client: SchedulerClient | undefined;
const scheduler = (): SchedulerClient => {
  client ??= abortable(new SchedulerClient(CLIENT_OPTIONS));
  return client;
};

/**
 * How far ahead a schedule is made, at least. One for a moment that has passed by the time it arrives is refused, as users
 * report; that it would run instead is documented nowhere. So a moment that is nearly there is announced this much later, which is
 * nothing beside the minute that the Scheduler may take anyway.
 */
const LEAD_MS = 5_000;

/** A schedule has whole seconds: the next one, so that the time has come when it fires. */
function expression(time: Timestamp): string {
  const earliest = Math.max(Date.parse(time), Date.now() + LEAD_MS);
  return `at(${new Date(Math.ceil(earliest / 1_000) * 1_000).toISOString().slice(0, 19)})`;
}

async function put(announcement: Announcement): Promise<void> {
  const input: CreateScheduleCommandInput = {
    ...nameOf(announcement),
    ScheduleExpression: expression(announcement.time),
    ScheduleExpressionTimezone: 'UTC',
    FlexibleTimeWindow: { Mode: 'OFF' },
    ActionAfterCompletion: 'DELETE',
    Target: {
      Arn: env('ANNOUNCE_FUNCTION_ARN'),
      RoleArn: env('SCHEDULE_ROLE_ARN'),
      Input: JSON.stringify(announcement),
      RetryPolicy: { MaximumRetryAttempts: 5, MaximumEventAgeInSeconds: 3_600 },
    },
  };
  try {
    await scheduler().send(new CreateScheduleCommand(input));
  } catch (error) {
    if (!(error instanceof ConflictException)) throw error;
    await scheduler().send(new UpdateScheduleCommand(input));
  }
}

async function cancel(of: Pick<Announcement, 'room_id' | 'moment'>): Promise<void> {
  try {
    await scheduler().send(new DeleteScheduleCommand(nameOf(of)));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
}

const nameOf = ({ room_id, moment }: Pick<Announcement, 'room_id' | 'moment'>) => ({
  GroupName: env('SCHEDULE_GROUP'),
  Name: `${room_id}-${moment}`,
});

/**
 * Brings the schedules of the given moments of a room in step with its times: a future time has a schedule, one that is past or
 * gone has none.
 */
export async function keepInStep(
  { room_id, start_time, end_time }: RoomItem,
  now: Timestamp,
  moments: readonly Moment[] = ['start', 'end'],
): Promise<void> {
  await Promise.all(
    moments.map((moment) => {
      const time = moment === 'start' ? start_time : end_time;
      return time && time > now ? put({ room_id, moment, time }) : cancel({ room_id, moment });
    }),
  );
}
