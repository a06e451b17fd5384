import type * as v from 'valibot';
import type * as answers from '../../core/contract/answers.ts';
import type { ErrorCode } from '../../core/contract/errors.ts';
import * as limits from '../../core/contract/limits.ts';
import type { ApiSet } from '../../core/contract/route.ts';
import type * as table from '../../core/contract/routes.ts';
import { DEFAULT_USER_LIMITS } from '../../core/contract/user-limits.ts';

/*
 * Texts and examples of the OpenAPI document. They are separate from the route table, because every function's bundle contains the table,
 * and no function needs the texts.
 */

const minutes = (seconds: number): string => `${seconds / 60} minutes`;
const count = (n: number): string => n.toLocaleString('en');

export const INTRODUCTION = `
Rooms for real-time collaboration: create a room, manage its participants, chat, and exchange files.

### Authentication

Send \`Authorization: Bearer <access token>\` with every request. The identity provider of the environment issues the token, and its \`sub\` claim identifies the
user. Every user can create rooms and becomes the admin of the rooms they create. The admin API is for the admins of a room. The participant API is for
its participants. If you are not a participant of a room, the response is 403 \`not_a_participant\`. If the room does not exist, it is 404 \`room_not_found\`.

### Responses

A successful response is \`{"data": …, "sent_at": …}\`. A list also has \`page\`: \`size\` is the number of items, and \`next_cursor\` is the cursor of the next page.
Field names are snake_case. Times are ISO 8601 in UTC with milliseconds; requests may use any time zone. An absent value is \`null\`, never a missing field. Later versions
may add fields: ignore fields that you do not know. Every response has \`Cache-Control: no-store\`.

### Errors

A failure is \`{"message": …, "errors": [{"code", "message", "path"}], "sent_at": …}\`, with one entry in \`errors\` per problem. Make decisions by \`code\`, which is stable. Messages
are for people and may change. \`path\` names the invalid field, parameter or header, such as \`participant_ids.3\`.

API Gateway rejects some requests before the service receives them. Its responses have only \`message\`, such as \`{"message": "Unauthorized"}\` for a missing or expired
token. Check the HTTP status first, then \`code\` if there is one.

__ERROR_TABLE__

Each operation lists its error codes, also in the extension \`x-error-codes\`. Codes that no operation lists belong to the WebSocket API.

### Pagination

\`limit\` is 1 to ${limits.MAX_PAGE_SIZE}, by default ${limits.DEFAULT_PAGE_SIZE}. To get the next page, send \`next_cursor\` as \`cursor\`. \`next_cursor\` is \`null\` on the last page. A
cursor is opaque and valid only for the room or user that it was issued for.

### Retries

Send an \`Idempotency-Key\` with \`POST /room\`. For ${limits.IDEMPOTENCY_TTL_SECONDS / 3_600} hours, a retry with the same key returns the first room and creates nothing. The same key with another
body is 409 \`idempotency_conflict\`.

All other requests are safe to retry. Adding, removing, granting, revoking, editing or deleting twice has no further effect. There are three visible differences:

- An admin who has revoked their own right, or a participant who has left or was removed, gets 403 for the retry.
- Ending a room that has ended is 409 \`room_ended\`.
- Each upload request returns a new \`file_id\`.

After a 429 or 503, wait for the seconds in \`Retry-After\`, then send the request again.

### Room status

A room is \`booked\` before its \`start_time\`, \`started\` until its \`end_time\`, and then \`ended\`. Without an \`end_time\`, it stays \`started\` until an admin ends it. An ended room
can be read, and participants can change their own profile and read mark in it, or leave it. Every other change is 409 \`room_ended\`.

### Limits

| What | Limit |
|---|---|
| Participants in one request | ${limits.MAX_PARTICIPANTS_PER_CALL} |
| Admins in a room | ${limits.MAX_ADMINS} |
| Request body | ${limits.MAX_BODY_BYTES / 1024} KiB |
| Uploaded file | ${limits.DEFAULT_MAX_UPLOAD_BYTES / 1024 / 1024} MiB, unless the environment sets another limit |
| Room name, description, reason | ${count(limits.MAX_ROOM_NAME_LENGTH)}, ${count(limits.MAX_DESCRIPTION_LENGTH)}, ${count(limits.MAX_REASON_LENGTH)} characters |
| Username, file name, message text | ${count(limits.MAX_USERNAME_LENGTH)}, ${count(limits.MAX_FILE_NAME_LENGTH)}, ${count(limits.MAX_MESSAGE_LENGTH)} characters |
| Rooms created by one user | ${count(DEFAULT_USER_LIMITS.roomsPerMinute)} per minute, ${count(DEFAULT_USER_LIMITS.roomsPerDay)} per day |
| Participants added by one user, when creating a room or later | ${count(DEFAULT_USER_LIMITS.participantsPerHour)} per hour; users who already are participants count |
| Uploads requested by one user | ${count(DEFAULT_USER_LIMITS.uploadsPerHour)} per hour |
| Messages edited or deleted by one user | ${count(DEFAULT_USER_LIMITS.messageChangesPerMinute)} per minute |
| Profile changes by one user | ${count(DEFAULT_USER_LIMITS.profileChangesPerMinute)} per minute |
| Start and end of a room | at most 10 years ahead; the start at most ${limits.CLOCK_SKEW_MS / 60_000} minutes in the past |

A request above a user limit is 429 \`too_many_requests\`. \`Retry-After\` is the number of seconds until the current minute, hour or day (UTC) ends. An environment may
set other user limits. A retry with the same \`Idempotency-Key\` does not count.

Lengths are UTF-16 code units, like JavaScript's \`length\`: most emoji count as 2. Unknown fields and parameters are 400 \`invalid_request\`.
`.trim();

