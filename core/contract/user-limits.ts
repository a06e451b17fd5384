import { FRAME_WINDOW_SECONDS, MAX_USER_FRAMES_PER_WINDOW } from './limits.ts';

/*
 * Limits per user and window of time. Windows are fixed: each starts at a multiple of its length since the epoch (UTC).
 */

interface Limit {
  /** The length of the window. */
  readonly seconds: number;
  /** The maximum per window, unless the environment sets another number. */
  readonly max: number;
  /** The limited action, as the continuation of "You can". */
  readonly allowance: (max: number) => string;
}

export const USER_LIMITS = {
  roomsPerMinute: { seconds: 60, max: 120, allowance: (max) => `create ${max} rooms per minute` },
  roomsPerDay: { seconds: 86_400, max: 2_000, allowance: (max) => `create ${max} rooms per day` },
  /** Counts every participant that a request contains, also existing ones. */
  participantsPerHour: { seconds: 3_600, max: 3_000, allowance: (max) => `add ${max} participants per hour` },
  uploadsPerHour: { seconds: 3_600, max: 600, allowance: (max) => `request ${max} uploads per hour` },
  profileChangesPerMinute: { seconds: 60, max: 60, allowance: (max) => `change profiles ${max} times per minute` },
  messageChangesPerMinute: {
    seconds: 60,
    max: 120,
    allowance: (max) => `edit or delete messages ${max} times per minute`,
  },
  /** Over all WebSocket connections of the user. */
  framesPer10Seconds: {
    seconds: FRAME_WINDOW_SECONDS,
    max: MAX_USER_FRAMES_PER_WINDOW,
    allowance: (max) => `send ${max} frames in 10 seconds`,
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type UserLimit = keyof typeof USER_LIMITS;

export const userLimitNames = Object.keys(USER_LIMITS) as readonly UserLimit[];

/** The default maximum of each limit per window. */
export type UserLimits = Readonly<Record<UserLimit, number>>;

const {
  roomsPerMinute,
  roomsPerDay,
  participantsPerHour,
  uploadsPerHour,
  profileChangesPerMinute,
  messageChangesPerMinute,
  framesPer10Seconds,
} = USER_LIMITS;

export const DEFAULT_USER_LIMITS: UserLimits = {
  roomsPerMinute: roomsPerMinute.max,
  roomsPerDay: roomsPerDay.max,
  participantsPerHour: participantsPerHour.max,
  uploadsPerHour: uploadsPerHour.max,
  profileChangesPerMinute: profileChangesPerMinute.max,
  messageChangesPerMinute: messageChangesPerMinute.max,
  framesPer10Seconds: framesPer10Seconds.max,
};
