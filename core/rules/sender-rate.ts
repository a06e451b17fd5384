import { LARGE_ROOM_POSTS_PER_WINDOW, MAX_USER_MESSAGES_PER_WINDOW } from '../contract/limits.ts';

/** However large a room is, a user can send so many messages in a window. */
const LEAST = 2;

/**
 * Returns how many messages one user may send in a window of frames to a room, by how many are online in it. If each message is a post
 * to each of them, the posts are within the budget of the room.
 */
export const messagesPerWindow = (online: number): number =>
  Math.max(
    LEAST,
    Math.min(MAX_USER_MESSAGES_PER_WINDOW, Math.floor(LARGE_ROOM_POSTS_PER_WINDOW / Math.max(1, online))),
  );
