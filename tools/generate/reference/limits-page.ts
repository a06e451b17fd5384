import * as limits from '../../../core/contract/limits.ts';
import { USER_LIMITS } from '../../../core/contract/user-limits.ts';
import { count, page, table } from './markdown.ts';

const days = (seconds: number): string => `${count(seconds / 86_400)} days`;
const hours = (seconds: number): string => `${count(seconds / 3_600)} hours`;
const minutes = (seconds: number): string => `${count(seconds / 60)} minutes`;
const seconds = (value: number): string => `${count(value)} seconds`;
const characters = (value: number): string => `${count(value)} characters`;
const kib = (bytes: number): string => `${count(bytes / 1_024)} KiB`;
const mib = (bytes: number): string => `${count(bytes / 1_024 ** 2)} MiB`;

type Section = 'Requests' | 'Rooms' | 'Text' | 'Files' | 'WebSocket';
interface LimitText {
  readonly section: Section;
  readonly what: string;
  readonly show: (value: number) => string;
}
const text = (section: Section, what: string, show: (value: number) => string = count): LimitText => ({
  section,
  what,
  show,
});

/** The description of each number in core/contract/limits.ts. The compiler requires an entry for each number. */
const TEXTS: { readonly [Name in keyof typeof limits]: LimitText } = {
  MAX_BODY_BYTES: text('Requests', 'Request body', kib),
  DEFAULT_PAGE_SIZE: text('Requests', 'Page size, default'),
  MAX_PAGE_SIZE: text('Requests', 'Page size, maximum'),
  MAX_PARTICIPANTS_PER_CALL: text('Requests', 'Participants in one request'),
  MAX_IDEMPOTENCY_KEY_LENGTH: text('Requests', 'Length of an `Idempotency-Key`', characters),
  IDEMPOTENCY_TTL_SECONDS: text(
    'Requests',
    'Time for which an `Idempotency-Key` or `client_message_id` is remembered',
    hours,
  ),
  MAX_CHANGE: text('Requests', '`after` of a list of changes'),
  MAX_ADMINS: text('Rooms', 'Admins in a room'),
  MAX_BOOKING_AHEAD_MS: text('Rooms', 'Start or end of a room: maximum time ahead', (ms) => days(ms / 1_000)),
  CLOCK_SKEW_MS: text('Rooms', '`start_time` of a room: maximum time in the past', (ms) => minutes(ms / 1_000)),
  MAX_TIME_LEFT_SECONDS: text('Rooms', '`time_left_in_seconds`', (value) => `${count(value)} (${days(value)})`),
  MAX_END_WARNINGS: text('Rooms', 'Warnings of the end of a room'),
  MAX_END_WARNING_SECONDS: text(
    'Rooms',
    'Time from a warning to the end of a room',
    (value) => `${count(value)} seconds (${days(value)})`,
  ),
  MAX_ANNOUNCEMENTS_BYTES: text('Rooms', 'Announcements of a room, as JSON', kib),
  MAX_ANNOUNCEMENTS: text('Rooms', 'Announcements of a room'),
  MAX_UNREAD_COUNT: text('Rooms', 'Messages after the read mark among which `unread_count` counts'),
  PRESENCE_GRACE_SECONDS: text('Rooms', 'Time after which a disconnected participant goes offline', seconds),
  MAX_USER_ID_LENGTH: text(
    'Text',
    'User ID',
    (value) => `${characters(value)} of \`A-Z a-z 0-9 . _ : @ | -\`, not \`.\` or \`..\``,
  ),
  MAX_ROOM_NAME_LENGTH: text('Text', 'Room name', characters),
  MAX_DESCRIPTION_LENGTH: text('Text', 'Room description', characters),
  MAX_REASON_LENGTH: text('Text', 'Reason for ending a room', characters),
  MAX_USERNAME_LENGTH: text('Text', 'Username', characters),
  MAX_MESSAGE_LENGTH: text('Text', 'Text of a message or an announcement', characters),
  MAX_MESSAGE_TYPE_LENGTH: text('Text', '`type` of a message', characters),
  MAX_JSON_BYTES: text('Text', '`data` of a message, `metadata` of a room, as JSON', kib),
  MAX_JSON_DEPTH: text('Text', 'Nesting of `data` and `metadata`', (value) => `${count(value)} levels`),
  MAX_ANNOUNCEMENT_ID_LENGTH: text('Text', 'ID of an announcement', characters),
  MAX_MESSAGE_BYTES: text('Text', 'Message with its `data` and the names of its files, as JSON', kib),
  MAX_ATTACHMENTS: text('Files', 'Files of a message'),
  DEFAULT_MAX_UPLOAD_BYTES: text('Files', 'File size, unless the setting `maxUploadBytes` has another value', mib),
  MAX_FILE_NAME_LENGTH: text('Files', 'File name', characters),
  MAX_CONTENT_TYPE_LENGTH: text('Files', 'Media type', characters),
  UPLOAD_URL_SECONDS: text('Files', 'Validity of an upload URL, which stores one file once', minutes),
  DOWNLOAD_URL_SECONDS: text('Files', 'Validity of a download URL', minutes),
  UNUSED_FILE_SECONDS: text('Files', 'Time after which a file that no message uses is deleted', hours),
  MAX_FRAME_BYTES: text('WebSocket', 'Size of a frame', kib),
  FRAME_WINDOW_SECONDS: text('WebSocket', 'Window in which frames are counted', seconds),
  MAX_FRAMES_PER_WINDOW: text('WebSocket', 'Frames of one connection in a window'),
  MAX_USER_FRAMES_PER_WINDOW: text('WebSocket', 'Frames of one user in a window, over all connections (default)'),
  MAX_USER_MESSAGES_PER_WINDOW: text('WebSocket', 'Messages of one user in a window, over all connections'),
  LARGE_ROOM_POSTS_PER_WINDOW: text(
    'WebSocket',
    'Messages of one user in 10 seconds, times the participants online, in a room with more than 100 of them',
  ),
  MAX_ROOM_MESSAGES_PER_SECOND: text('WebSocket', 'Messages of all users in one room in a second'),
  MAX_CONNECTIONS_PER_PARTICIPANT: text('WebSocket', 'Connections of one user in a room'),
  TYPING_INTERVAL_SECONDS: text('WebSocket', 'Time between two `typing` frames of a connection in a room', seconds),
  MAX_TYPING_CONNECTIONS: text('WebSocket', 'Connections of a room up to which `typing` events are sent'),
  MAX_PING_INTERVAL_SECONDS: text('WebSocket', '`ping_interval_seconds`', seconds),
  SILENCE_SECONDS: text('WebSocket', 'Silence after which the service checks a connection', seconds),
  MAX_ROOMS_READ: text('Requests', 'Rooms that are read for one page of a filtered list'),
  MAX_PING_ROOMS: text('WebSocket', 'Rooms in one `ping`'),
  MAX_PACKED_BYTES: text('WebSocket', 'Size of an `events` frame that the service sends (`rooms.v2`)', kib),
  CONNECTION_TTL_SECONDS: text('WebSocket', 'Time for which the service remembers a connection', minutes),
};

