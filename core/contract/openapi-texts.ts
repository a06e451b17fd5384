import type * as v from 'valibot';
import type * as answers from './answers.ts';
import type { ErrorCode } from './errors.ts';
import * as limits from './limits.ts';
import type { ApiSet } from './route.ts';
import type * as table from './routes.ts';
import { DEFAULT_USER_LIMITS } from './user-limits.ts';

/*
 * What the OpenAPI document says beside what the route table says already. It is kept apart from the table because the
 * table ships with every function, and no function needs these texts.
 */

const minutes = (seconds: number): string => `${seconds / 60} minutes`;
const count = (n: number): string => n.toLocaleString('en');

export const INTRODUCTION = `
Rooms for real-time collaboration: create a room, manage its participants, chat and exchange files.

### Access

Every request carries \`Authorization: Bearer <access token>\`, issued by IAMS. The user is the token's \`sub\` claim.
Anyone with a token can create a room and becomes its admin. The admin API is for the admins of a room, the participant API for
all who were added to it. For a room you are not in, the answer is 403 \`not_a_participant\`; for one that does not exist, 404.

### Answers

Success is \`{"data": …, "sent_at": …}\`. A list has \`page\` beside it: \`size\` is the number of items in this page, \`next_cursor\` leads to
the next one. Field names are snake_case, times are ISO 8601 in UTC with milliseconds (in requests, any zone). An absent value is \`null\`, never a missing field. Answers may
gain fields: ignore those you do not know. Every answer carries \`Cache-Control: no-store\`.

### Failures

\`{"message": …, "errors": [{"code", "message", "path"}], "sent_at": …}\`, one entry for each thing that is wrong. Decide by \`code\`: codes are stable, messages
are for people. \`path\` names the field, parameter or header that is at fault, as in \`participant_ids.3\`.

What API Gateway refuses before the service sees it has only a message, such as \`{"message": "Unauthorized"}\` for a missing or
expired token. So decide by the HTTP status first, and by \`code\` where there is one.

__ERROR_TABLE__

Each operation below lists the codes that it can answer with; codes that none of them lists belong to the WebSocket API.

### Lists

\`limit\` is 1 to ${limits.MAX_PAGE_SIZE}, ${limits.DEFAULT_PAGE_SIZE} when it is not given. Send \`next_cursor\` as \`cursor\` for the next page; \`null\` means that there is none. A
cursor is opaque and good only for the room or user it was issued for: any other use is a 400.

### Repeating requests

Send an \`Idempotency-Key\` with \`POST /room\`: a repeated request gets the first answer for ${limits.IDEMPOTENCY_TTL_SECONDS / 3_600} hours and creates nothing. The same key with another
body is 409 \`idempotency_conflict\`. Other requests can be repeated as they are: adding, removing, granting and revoking
twice is no error (but an admin who has given up their own right, or has left, gets a 403 the second time), a room that has ended answers 409
\`room_ended\`, and a repeated upload request merely gets another \`file_id\`.

After a 429 or a 503 wait as many seconds as \`Retry-After\` says, then send the request again.

### Status

A room is \`booked\` until its \`start_time\`, \`started\` until its \`end_time\` (for ever without one), then \`ended\`. An ended room can be read, and
participants can still change their own profile in it; every other change is 409 \`room_ended\`.

### Limits

| What | Limit |
|---|---|
| Participants named in one request | ${limits.MAX_PARTICIPANTS_PER_CALL} |
| Admins of a room | ${limits.MAX_ADMINS} |
| Request body | ${limits.MAX_BODY_BYTES / 1024} KiB |
| Uploaded file | ${limits.DEFAULT_MAX_UPLOAD_BYTES / 1024 / 1024} MiB, unless the environment sets another |
| Room name, description, reason | ${count(limits.MAX_ROOM_NAME_LENGTH)}, ${count(limits.MAX_DESCRIPTION_LENGTH)}, ${count(limits.MAX_REASON_LENGTH)} characters |
| User name, file name, message | ${count(limits.MAX_USERNAME_LENGTH)}, ${count(limits.MAX_FILE_NAME_LENGTH)}, ${count(limits.MAX_MESSAGE_LENGTH)} characters |
| Rooms that one user creates | ${count(DEFAULT_USER_LIMITS.roomsPerMinute)} per minute, ${count(DEFAULT_USER_LIMITS.roomsPerDay)} per day |
| Participants that one user adds, by creating rooms or later | ${count(DEFAULT_USER_LIMITS.participantsPerHour)} per hour; each one named counts, also one who is in the room already |
| Uploads that one user requests | ${count(DEFAULT_USER_LIMITS.uploadsPerHour)} per hour |
| Profile changes of one user | ${count(DEFAULT_USER_LIMITS.profileChangesPerMinute)} per minute |
| Start and end of a room | within ten years from now; a start at most ${limits.CLOCK_SKEW_MS / 60_000} minutes in the past |

More than a user may do is 429 \`too_many_requests\`; \`Retry-After\` says in how many seconds the minute, hour or day (UTC) ends. An environment may
set other numbers. A request that is repeated with its \`Idempotency-Key\` is not counted again.

Lengths are counted in UTF-16 code units, as by JavaScript's \`length\`: most emoji count as two. Unknown fields and parameters are a 400.
`.trim();

