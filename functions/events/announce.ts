import { deadlineOf, type TimeLeft } from '../../core/platform/deadline.ts';
import { announce } from '../../core/realtime/announce.ts';
import type { Announcement } from '../../core/realtime/schedule.ts';

/** Invoked by a room's schedule when its start or end has come. */
export const handler = (announcement: Announcement, context: TimeLeft): Promise<void> =>
  announce(announcement, deadlineOf(context));
