/** All limits of the contract. Lengths are in UTF-16 code units, like JavaScript's `length`. */

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
/** The type of a message, which the application defines. */
export const MAX_MESSAGE_TYPE_LENGTH = 64;
/** Maximum size of `metadata` of a room and `data` of a message, as JSON in UTF-8, in bytes. */
export const MAX_JSON_BYTES = 4 * 1024;
/** Maximum depth of objects and arrays in them. */
export const MAX_JSON_DEPTH = 32;
export const MAX_ATTACHMENTS = 10;
/**
 * Maximum size of a message as JSON, in bytes. With the envelope and the fields of an edit, it fits into
 * MAX_FRAME_BYTES. 8,000 characters with one file always fit.
 */
export const MAX_MESSAGE_BYTES = 31 * 1024;
/** The maximum change number in requests, higher than in any room. */
export const MAX_CHANGE = 999_999_999_999;
export const MAX_END_WARNINGS = 5;
/** One day. */
export const MAX_END_WARNING_SECONDS = 86_400;
export const MAX_ANNOUNCEMENTS = 20;
/**
 * Maximum size of all announcements of a room, as JSON in UTF-8, in bytes. Every event about the room contains them,
 * and a frame has at most 32 KB.
 */
export const MAX_ANNOUNCEMENTS_BYTES = 16 * 1024;
export const MAX_ANNOUNCEMENT_ID_LENGTH = 64;
export const MAX_IDEMPOTENCY_KEY_LENGTH = 255;

/** One room and its 50 participants, and an idempotency record, fit in one DynamoDB transaction (100 items). */
export const MAX_PARTICIPANTS_PER_CALL = 50;
/**
 * Limits the size of the room item, which contains the admins and is read by every admin call: 100 Keycloak IDs are 3.6
 * KB.
 */
export const MAX_ADMINS = 100;

/** The maximum count of unread messages. */
export const MAX_UNREAD_COUNT = 100;

export const DEFAULT_PAGE_SIZE = 50;
export const MAX_PAGE_SIZE = 200;
/** The maximum number of rooms that are read for one page of a filtered list. */
export const MAX_ROOMS_READ = 1_000;

/** One year. For a later end, use `end_time`. */
export const MAX_TIME_LEFT_SECONDS = 31_536_000;
/** How far in the future a room may start or end, in milliseconds (10 years). */
export const MAX_BOOKING_AHEAD_MS = 10 * 365 * 24 * 3_600_000;
/** How far a caller's clock may be behind the service's for a `start_time` of "now", in milliseconds. */
export const CLOCK_SKEW_MS = 5 * 60_000;

/**
 * The maximum size of a request body, in bytes. Above it, the response is a 413. The largest valid body is much
 * smaller.
 */
export const MAX_BODY_BYTES = 64 * 1024;
/** How long an `Idempotency-Key` and a `client_message_id` are valid, in seconds. */
export const IDEMPOTENCY_TTL_SECONDS = 24 * 3_600;
/** How long a presigned upload URL is valid, in seconds. */
export const UPLOAD_URL_SECONDS = 15 * 60;
/** How long an upload without a message is kept, in seconds. */
export const UNUSED_FILE_SECONDS = 24 * 3_600;
/** How long a presigned download URL is valid, in seconds. */
export const DOWNLOAD_URL_SECONDS = 15 * 60;
/** Default of `MAX_UPLOAD_BYTES`: 100 MiB. */
export const DEFAULT_MAX_UPLOAD_BYTES = 100 * 1024 * 1024;

/** The maximum size of a frame, in bytes. API Gateway has the same limit. */
export const MAX_FRAME_BYTES = 32 * 1024;
/**
 * The maximum size of a `rooms.v2` frame with several events, in bytes: API Gateway bills posts in units of 32 KB. A
 * single larger event has its own frame, up to MAX_FRAME_BYTES.
 */
export const MAX_PACKED_BYTES = 30 * 1024;
/** The maximum number of rooms in one `ping`. DynamoDB reads 100 items in one request, and each room has two. */
export const MAX_PING_ROOMS = 50;
/** Frames that one connection may send within FRAME_WINDOW_SECONDS. Above that, the error is `too_many_requests`. */
export const MAX_FRAMES_PER_WINDOW = 100;
/** Frames that one user may send within FRAME_WINDOW_SECONDS, over all connections. Default of `USER_FRAME_LIMIT`. */
export const MAX_USER_FRAMES_PER_WINDOW = 300;
export const FRAME_WINDOW_SECONDS = 10;
/**
 * Chat messages that one user may send within FRAME_WINDOW_SECONDS, over all connections. Above that, the error is
 * `too_many_requests`.
 */
export const MAX_USER_MESSAGES_PER_WINDOW = 100;
/**
 * In rooms with more than 100 participants online: the product of one user's messages within FRAME_WINDOW_SECONDS and
 * the participants online. Above that, the error is `too_many_requests`. A quarter of an account's default quota of
 * posts.
 */
export const LARGE_ROOM_POSTS_PER_WINDOW = 25_000;
/** Chat messages per second that a room accepts from all participants. Above that, the error is `too_many_requests`. */
export const MAX_ROOM_MESSAGES_PER_SECOND = 50;
/**
 * The maximum number of one user's connections in a room, more than anyone's open tabs. Above that, the error is
 * `too_many_requests`. It also limits the size of the participant's item, which contains their IDs, to 1.6 KB.
 */
export const MAX_CONNECTIONS_PER_PARTICIPANT = 100;
/** How long a participant can be without a connection before others see them as absent, in seconds. */
export const PRESENCE_GRACE_SECONDS = 10;
/**
 * How long a present participant's connection can be silent before API Gateway is asked about it, in seconds. Together
 * with the frame window, the grace period, a retried check, and the delays of queue and stream, presence is correct
 * within 5 minutes.
 */
export const SILENCE_SECONDS = 200;
/** The minimum interval between two `typing` frames of a connection in a room, in seconds. */
export const TYPING_INTERVAL_SECONDS = 2;
/** In rooms with more connections than this, no `typing` events are sent. */
export const MAX_TYPING_CONNECTIONS = 100;
/** The longest ping interval that a client can announce, in seconds. */
export const MAX_PING_INTERVAL_SECONDS = 240;
/**
 * The lifetime of connection data, in seconds: slightly longer than 2 hours, after which API Gateway closes every
 * WebSocket.
 */
export const CONNECTION_TTL_SECONDS = 2 * 3_600 + 300;