export const SECURITY = `An access token of IAMS (a JWT), in the header \`Authorization: Bearer <access token>\`. API Gateway checks signature, issuer, audience
and expiry. With the local stack, \`npm run token -- alice\` prints one.`;

export const TAGS: Readonly<Record<ApiSet, { readonly name: string; readonly description: string }>> = {
  unrestricted: { name: 'Unrestricted', description: 'For anyone with a valid access token.' },
  admin: { name: 'Admin', description: 'For the admins of a room.' },
  participant: { name: 'Participant', description: 'For all who were added to a room.' },
};

const MADE_UP_CURSOR = 'AXRlc3Q.Y3Vyc29yLWV4YW1wbGU';

interface FieldText {
  readonly description: string;
  /** Shown where the route's own example does not name the field. */
  readonly example?: unknown;
}

/** Fields, parameters and headers by name; `operation.name` or `Component.name` goes before plain `name`. */
export const FIELDS: Readonly<Record<string, FieldText>> = {
  room_id: { description: 'ID of the room, a UUIDv7.' },
  participant_id: { description: 'User ID of the participant: the `sub` claim of their access token.' },
  'removeParticipants.participant_id': {
    description: `User to remove; repeat it to remove up to ${limits.MAX_PARTICIPANTS_PER_CALL}. Not together with a body.`,
    example: ['c1b6c1ab-3f5e-4f0e-9d55-2b9d3c6a7e10'],
  },
  participant_ids: {
    description: 'User IDs: the `sub` claims of their access tokens. One that is named twice counts once.',
  },
  'createRoom.participant_ids': {
    description: 'Users to add at once, beside the caller, who is always added.',
  },
  name: {
    description:
      'Name of the room: one line with at least one visible character, and without bidirectional control characters.',
  },
  'createUpload.name': {
    description:
      'File name, stored as given: one line with at least one visible character, and without bidirectional control characters. ' +
      'Downloads get this name.',
  },
  'Attachment.name': { description: 'File name, as the uploader gave it.' },
  'Download.name': { description: 'File name, as the uploader gave it.' },
  description: { description: 'What the room is for. Several lines are fine; `null` means none.' },
  start_time: { description: 'When the room starts.' },
  'createRoom.start_time': { description: 'When the room starts; now when it is not given. Must not be in the past.' },
  'changeRoom.start_time': {
    description: 'When the room starts. Must not be in the past, unless it is the one the room has.',
  },
  end_time: { description: 'When the room ends; `null` means not until it is ended.' },
  'createRoom.end_time': { description: 'When the room ends, after `start_time`; `null` means not until it is ended.' },
  'changeRoom.end_time': { description: 'When the room ends, after `start_time`; `null` means not until it is ended.' },
  time_left_in_seconds: { description: 'In how many seconds the room ends; at once when it is not given.' },
  reason: { description: 'Why the room ends. Participants can read it as `end_reason`.' },
  'idempotency-key': { description: 'Any text that names this one attempt to create a room, such as a UUID.' },
  limit: { description: 'Items in a page at most.' },
  cursor: {
    description: '`next_cursor` of the page before. Leave it out for the first page.',
    example: MADE_UP_CURSOR,
  },
  'listRooms.status': { description: 'Only rooms that have this status now.' },
  order: { description: '`desc`: newest first. `asc`: oldest first.' },
  username: { description: "The participant's name in this room; `null` means none." },
  'updateProfile.username': {
    description:
      "The caller's name in this room: one line with at least one visible character, and without bidirectional control characters. " +
      '`null` removes it.',
  },
  archive_room: { description: 'True when the participant has archived the room, so that a front end hides it.' },
  file_id: { description: 'ID of the file, a UUIDv7.' },
  message_id: { description: 'ID of the message, a ULID: messages sort by it as they were sent.' },
  'createDownload.file_id': { description: 'ID of the file. Either this or `message_id`.' },
  'createDownload.message_id': {
    description: 'ID of the message that the file is attached to. Either this or `file_id`.',
    example: '01KJPWMX60DN4XCMTN3FJRJPH3',
  },
  size: { description: 'Length of the file in bytes.' },
  'createUpload.size': {
    description: `Length of the file in bytes, at most ${count(limits.DEFAULT_MAX_UPLOAD_BYTES)} unless the environment sets another limit. S3 refuses a body of another length.`,
  },
  content_type: { description: 'Media type of the file.' },
  'createUpload.content_type': {
    description:
      'Media type of the file, as a browser gives it: `text/plain; charset=utf-8`, `video/webm;codecs=vp9,opus`. S3 refuses a body ' +
      'of another type: send the one in `headers`, in which several spaces have become one.',
  },

  status: { description: 'What the room is at this moment: a function of `start_time`, `end_time` and the clock.' },
  end_reason: { description: 'Why the room was ended, where somebody said so.' },
  created_by: { description: 'User ID of who created the room.' },
  created_at: { description: 'When the room was created.' },
  updated_at: { description: 'When the room was last changed.' },
  is_admin: { description: 'True when the participant may use the admin API of this room.' },
  online: {
    description: `True when others see the participant in the room: connected, or without a connection for less than ${limits.PRESENCE_GRACE_SECONDS} seconds.`,
  },
  sender_id: { description: 'User ID of the sender.' },
  client_message_id: {
    description: "The sender's own ID of the message, by which a repeated message is told from a new one.",
  },
  text: { description: 'What the message says; `null` when it is only an attachment.' },
  attachment: { description: 'The file that came with the message; `null` when there is none.' },
  'Message.sent_at': { description: 'When the message was sent.' },
  upload_url: {
    description: 'PUT the file here. The URL is a secret: it works without an access token until `expires_at`.',
  },
  method: { description: 'The HTTP method to use with `upload_url`.' },
  headers: { description: 'Send these headers with the PUT, exactly as they are.' },
  download_url: {
    description: 'GET the file here. The URL is a secret: it works without an access token until `expires_at`.',
  },
  'Upload.expires_at': {
    description: `When \`upload_url\` stops working, ${minutes(limits.UPLOAD_URL_SECONDS)} from now.`,
  },
  'Download.expires_at': {
    description: `When \`download_url\` stops working, ${minutes(limits.DOWNLOAD_URL_SECONDS)} from now.`,
  },
};

