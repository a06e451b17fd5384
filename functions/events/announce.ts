import { deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { announce } from '../../core/realtime/announce.ts';
import type { Announcement } from '../../core/realtime/schedule.ts';

/** Announces a start, end, warning or announcement of a room. Schedules invoke it at the due time. */
export const handler = (announcement: Announcement, context: TimeLeft): Promise<void> =>
  announce(announcement, deadlineOf(context));
