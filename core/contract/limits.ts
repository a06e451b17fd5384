/** Every number that the contract promises its callers. Lengths are UTF-16 code units, like JavaScript's `length`. */

export const MAX_USER_ID_LENGTH = 128;
export const MAX_ROOM_NAME_LENGTH = 200;
export const MAX_DESCRIPTION_LENGTH = 2_000;
export const MAX_REASON_LENGTH = 500;
export const MAX_USERNAME_LENGTH = 100;
/** The longest file name that common file systems support (NAME_MAX). */
export const MAX_FILE_NAME_LENGTH = 255;
/** Two tokens of at most 127 characters (RFC 6838, 4.2) and a parameter such as a charset. */
export const MAX_CONTENT_TYPE_LENGTH = 255;
export const MAX_MESSAGE_LENGTH = 8_000;
/** The application's own name for the type of a message. */
export const MAX_MESSAGE_TYPE_LENGTH = 64;
/** `metadata` of a room and `data` of a message, as JSON in UTF-8, in bytes. */
export const MAX_JSON_BYTES = 4 * 1024;
/** Levels of objects and arrays in them. */
export const MAX_JSON_DEPTH = 32;
export const MAX_ATTACHMENTS = 10;
/**
 * A message as JSON, in bytes: with the envelope, and with what edits add to it, it fits into a frame of MAX_FRAME_BYTES. 8,000 characters
 * and one file always fit.
 */
export const MAX_MESSAGE_BYTES = 31 * 1024;
/** The highest number of a change of messages that callers may name: more than any room gets to. */
export const MAX_CHANGE = 999_999_999_999;
export const MAX_END_WARNINGS = 5;
/** A day. */
export const MAX_END_WARNING_SECONDS = 86_400;
export const MAX_ANNOUNCEMENTS = 20;
/** All announcements of a room, as JSON in UTF-8, in bytes: every event about the room has them, and a frame has 32 KB. */
export const MAX_ANNOUNCEMENTS_BYTES = 16 * 1024;
export const MAX_ANNOUNCEMENT_ID_LENGTH = 64;
export const MAX_IDEMPOTENCY_KEY_LENGTH = 255;

/** One room and its 50 participants, and an idempotency record, fit in one DynamoDB transaction (100 items). */
export const MAX_PARTICIPANTS_PER_CALL = 50;
/**
 * Keeps the room item small, because it holds the admins and every admin call pays for its size: 100 Keycloak ids are
 * 3.6 KB.
 */
export const MAX_ADMINS = 100;

/** Unread messages are counted up to this. */
export const MAX_UNREAD_COUNT = 100;

export const DEFAULT_PAGE_SIZE = 50;
export const MAX_PAGE_SIZE = 200;
/** Rooms that one page of a filtered list looks at. */
export const MAX_ROOMS_READ = 1_000;

/** A year. For an end further ahead, use `end_time`. */
export const MAX_TIME_LEFT_SECONDS = 31_536_000;
/** How far ahead of now a room may start or end, in milliseconds (ten years). */
export const MAX_BOOKING_AHEAD_MS = 10 * 365 * 24 * 3_600_000;
/** How far a caller's clock may lag behind ours when it sends "now" as `start_time`, in milliseconds. */
export const CLOCK_SKEW_MS = 5 * 60_000;

/** Request bodies above this are a 413, in bytes. The largest valid body is well below it. */
export const MAX_BODY_BYTES = 64 * 1024;
/** How long an `Idempotency-Key` and a `client_message_id` are remembered, in seconds. */
export const IDEMPOTENCY_TTL_SECONDS = 24 * 3_600;
/** How long a presigned upload URL is good for, in seconds. */
export const UPLOAD_URL_SECONDS = 15 * 60;
/** How long an upload without a message is kept, in seconds. */
export const UNUSED_FILE_SECONDS = 24 * 3_600;
/** How long a presigned download URL is good for, in seconds. */
export const DOWNLOAD_URL_SECONDS = 15 * 60;
/** Default of `MAX_UPLOAD_BYTES`: 100 MiB. */
export const DEFAULT_MAX_UPLOAD_BYTES = 100 * 1024 * 1024;

/** Larger frames are rejected, in bytes: API Gateway itself accepts no larger ones. */
export const MAX_FRAME_BYTES = 32 * 1024;
/**
 * The events of a `rooms.v2` frame are packed up to this, in bytes: API Gateway bills each post in steps of 32 KB. A single larger event goes alone, up to
 * MAX_FRAME_BYTES.
 */
export const MAX_PACKED_BYTES = 30 * 1024;
/** Rooms that one `ping` may ask about: two items of each, and DynamoDB reads a hundred in one request. */
export const MAX_PING_ROOMS = 50;
/** Frames that one connection may send within FRAME_WINDOW_SECONDS; more get `too_many_requests`. */
export const MAX_FRAMES_PER_WINDOW = 100;
/** Frames that one user may send within FRAME_WINDOW_SECONDS, over all connections. Default of `USER_FRAME_LIMIT`. */
export const MAX_USER_FRAMES_PER_WINDOW = 300;
export const FRAME_WINDOW_SECONDS = 10;
/** Chat messages that one user may send within FRAME_WINDOW_SECONDS, over all connections; more get `too_many_requests`. */
export const MAX_USER_MESSAGES_PER_WINDOW = 100;
/**
 * Messages of one user within FRAME_WINDOW_SECONDS, times the participants who are online, in a room with more than 100 of them; more get
 * `too_many_requests`. A quarter of the posts that an account may make by default.
 */
export const LARGE_ROOM_POSTS_PER_WINDOW = 25_000;
/** Chat messages that a room takes in a second, from all of its participants; more get `too_many_requests`. */
export const MAX_ROOM_MESSAGES_PER_SECOND = 50;
/**
 * Connections of one user that may have joined a room at the same time; one more gets `too_many_requests`. More than
 * anyone has tabs open. The limit also keeps the participant's item, which holds their ids, small: 1.6 KB.
 */
export const MAX_CONNECTIONS_PER_PARTICIPANT = 100;
/** How long a participant may be without a connection before others see them leave, in seconds. */
export const PRESENCE_GRACE_SECONDS = 10;
/**
 * How long a present participant's connection may be silent before API Gateway is asked about it, in seconds. With the window of counted
 * frames, the grace period, a retried check and the lag of queue and stream, presence is right within five minutes.
 */
export const SILENCE_SECONDS = 200;
/** How often one connection may say that it is typing in a room, in seconds. */
export const TYPING_INTERVAL_SECONDS = 2;
/** In rooms with more connections, no `typing` events are sent. */
export const MAX_TYPING_CONNECTIONS = 100;
/** The longest ping interval that a client can promise, in seconds. */
export const MAX_PING_INTERVAL_SECONDS = 240;
/** API Gateway closes every WebSocket after two hours; what is known of a connection is kept a little longer, in seconds. */
export const CONNECTION_TTL_SECONDS = 2 * 3_600 + 300;