export const SECURITY = `A JWT access token of the identity provider, in the header \`Authorization: Bearer <access token>\`. API Gateway verifies signature, issuer, audience
and expiry. For the local stack, \`npm run token -- alice\` prints a token.`;

export const TAGS: Readonly<Record<ApiSet, { readonly name: string; readonly description: string }>> = {
  unrestricted: { name: 'Unrestricted', description: 'For every user with a valid access token.' },
  admin: { name: 'Admin', description: 'For the admins of a room.' },
  participant: { name: 'Participant', description: 'For the participants of a room.' },
};

const MADE_UP_CURSOR = 'AXRlc3Q.Y3Vyc29yLWV4YW1wbGU';

interface FieldText {
  readonly description: string;
  /** The example value. It is shown if the route's own example does not have the field. */
  readonly example?: unknown;
}

/** Fields, parameters and headers by name. `operation.name` or `Component.name` takes precedence over plain `name`. */
export const FIELDS: Readonly<Record<string, FieldText>> = {
  room_id: { description: 'ID of the room, a UUIDv7.' },
  participant_id: { description: 'User ID of the participant: the `sub` claim of their access token.' },
  'removeParticipants.participant_id': {
    description: `User to remove. Repeat the parameter to remove up to ${limits.MAX_PARTICIPANTS_PER_CALL} users. Cannot be combined with a body.`,
    example: ['c1b6c1ab-3f5e-4f0e-9d55-2b9d3c6a7e10'],
  },
  participant_ids: {
    description: 'User IDs: the `sub` claims of their access tokens. Duplicates count once.',
  },
  'createRoom.participant_ids': {
    description: 'Users to add in addition to the caller, who is always added.',
  },
  name: {
    description:
      'Name of the room: one line with at least one visible character, without bidirectional control characters.',
  },
  'createUpload.name': {
    description:
      'File name: one line with at least one visible character, without bidirectional control characters. It is stored unchanged, and ' +
      'downloads use it.',
  },
  'Attachment.name': { description: 'File name given by the uploader.' },
  'Download.name': { description: 'File name given by the uploader.' },
  description: { description: 'Purpose of the room. May have several lines. `null`: no description.' },
  start_time: { description: 'When the room starts.' },
  'createRoom.start_time': { description: 'When the room starts. Default: now. Must not be in the past.' },
  'changeRoom.start_time': {
    description: 'When the room starts. Must not be in the past, unless it is the current start of the room.',
  },
  end_time: { description: 'When the room ends. `null` if only an admin can end it.' },
  'createRoom.end_time': { description: 'When the room ends, after `start_time`. `null` if only an admin can end it.' },
  'changeRoom.end_time': { description: 'When the room ends, after `start_time`. `null` if only an admin can end it.' },
  time_left_in_seconds: { description: 'Seconds until the room ends. Default: 0.' },
  reason: { description: 'Why the room ends. Participants see it as `end_reason`.' },
  'idempotency-key': {
    description: 'Identifies this attempt to create a room, for example a UUID. Reuse it for retries.',
  },
  limit: { description: 'Maximum number of items in the page.' },
  cursor: {
    description: '`next_cursor` of the previous page. Omit it for the first page.',
    example: MADE_UP_CURSOR,
  },
  'listRooms.status': { description: 'Returns only rooms that currently have this status.' },
  archived: { description: 'Returns only rooms that the caller has archived, or has not archived.', example: false },
  from: { description: 'Returns only rooms that start at this time or later.', example: '2026-03-02T00:00:00.000Z' },
  to: { description: 'Returns only rooms that start before this time.', example: '2026-03-09T00:00:00.000Z' },
  order: { description: '`desc`: newest first. `asc`: oldest first.' },
  username: { description: "The participant's name in this room. `null`: no name." },
  'updateProfile.username': {
    description:
      "The caller's name in this room: one line with at least one visible character, without bidirectional control characters. " +
      '`null` removes it.',
  },
  archive_room: { description: 'Whether the participant has archived the room. Front ends hide archived rooms.' },
  file_id: { description: 'ID of the file, a UUIDv7.' },
  message_id: { description: 'ID of the message, a ULID. IDs sort by the time of sending.' },
  'editMessage.text': { description: 'The new text of the message.' },
  after: { description: 'Returns only changes with a higher number. Default: 0, which means all.' },
  'createDownload.file_id': { description: 'ID of the file. Give either `file_id` or `message_id`.' },
  'createDownload.message_id': {
    description: 'ID of a message: returns its first file. Give either `file_id` or `message_id`.',
    example: '01KJPWMX60DN4XCMTN3FJRJPH3',
  },
  size: { description: 'Size of the file in bytes.' },
  'createUpload.size': {
    description: `Size of the file in bytes: at most ${count(limits.DEFAULT_MAX_UPLOAD_BYTES)}, unless the environment sets another limit. S3 rejects a body of another size.`,
  },
  content_type: { description: 'Media type of the file.' },
  'createUpload.content_type': {
    description:
      'Media type of the file, such as `text/plain; charset=utf-8` or `video/webm;codecs=vp9,opus`. S3 rejects a body of another type, so ' +
      'send the type in `headers`: consecutive spaces are merged there.',
  },

  status: { description: 'Current status. It follows from `start_time`, `end_time` and the current time.' },
  end_reason: { description: 'Reason that the admin gave when ending the room, or `null`.' },
  created_by: { description: 'ID of the user who created the room.' },
  created_at: { description: 'When the room was created.' },
  updated_at: { description: 'When the room was last updated.' },
  is_admin: { description: 'Whether the participant is an admin of this room.' },
  online: {
    description: `Whether the participant is online in the room: connected, or disconnected for less than ${limits.PRESENCE_GRACE_SECONDS} seconds.`,
  },
  sender_id: { description: 'User ID of the sender; `system` for messages of kind `system`.' },
  role: {
    description: 'Observers read and download, but do not send, edit or upload. An admin is always a member.',
  },
  posting: { description: 'Who may send, edit and upload: everyone but observers, or only admins.' },
  metadata: {
    description: `JSON object of your application, at most ${limits.MAX_JSON_BYTES / 1024} KiB as JSON. \`null\`: none.`,
  },
  end_warnings_seconds: {
    description:
      'How many seconds before its end the room sends `room_ending`. Warnings before the start, or in the past, are not sent.',
  },
  announcements: {
    description: 'Messages that the service sends at times relative to the start or the end of the room.',
  },
  announcement_id: {
    description: 'Your ID of the announcement. It is sent once, even if its time or text changes later.',
  },
  'Announcement.message': { description: 'Text of the message.' },
  relative_from: { description: 'Which time of the room the announcement is relative to. Default: `end`.' },
  relative_time_in_seconds: { description: 'When to send it, in seconds after that time; negative before it.' },
  read_to: {
    description: 'ID of the newest message that the participant has marked as read, or `null`.',
    example: '01KJPWMX60DN4XCMTN3FJRJPH3',
  },
  last_message_at: { description: 'When the newest message was sent, or `null`. Can be a few seconds out of date.' },
  has_unread: {
    description:
      'Whether others have sent a message since the one you marked as read, or since you were added. Can be a few seconds out of date.',
  },
  unread_count: { description: 'Number of those messages, at most 100.' },
  sender_name: { description: "The sender's username when the message was sent, or `null`." },
  kind: { description: '`user`: sent by a participant. `system`: an announcement, sent by the service.' },
  type: { description: 'Type of the message, which your application defines, or `null`.' },
  'Message.data': { description: 'JSON object of your application, or `null`.' },
  reply_to: { description: 'ID of the message that this one replies to, or `null`.' },
  attachments: { description: 'Files attached to the message.' },
  edited_at: { description: 'When the message was last edited, or `null`.' },
  deleted_at: { description: 'When the message was deleted, or `null`. A deleted message has no text, data or files.' },
  deleted_by: { description: 'ID of the user who deleted the message, or `null`.' },
  change: {
    description:
      "Number of the message's last edit or deletion, or `null` if it was never changed. The changes of a room are numbered in order.",
  },
  client_message_id: {
    description: "The sender's ID of the message. The service stores a message with the same ID only once.",
  },
  text: { description: 'Text of the message, or `null`.' },
  attachment: { description: 'First file attached to the message, or `null`.' },
  'Message.sent_at': { description: 'When the message was sent.' },
  upload_url: {
    description:
      'Send the file here with PUT. Keep the URL secret: until `expires_at`, it works without an access token.',
  },
  method: { description: 'HTTP method to use with `upload_url`.' },
  headers: { description: 'Headers to send with the PUT, unchanged.' },
  download_url: {
    description: 'Get the file here. Keep the URL secret: until `expires_at`, it works without an access token.',
  },
  'Upload.expires_at': {
    description: `When \`upload_url\` expires, ${minutes(limits.UPLOAD_URL_SECONDS)} after the response.`,
  },
  'Download.expires_at': {
    description: `When \`download_url\` expires, ${minutes(limits.DOWNLOAD_URL_SECONDS)} after the response.`,
  },
};