/** What each kind of answer is. */
export const ANSWER_TEXTS: Readonly<Record<string, string>> = {
  Room: 'A room.',
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

/** What is known of a field of an answer beside its type: nothing checks answers at run time, so the table leaves it out. */
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
  created_by: ALICE,
  created_at: '2026-03-02T09:00:00.000Z',
  updated_at: '2026-03-02T09:00:00.000Z',
} as const;
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
};
const SIGNATURE =
  'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260302%2Feu-central-1%2Fs3%2Faws4_request' +
  '&X-Amz-Date=20260302T090500Z&X-Amz-Expires=900&X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024';
const OBJECT_URL = `https://rooms-files.s3.eu-central-1.amazonaws.com/rooms/${ROOM_ID}/${FILE_ID}`;
const EXPIRES_AT = '2026-03-02T09:20:00.000Z';

type Answers = typeof answers;
type AnswerExamples = { readonly [Name in keyof Answers]: v.InferOutput<Answers[Name]> };

/** An example of each kind of answer. */
export const ANSWER_EXAMPLES: AnswerExamples = {
  room,
  profile,
  myRoom: { ...room, is_admin: true, username: 'Alice', archive_room: false },
  participant: { ...profile, is_admin: true },
  listedParticipant: { ...profile, is_admin: true, online: true },
  removedParticipant: { participant_id: BOB },
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

const bob = { participant_id: BOB, username: null, archive_room: false };

/** `data` of the answer to the route's example, where the kind's own example would not be what that request leads to. */
export const DATA_EXAMPLES: { readonly [O in Operation]?: DataExample<O> } = {
  changeRoom: { ...room, name: 'Stand-up, team Blue', updated_at: SENT_AT },
  endRoom: { ...room, end_time: '2026-03-02T09:10:00.000Z', end_reason: 'Shift is over', updated_at: SENT_AT },
  addParticipants: [
    { ...profile, is_admin: true },
    { ...bob, is_admin: false },
  ],
  grantAdmin: { ...bob, is_admin: true },
  revokeAdmin: { ...bob, is_admin: false },
  listParticipants: [
    { ...profile, is_admin: true, online: true },
    { ...bob, is_admin: false, online: false },
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
      sent_at: '2026-03-02T09:03:10.304Z',
    },
  ],
};

interface NamedExample {
  readonly summary: string;
  readonly value: object;
}

/** Request bodies beside the route's own example. */
export const BODY_EXAMPLES: { readonly [O in Operation]?: Readonly<Record<string, NamedExample>> } = {
  createRoom: {
    booked: {
      summary: 'A room that is booked ahead',
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
      summary: 'End the room in five minutes',
      value: { time_left_in_seconds: 300, reason: 'Shift is over' },
    },
    end_now: { summary: 'End the room now', value: {} },
  },
};

/** One fault as the failure with this code shows it, where the code's own message is not what an answer would say. */
export const FAULT_EXAMPLES: { readonly [Code in ErrorCode]?: readonly { message: string; path?: string }[] } = {
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