const SECTIONS: readonly Section[] = ['Requests', 'Rooms', 'Text', 'Files', 'WebSocket'];

const VALUES: Readonly<Record<keyof typeof limits, number>> = { ...limits };

function rows(section: Section): string[][] {
  const names = Object.keys(TEXTS) as (keyof typeof limits)[];
  return names
    .filter((name) => TEXTS[name].section === section)
    .map((name) => [TEXTS[name].what, TEXTS[name].show(VALUES[name])]);
}

const USER_LIMIT_TEXTS: Readonly<Record<keyof typeof USER_LIMITS, string>> = {
  roomsPerMinute: 'Rooms created',
  roomsPerDay: 'Rooms created',
  participantsPerHour: 'Participants added, when creating a room or later',
  uploadsPerHour: 'Uploads requested',
  profileChangesPerMinute: 'Profile changes',
  messageChangesPerMinute: 'Messages edited or deleted',
  framesPer10Seconds: 'WebSocket frames, over all connections',
};

/** Returns docs/reference/limits.md. */
export const limitsPage = (): string =>
  page(
    '# Limits',
    'For developers and operators: every limit of the service, as it is in the code.',
    'Lengths are UTF-16 code units, like JavaScript’s `length`: most emoji count as 2. Names of rooms, users and files need at least one visible ' +
      'character, and must not have bidirectional control characters (U+202A to U+202E, U+2066 to U+2069).',
    ...SECTIONS.flatMap((section) => [`## ${section}`, table(['What', 'Limit'], rows(section))]),
    '## Limits per user',
    'An environment can set other values: see `userLimits` in [Configuration](configuration.md). A request above a limit is 429 ' +
      '`too_many_requests`, and `Retry-After` is the number of seconds until the window ends. Windows are fixed and begin at multiples of their length (UTC).',
    table(
      ['Setting', 'What', 'Default', 'Window'],
      Object.entries(USER_LIMITS).map(([name, { max, seconds: window }]) => [
        `\`${name}\``,
        USER_LIMIT_TEXTS[name as keyof typeof USER_LIMITS],
        count(max),
        seconds(window),
      ]),
    ),
    '## Limits of AWS',
    'Quotas of API Gateway, Lambda and DynamoDB also apply. [Scale](../operate/scale.md) shows which one is reached first. A WebSocket connection lasts at most 2 hours, and 10 ' +
      'minutes without a frame.',
  );