/** The description of each response schema. */
export const ANSWER_TEXTS: Readonly<Record<string, string>> = {
  Announcement: 'A message that the service sends at a time relative to the start or the end of the room.',
  Role: 'What a participant may do.',
  Posting: 'Who may post in a room.',
  Room: 'A room.',
  RoomDetails: 'A room as in lists, with the number of unread messages.',
  AddedParticipant: 'A participant of a room, with their role.',
  ReadMark: 'How far a participant has read.',
  Profile: "A participant's own settings in one room.",
  MyRoom: "A room, with the caller's own profile and admin right in it.",
  Participant: 'A participant of a room.',
  ListedParticipant: 'A participant of a room, with their presence.',
  RemovedParticipant: 'A user who is no longer a participant.',
  Attachment: 'A file that is attached to a message.',
  Message: 'A chat message.',
  Upload: 'A presigned URL that stores one file.',
  Download: 'A presigned URL that returns one file.',
};

const UUID = { format: 'uuid' };
const URL = { format: 'uri' };

/** Formats of response fields. The schemas do not contain them, because nothing validates responses at run time. */
export const ANSWER_FORMATS: Readonly<Record<string, object>> = {
  room_id: UUID,
  file_id: UUID,
  message_id: { pattern: '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' },
  size: { type: 'integer', minimum: 1 },
  upload_url: URL,
  download_url: URL,
};

