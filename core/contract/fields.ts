import * as v from 'valibot';
import { hasFiniteNumbers, hasSafeKeys, isJsonObject, isShallow, type JsonObject, jsonBytes } from '../rules/json.ts';
import { isIsoTime, isRealTime, toUtc } from '../rules/time.ts';
import * as limits from './limits.ts';

/** Excludes control characters, and so line breaks and null bytes. */
const ONE_LINE = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/;
/** Like ONE_LINE, but with tabs and line breaks. */
const MULTI_LINE = /^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$/;
/** Requires one visible character, so not only white space, zero-width or other formatting characters. Published. */
const VISIBLE = /[^\s\p{C}\p{Z}\u115f\u1160\u2800\u3164\uffa0]/u;
/**
 * Stricter than VISIBLE. Excludes default-ignorable characters (variation selectors, joiners, fillers), and two symbols
 * with an empty glyph. Enforced, but not published: few validators support the Unicode property.
 */
const HAS_GLYPH = /[^\s\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}]/u;
/**
 * Embeddings, overrides and isolates, which change the displayed order: U+202E before `gnp.exe` shows `exe.png`.
 * Right-to-left names do not need them.
 *
 * @see https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
 */
const BIDI_CONTROL = /[\u202a-\u202e\u2066-\u2069]/;
/** Excludes lone surrogates, which cannot be stored or be part of a URL. */
const isWellFormed = (text: string): boolean => text.isWellFormed();

const text = (max: number, pattern: RegExp) =>
  v.pipe(
    v.string(),
    v.maxLength(max, `must be at most ${max} characters`),
    v.regex(pattern, 'must not contain control characters'),
    v.check(isWellFormed, 'must be well-formed Unicode'),
  );
const NOT_VISIBLE = 'must contain at least one visible character';
/**
 * A name that is displayed next to others: one line, visible, and without characters that reorder the surrounding text.
 */
const displayName = (max: number) =>
  v.pipe(
    text(max, ONE_LINE),
    v.regex(VISIBLE, NOT_VISIBLE),
    v.check((name) => HAS_GLYPH.test(name), NOT_VISIBLE),
    v.check((name) => !BIDI_CONTROL.test(name), 'must not contain bidirectional control characters'),
  );

export const roomId = v.pipe(v.string(), v.uuid('must be a UUID'), v.toLowerCase());
export const fileId = v.pipe(v.string(), v.uuid('must be a UUID'), v.toLowerCase());
export const messageId = v.pipe(
  v.string(),
  v.regex(/^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$/, 'must be a ULID'),
  v.toUpperCase(),
);
/** The `sub` of an access token. Keycloak uses UUIDs. */
export const userId = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(limits.MAX_USER_ID_LENGTH, `must be at most ${limits.MAX_USER_ID_LENGTH} characters`),
  v.regex(/^[A-Za-z0-9._:@|-]*$/, 'may contain only letters, digits and . _ : @ | -'),
  // URL parsers resolve `.` and `..` in a path, so no request could refer to such a participant.
  v.check((id) => id !== '.' && id !== '..', 'must not be . or ..'),
);
const userIds = (min: number) =>
  v.pipe(
    v.array(userId),
    v.minLength(min, `must name at least ${min} participant`),
    v.maxLength(limits.MAX_PARTICIPANTS_PER_CALL, `must name at most ${limits.MAX_PARTICIPANTS_PER_CALL} participants`),
  );
export const participantIds = userIds(1);
export const optionalParticipantIds = userIds(0);

export const roomName = displayName(limits.MAX_ROOM_NAME_LENGTH);
export const description = text(limits.MAX_DESCRIPTION_LENGTH, MULTI_LINE);
export const reason = text(limits.MAX_REASON_LENGTH, MULTI_LINE);
export const username = displayName(limits.MAX_USERNAME_LENGTH);
/**
 * Stored unchanged: a name is never part of an object key, and responses contain it only in an encoded
 * Content-Disposition.
 */
export const fileName = displayName(limits.MAX_FILE_NAME_LENGTH);
export const messageText = v.pipe(
  text(limits.MAX_MESSAGE_LENGTH, MULTI_LINE),
  v.regex(VISIBLE, NOT_VISIBLE),
  v.check((message) => HAS_GLYPH.test(message), NOT_VISIBLE),
);
/** The type of a message, which the application defines. */
export const messageType = v.pipe(text(limits.MAX_MESSAGE_TYPE_LENGTH, ONE_LINE), v.minLength(1, 'must not be empty'));
/** The files of a message, in display order. */
export const attachments = v.pipe(
  v.array(v.strictObject({ file_id: fileId })),
  v.maxLength(limits.MAX_ATTACHMENTS, `must have at most ${limits.MAX_ATTACHMENTS} files`),
  v.check((files) => new Set(files.map(({ file_id }) => file_id)).size === files.length, 'must name each file once'),
);
/**
 * A JSON object that belongs to the application. Does not use `v.record`, which drops keys such as `constructor`. The
 * depth is checked first, so that all later checks can traverse the object without a stack overflow.
 */
