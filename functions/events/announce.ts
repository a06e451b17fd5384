import { deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { announce } from '../../core/realtime/announce.ts';
import { requireAnnouncement } from '../../core/realtime/parse.ts';
import type { Announcement } from '../../core/realtime/schedule.ts';

/** Announces a start, end, warning or announcement of a room. Schedules invoke it at the due time. */
export const handler = async (announcement: Announcement, context: TimeLeft): Promise<void> =>
  announce(requireAnnouncement(announcement), deadlineOf(context));