const ROOM_ID = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
const FILE_ID = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
const ALICE = '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f';
const BOB = 'c1b6c1ab-3f5e-4f0e-9d55-2b9d3c6a7e10';

export const SENT_AT = '2026-03-02T09:05:00.125Z';

const room = {
  room_id: ROOM_ID,
  name: 'Stand-up',
  description: 'Every morning',
  start_time: '2026-03-02T09:00:00.000Z',
  end_time: null,
  status: 'started',
  end_reason: null,
  posting: 'everyone',
  metadata: { incident: 'INC-1042' },
  end_warnings_seconds: [300, 60],
  announcements: [],
  created_by: ALICE,
  created_at: '2026-03-02T09:00:00.000Z',
  updated_at: '2026-03-02T09:00:00.000Z',
} satisfies v.InferOutput<typeof answers.room>;
const profile = { participant_id: ALICE, username: 'Alice', archive_room: false };
const attachment = { file_id: FILE_ID, name: 'plan.pdf', size: 48_213, content_type: 'application/pdf' };
const message = {
  message_id: '01KJPWMX60DN4XCMTN3FJRJPH3',
  room_id: ROOM_ID,
  sender_id: ALICE,
  client_message_id: 'b7e1c0d4-4f0a-4d0e-8a2c-9f1f5c3a6e77',
  text: 'Here is the plan for today.',
  attachment,
  sent_at: '2026-03-02T09:04:12.480Z',
  sender_name: 'Alice',
  kind: 'user',
  type: null,
  data: null,
  reply_to: null,
  attachments: [attachment],
  edited_at: null,
  deleted_at: null,
  deleted_by: null,
  change: null,
} satisfies v.InferOutput<typeof answers.message>;
const SIGNATURE =
  'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260302%2Feu-central-1%2Fs3%2Faws4_request' +
  '&X-Amz-Date=20260302T090500Z&X-Amz-Expires=900&X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024';
