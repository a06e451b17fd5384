import { LARGE_ROOM_POSTS_PER_WINDOW, MAX_USER_MESSAGES_PER_WINDOW } from '../contract/limits.ts';

/** The number of messages that a user can send in a window to a room of any size. */
const LEAST = 2;

/**
 * Returns how many messages one user may send to a room in a window of frames, by the number of participants online.
 * The posts of these messages are within the room's budget.
 */
export const messagesPerWindow = (online: number): number =>
  Math.max(
    LEAST,
    Math.min(MAX_USER_MESSAGES_PER_WINDOW, Math.floor(LARGE_ROOM_POSTS_PER_WINDOW / Math.max(1, online))),
  );