export const jsonObject = v.pipe(
  v.custom<JsonObject>(isJsonObject, 'must be a JSON object'),
  v.check(
    (value) => isShallow(value, limits.MAX_JSON_DEPTH),
    `must be nested at most ${limits.MAX_JSON_DEPTH} levels deep`,
  ),
  v.check((value) => hasSafeKeys(value, limits.MAX_JSON_DEPTH), 'must not have the key __proto__'),
  v.check((value) => hasFiniteNumbers(value, limits.MAX_JSON_DEPTH), 'must not have numbers beyond 1.8e308'),
  v.check(
    (value) => jsonBytes(value) <= limits.MAX_JSON_BYTES,
    `must be at most ${limits.MAX_JSON_BYTES} bytes as JSON in UTF-8`,
  ),
);
/**
 * A media type with any parameters of browsers. No grammar covers them: a MediaRecorder uses
 * `video/webm;codecs=vp9,opus`. The type is signed, stored, and sent as a header, so it has only visible ASCII
 * characters and single spaces. With a comma, no second slash is allowed, because readers of a header may split it into
 * several media types.
 */
export const contentType = v.pipe(
  v.string(),
  v.maxLength(limits.MAX_CONTENT_TYPE_LENGTH, `must be at most ${limits.MAX_CONTENT_TYPE_LENGTH} characters`),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}( *;([\x20-\x2b\x2d-\x7e]*|[\x20-\x2e\x30-\x7e]*))?$/,
    'must be a media type such as image/png or video/webm;codecs=vp9,opus',
  ),
  // HTTP and signatures merge several spaces, and ignore those at the end.
  v.transform((type) => type.trim().replace(/ +/g, ' ')),
);
/**
 * Accepts any time zone. Stored and returned in UTC with milliseconds. Published as the format `date-time`: see
 * `CONVERSION`.
 */
export const time = v.pipe(
  v.string(),
  v.check(isIsoTime, 'must be an ISO 8601 time with a zone, such as 2026-03-01T09:30:00.000Z'),
  v.check(isRealTime, 'must be a day that exists'),
  v.transform(toUtc),
);
const integer = (min: number, max: number) =>
  v.pipe(
    v.number(),
    v.integer('must be a whole number'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
  );
/** Distinct, in any order. */
export const endWarnings = v.pipe(
  v.array(integer(1, limits.MAX_END_WARNING_SECONDS)),
  v.maxLength(limits.MAX_END_WARNINGS, `must have at most ${limits.MAX_END_WARNINGS} entries`),
  v.checkItems((seconds, index, all) => all.indexOf(seconds) === index, 'must not be repeated'),
);
/** It is part of a sort key. */
const announcementId = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9._:-]{1,64}$/, 'must be 1 to 64 letters, digits or . _ : -'),
);
const announcement = v.pipe(
  v.strictObject({
    announcement_id: announcementId,
    message: messageText,
    relative_from: v.optional(v.picklist(['start', 'end'], 'must be start or end'), 'end'),
    relative_time_in_seconds: integer(-limits.MAX_TIME_LEFT_SECONDS, limits.MAX_TIME_LEFT_SECONDS),
  }),
  v.forward(
    v.check(
      ({ relative_from, relative_time_in_seconds: seconds }) =>
        relative_from === 'start' ? seconds >= 0 : seconds <= 0,
      'must be 0 or more from the start, and 0 or less from the end',
    ),
    ['relative_time_in_seconds'],
  ),
);
const bytesAsJson = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length;
export const announcements = v.pipe(
  v.array(announcement),
  v.maxLength(limits.MAX_ANNOUNCEMENTS, `must have at most ${limits.MAX_ANNOUNCEMENTS} entries`),
  v.checkItems(
    ({ announcement_id }, index, all) => all.findIndex((each) => each.announcement_id === announcement_id) === index,
    'must have an announcement_id of its own',
  ),
  v.check(
    (list) => bytesAsJson(list) <= limits.MAX_ANNOUNCEMENTS_BYTES,
    `must be at most ${limits.MAX_ANNOUNCEMENTS_BYTES} bytes as JSON`,
  ),
);
export const pingInterval = integer(1, limits.MAX_PING_INTERVAL_SECONDS);
export const timeLeft = integer(0, limits.MAX_TIME_LEFT_SECONDS);
/** `MAX_UPLOAD_BYTES`, which environments can change, is a lower limit. */
export const fileSize = integer(0, Number.MAX_SAFE_INTEGER);
export const limit = v.optional(integer(1, limits.MAX_PAGE_SIZE), limits.DEFAULT_PAGE_SIZE);
/** The number of a change to a room's messages. */
export const change = integer(0, limits.MAX_CHANGE);
export const cursor = v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(1_024, 'is not a cursor'));
export const status = v.picklist(['booked', 'started', 'ended'], 'must be one of booked, started, ended');
export const role = v.picklist(['member', 'observer'], 'must be member or observer');
export const posting = v.picklist(['everyone', 'admins'], 'must be everyone or admins');
export const order = v.picklist(['asc', 'desc'], 'must be asc or desc');
export const idempotencyKey = v.pipe(
  v.string(),
  v.regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters'),
  v.maxLength(limits.MAX_IDEMPOTENCY_KEY_LENGTH, `must be at most ${limits.MAX_IDEMPOTENCY_KEY_LENGTH} characters`),
);

/** Chosen by the WebSocket client, to match replies with frames. */
export const requestId = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(128, 'must be at most 128 characters'),
);
/** Chosen by the sender of a message, so that a retry is safe. It is part of a sort key. */
export const clientMessageId = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9._:-]{1,128}$/, 'must be 1 to 128 letters, digits or . _ : -'),
);