const OBJECT_URL = `https://rooms-files.s3.eu-central-1.amazonaws.com/rooms/${ROOM_ID}/${FILE_ID}`;
const EXPIRES_AT = '2026-03-02T09:20:00.000Z';

const myRoom = {
  ...room,
  is_admin: true,
  role: 'member',
  username: 'Alice',
  archive_room: false,
  read_to: '01KJPWK0F03YV98J9N016TWRVK',
  last_message_at: message.sent_at,
  has_unread: true,
} satisfies v.InferOutput<typeof answers.myRoom>;

type Answers = typeof answers;
type AnswerExamples = { readonly [Name in keyof Answers]: v.InferOutput<Answers[Name]> };

/** An example of each response schema. */
export const ANSWER_EXAMPLES: AnswerExamples = {
  room,
  profile,
  announcement: {
    announcement_id: 'handover',
    message: 'Ten minutes left: write down what is open.',
    relative_from: 'end',
    relative_time_in_seconds: -600,
  },
  role: 'member',
  posting: 'everyone',
  myRoom,
  roomDetails: { ...myRoom, unread_count: 3 },
  addedParticipant: { ...profile, role: 'member' },
  participant: { ...profile, role: 'member', is_admin: true },
  listedParticipant: { ...profile, role: 'member', is_admin: true, online: true, read_to: message.message_id },
  removedParticipant: { participant_id: BOB },
  readMark: { participant_id: ALICE, read_to: message.message_id },
  attachment,
  message,
  upload: {
    file_id: FILE_ID,
    upload_url: `${OBJECT_URL}?${SIGNATURE}&X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match`,
    method: 'PUT',
    headers: { 'content-type': 'application/pdf', 'if-none-match': '*' },
    expires_at: EXPIRES_AT,
  },
  download: {
    download_url: `${OBJECT_URL}?${SIGNATURE}&X-Amz-SignedHeaders=host&response-content-disposition=attachment%3B%20filename%3D%22plan.pdf%22`,
    expires_at: EXPIRES_AT,
    name: attachment.name,
    size: attachment.size,
    content_type: attachment.content_type,
  },
};

type Operation = keyof typeof table;
type DataOf<O extends Operation> = v.InferOutput<(typeof table)[O]['data']>;
type DataExample<O extends Operation> = (typeof table)[O] extends { readonly list: true } ? DataOf<O>[] : DataOf<O>;

const bob = { participant_id: BOB, username: null, archive_room: false, role: 'member' } as const;

/** `data` of the response to the route's example, for routes whose response differs from the example of its kind. */
export const DATA_EXAMPLES: { readonly [O in Operation]?: DataExample<O> } = {
  changeRoom: { ...room, name: 'Stand-up, team Blue', updated_at: SENT_AT },
  endRoom: { ...room, end_time: '2026-03-02T09:10:00.000Z', end_reason: 'Shift is over', updated_at: SENT_AT },
  addParticipants: [
    { ...profile, role: 'member', is_admin: true },
    { ...bob, is_admin: false },
  ],
  setRole: { ...bob, role: 'observer', is_admin: false },
  grantAdmin: { ...bob, is_admin: true },
  revokeAdmin: { ...bob, is_admin: false },
  listParticipants: [
    { ...profile, role: 'member', is_admin: true, online: true, read_to: message.message_id },
    { ...bob, is_admin: false, online: false, read_to: null },
  ],
  listMessages: [
    message,
    {
      ...message,
      message_id: '01KJPWK0F03YV98J9N016TWRVK',
      sender_id: BOB,
      client_message_id: 'c-17',
      text: 'Good morning 👋',
      attachment: null,
      attachments: [],
      sent_at: '2026-03-02T09:03:10.304Z',
      sender_name: null,
    },
  ],
};

interface NamedExample {
  readonly summary: string;
  readonly value: object;
}

/** Request bodies in addition to the route's own example. */
export const BODY_EXAMPLES: { readonly [O in Operation]?: Readonly<Record<string, NamedExample>> } = {
  createRoom: {
    booked: {
      summary: 'Book a room in advance',
      value: {
        name: 'Shift handover',
        start_time: '2026-03-02T14:00:00.000Z',
        end_time: '2026-03-02T14:30:00.000Z',
        participant_ids: [BOB],
      },
    },
  },
  changeRoom: {
    end_soon: {
      summary: 'End the room in 5 minutes',
      value: { time_left_in_seconds: 300, reason: 'Shift is over' },
    },
    end_now: { summary: 'End the room now', value: {} },
  },
};

/** Issues of the example of a failure, for codes whose issues differ from the message of the code. */
export const ISSUE_EXAMPLES: { readonly [Code in ErrorCode]?: readonly { message: string; path?: string }[] } = {
  invalid_request: [
    { message: 'must be a UUID', path: 'room_id' },
    { message: 'must be at most 200', path: 'limit' },
  ],
  internal: [
    {
      message: 'Something went wrong on our side. Quote request id Zx8vGhE_FiAEJwQ= when you report it.',
    },
  ],
  payload_too_large: [{ message: `The body must be at most ${limits.MAX_BODY_BYTES} bytes.` }],
};
