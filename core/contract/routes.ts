import * as v from 'valibot';
import * as answers from './answers.ts';
import * as fields from './fields.ts';
import type { Route } from './route.ts';

/*
 * The HTTP API: one row per endpoint. CDK generates function, route and permissions from the row. Validation, documents
 * and client types are generated from it, too.
 */

const inRoom = v.strictObject({ room_id: fields.roomId });
const ofParticipant = v.strictObject({ room_id: fields.roomId, participant_id: fields.userId });
const ofMessage = v.strictObject({ room_id: fields.roomId, message_id: fields.messageId });
const page = { limit: fields.limit, cursor: v.optional(fields.cursor) };
/** Some clients send `{}` with every POST and DELETE. */
const nothing = v.strictObject({});
const end = v.strictObject({
  time_left_in_seconds: v.optional(fields.timeLeft),
  reason: v.optional(fields.reason),
});
const update = {
  name: v.optional(fields.roomName),
  description: v.nullish(fields.description),
  start_time: v.optional(fields.time),
  end_time: v.nullish(fields.time),
  posting: v.optional(fields.posting),
  metadata: v.nullish(fields.jsonObject),
  end_warnings_seconds: v.optional(fields.endWarnings),
  announcements: v.optional(fields.announcements),
};
const isUpdate = (body: object): boolean => Object.keys(update).some((field) => field in body);
const isEnd = (body: object): boolean => Object.keys(end.entries).some((field) => field in body);

const ROOM_ID = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
const FILE_ID = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
const MESSAGE_ID = '01KJPWK0F03YV98J9N016TWRVK';
const ALICE = '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f';
const BOB = 'c1b6c1ab-3f5e-4f0e-9d55-2b9d3c6a7e10';

export const createRoom = {
  operation: 'createRoom',
  set: 'unrestricted',
  method: 'POST',
  path: '/room',
  summary: 'Create a room',
  description:
    'Creates a room. The caller becomes its admin. Without `start_time`, the room starts now. Without `end_time`, it lasts until an ' +
    'admin ends it. With `posting: "admins"`, only admins may post. With an `Idempotency-Key`, a retry within 24 hours returns the first room and creates nothing.',
  headers: v.strictObject({ 'idempotency-key': v.optional(fields.idempotencyKey) }),
  body: v.strictObject({
    name: fields.roomName,
    description: v.nullish(fields.description),
    start_time: v.nullish(fields.time),
    end_time: v.nullish(fields.time),
    posting: v.optional(fields.posting),
    metadata: v.nullish(fields.jsonObject),
    end_warnings_seconds: v.optional(fields.endWarnings),
    announcements: v.optional(fields.announcements),
    participant_ids: v.optional(fields.optionalParticipantIds, []),
  }),
  status: 201,
  data: answers.room,
  errors: ['idempotency_conflict', 'payload_too_large'],
  access: { table: { PutItem: ['ROOM', 'USER'], UpdateItem: ['ROOM', 'USER'], GetItem: ['USER'] } },
  counts: ['roomsPerMinute', 'roomsPerDay', 'participantsPerHour'],
  example: {
    headers: { 'idempotency-key': '5a1f6d0e-standup-2026-03-02' },
    body: { name: 'Stand-up', description: 'Every morning', participant_ids: [BOB] },
  },
} as const satisfies Route;

export const changeRoom = {
  operation: 'changeRoom',
  set: 'admin',
  method: 'POST',
  path: '/admin/room/{room_id}',
  summary: 'Update or end a room',
  description:
    'Updates the room if the body has any of `name`, `description`, `start_time`, `end_time`, `posting`, `metadata`; `null` clears ' +
    '`description`, `end_time` or `metadata`. With `posting: "admins"`, no message of other users is stored after the response. Ends the room if the body has `time_left_in_seconds` or `reason`, or is `{}` or missing. The end of a room can be ' +
    'moved until it has ended. A body with fields of both kinds, or with unknown fields, is rejected without any effect.',
  params: inRoom,
  body: v.pipe(
    v.strictObject({ ...update, ...end.entries }),
    v.check((body) => !(isUpdate(body) && isEnd(body)), 'must either update the room or end it, not both'),
    v.transform((body) =>
      isUpdate(body) ? ({ kind: 'update', ...body } as const) : ({ kind: 'end', ...body } as const),
    ),
  ),
  bodyOptional: true,
  status: 200,
  data: answers.room,
  errors: ['not_a_participant', 'not_an_admin', 'room_not_found', 'room_ended', 'payload_too_large'],
  access: {
    table: {
      UpdateItem: ['ROOM'],
      GetItem: ['ROOM'],
      BatchGetItem: ['ROOM'],
      PutItem: ['ROOM'],
      DeleteItem: ['ROOM'],
    },
  },
  example: { params: { room_id: ROOM_ID }, body: { name: 'Stand-up, team Blue' } },
} as const satisfies Route;

export const endRoom = {
  operation: 'endRoom',
  set: 'admin',
  method: 'DELETE',
  path: '/admin/room/{room_id}',
  summary: 'End a room',
  description:
    'Ends the room in `time_left_in_seconds`, by default immediately. Has the same effect as ending with POST, but is never parsed as ' +
    'an update.',
  params: inRoom,
  body: end,
  bodyOptional: true,
  status: 200,
  data: answers.room,
  errors: ['not_a_participant', 'not_an_admin', 'room_not_found', 'room_ended', 'payload_too_large'],
  access: { table: { UpdateItem: ['ROOM'], GetItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID }, body: { time_left_in_seconds: 300, reason: 'Shift is over' } },
} as const satisfies Route;

export const addParticipants = {
  operation: 'addParticipants',
  set: 'admin',
  method: 'POST',
  path: '/admin/room/{room_id}/participant',
  summary: 'Add participants',
  description:
    'Adds up to 50 users, as members or as observers. Users who already are participants stay unchanged. Returns all users in the request.',
  params: inRoom,
  body: v.strictObject({ participant_ids: fields.participantIds, role: v.optional(fields.role, 'member') }),
  status: 200,
  data: answers.participant,
  list: true,
  errors: ['not_a_participant', 'not_an_admin', 'room_not_found', 'room_ended', 'payload_too_large'],
  access: {
    table: {
      ConditionCheckItem: ['ROOM', 'USER'],
      UpdateItem: ['ROOM', 'USER'],
      PutItem: ['ROOM', 'USER'],
      GetItem: ['ROOM'],
      BatchGetItem: ['ROOM'],
    },
  },
  counts: ['participantsPerHour'],
  example: { params: { room_id: ROOM_ID }, body: { participant_ids: [ALICE, BOB] } },
} as const satisfies Route;

export const removeParticipants = {
  operation: 'removeParticipants',
  set: 'admin',
  method: 'DELETE',
  path: '/admin/room/{room_id}/participant',
  summary: 'Remove participants',
  description:
    'Removes up to 50 users and their admin rights. Users who are not participants are ignored. Returns all users in the request. ' +
    'Send the IDs in the body, or in the query if your client cannot send a body with DELETE, but not in both.',
  params: inRoom,
  query: v.strictObject({ participant_id: v.optional(fields.participantIds) }),
  body: v.strictObject({ participant_ids: v.optional(fields.participantIds) }),
  bodyOptional: true,
  status: 200,
  data: answers.removedParticipant,
  list: true,
  errors: ['not_a_participant', 'not_an_admin', 'room_not_found', 'last_admin', 'room_ended', 'payload_too_large'],
  access: { table: { UpdateItem: ['ROOM'], DeleteItem: ['ROOM'], GetItem: ['ROOM'], PutItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID }, body: { participant_ids: [BOB] } },
} as const satisfies Route;

export const setRole = {
  operation: 'setRole',
  set: 'admin',
  method: 'PATCH',
  path: '/admin/room/{room_id}/participant/{participant_id}',
  summary: 'Set the role of a participant',
  description:
    'Makes a participant an observer or a member. An observer joins, reads and downloads, but does not post: no message of theirs is ' +
    'stored after the response. Has no effect on a participant who already has the role.',
  params: ofParticipant,
  body: v.strictObject({ role: fields.role }),
  status: 200,
  data: answers.participant,
  errors: [
    'not_a_participant',
    'not_an_admin',
    'room_not_found',
    'participant_not_found',
    'participant_is_admin',
    'room_ended',
    'payload_too_large',
  ],
  access: {
    table: { ConditionCheckItem: ['ROOM'], UpdateItem: ['ROOM'], GetItem: ['ROOM'], BatchGetItem: ['ROOM'] },
  },
  example: { params: { room_id: ROOM_ID, participant_id: BOB }, body: { role: 'observer' } },
} as const satisfies Route;

export const grantAdmin = {
  operation: 'grantAdmin',
  set: 'admin',
  method: 'POST',
  path: '/admin/room/{room_id}/participant/{participant_id}/admin',
  summary: 'Grant admin to a participant',
  description:
    'Makes the participant an admin, and an observer a member. Has no effect on a participant who already is an admin.',
  params: ofParticipant,
  body: nothing,
  bodyOptional: true,
  status: 200,
  data: answers.participant,
  errors: [
    'not_a_participant',
    'not_an_admin',
    'room_not_found',
    'participant_not_found',
    'too_many_admins',
    'room_ended',
    'payload_too_large',
  ],
  access: { table: { UpdateItem: ['ROOM'], GetItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID, participant_id: BOB } },
} as const satisfies Route;

export const revokeAdmin = {
  operation: 'revokeAdmin',
  set: 'admin',
  method: 'DELETE',
  path: '/admin/room/{room_id}/participant/{participant_id}/admin',
  summary: 'Revoke admin from a participant',
  description:
    'Makes an admin a normal participant. Has no effect on a participant who is not an admin. A room always keeps at least one ' +
    'admin, even if several admins revoke at the same time.',
  params: ofParticipant,
  body: nothing,
  bodyOptional: true,
  status: 200,
  data: answers.participant,
  errors: [
    'not_a_participant',
    'not_an_admin',
    'room_not_found',
    'participant_not_found',
    'last_admin',
    'room_ended',
    'payload_too_large',
  ],
  access: { table: { UpdateItem: ['ROOM'], GetItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID, participant_id: BOB } },
} as const satisfies Route;

export const listRooms = {
  operation: 'listRooms',
  set: 'participant',
  method: 'GET',
  path: '/participant/room',
  summary: 'List your rooms',
  description:
    'Returns the rooms of the caller, newest first unless `order` is `asc`. With a filter, a request reads up to 1,000 rooms until ' +
    'its page is full, so a page can be short or empty ' +
    'although there are more: continue until `next_cursor` is `null`. A room that the caller was added to within the last second may ' +
    'be missing.',
  query: v.pipe(
    v.strictObject({
      status: v.optional(fields.status),
      archived: v.optional(v.boolean()),
      from: v.optional(fields.time),
      to: v.optional(fields.time),
      order: v.optional(fields.order, 'desc'),
      ...page,
    }),
    v.forward(
      v.partialCheck(
        [['from'], ['to']],
        ({ from, to }) => from === undefined || to === undefined || from < to,
        'must be after from',
      ),
      ['to'],
    ),
  ),
  status: 200,
  data: answers.myRoom,
  list: true,
  errors: [],
  access: { table: { BatchGetItem: ['ROOM'] }, index: ['USER'] },
  example: { query: { status: 'started', limit: 20 } },
} as const satisfies Route;

export const getRoom = {
  operation: 'getRoom',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}',
  summary: 'Get a room',
  description:
    "Returns the room with its current status, and the caller's own profile, admin right and read mark. `unread_count` counts messages " +
    'of others among the next 100 after the read mark.',
  params: inRoom,
  status: 200,
  data: answers.roomDetails,
  errors: ['not_a_participant', 'room_not_found'],
  access: { table: { BatchGetItem: ['ROOM'], Query: ['CHAT'] } },
  example: { params: { room_id: ROOM_ID } },
} as const satisfies Route;

export const leaveRoom = {
  operation: 'leaveRoom',
  set: 'participant',
  method: 'DELETE',
  path: '/participant/room/{room_id}',
  summary: 'Leave a room',
  description:
    'Removes the caller from the room, with their admin right. The last admin cannot leave: grant admin to someone else first. Also ' +
    'possible before the room starts and after it has ended. Leaving twice is `not_a_participant`.',
  params: inRoom,
  body: nothing,
  bodyOptional: true,
  status: 200,
  data: answers.removedParticipant,
  errors: ['not_a_participant', 'room_not_found', 'last_admin', 'payload_too_large'],
  access: {
    table: { ConditionCheckItem: ['ROOM'], UpdateItem: ['ROOM'], DeleteItem: ['ROOM'], PutItem: ['ROOM'] },
  },
  example: { params: { room_id: ROOM_ID } },
} as const satisfies Route;

export const listParticipants = {
  operation: 'listParticipants',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/participant',
  summary: 'List the participants of a room',
  description: 'Returns the participants with profile, admin right and presence, sorted by ID.',
  params: inRoom,
  query: v.strictObject(page),
  status: 200,
  data: answers.listedParticipant,
  list: true,
  errors: ['not_a_participant', 'room_not_found'],
  access: { table: { BatchGetItem: ['ROOM'], Query: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID }, query: { limit: 100 } },
} as const satisfies Route;

export const updateProfile = {
  operation: 'updateProfile',
  set: 'participant',
  method: 'PATCH',
  path: '/participant/room/{room_id}/userprofile',
  summary: 'Set your profile in a room',
  description:
    'Sets `username`, `archive_room`, or both. Set `username` when a user first joins the room; `null` clears it. Front ends use ' +
    '`archive_room` to hide a room for this user. It can also be set after the room has ended.',
  params: inRoom,
  body: v.pipe(
    v.strictObject({ username: v.nullish(fields.username), archive_room: v.optional(v.boolean()) }),
    v.minEntries(1, 'must have at least one of username, archive_room'),
  ),
  status: 200,
  data: answers.profile,
  errors: ['not_a_participant', 'room_not_found', 'payload_too_large'],
  access: { table: { UpdateItem: ['ROOM', 'USER'], GetItem: ['ROOM'] } },
  counts: ['profileChangesPerMinute'],
  example: { params: { room_id: ROOM_ID }, body: { username: 'Alice', archive_room: false } },
} as const satisfies Route;

export const markRead = {
  operation: 'markRead',
  set: 'participant',
  method: 'PUT',
  path: '/participant/room/{room_id}/read',
  summary: 'Mark messages as read',
  description:
    'Marks all messages up to `message_id` as read by you. The mark only moves forward: an older message has no effect, and the ' +
    'response has the current mark. The message need not exist, but its time must not be in the future. It can also be set after the room ' +
    'has ended. Other participants see the mark in the list of participants. Your other connections receive the event `read`, if they ' +
    'subscribed.',
  params: inRoom,
  body: v.strictObject({ message_id: fields.messageId }),
  status: 200,
  data: answers.readMark,
  errors: ['not_a_participant', 'room_not_found', 'payload_too_large'],
  access: { table: { UpdateItem: ['ROOM'], GetItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID }, body: { message_id: MESSAGE_ID } },
} as const satisfies Route;

export const listMessages = {
  operation: 'listMessages',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/chat',
  summary: 'Read the chat history of a room',
  description:
    'Returns messages, newest first unless `order` is `asc`. A cursor marks a message and works in both orders.',
  params: inRoom,
  query: v.strictObject({ ...page, order: v.optional(fields.order, 'desc') }),
  status: 200,
  data: answers.message,
  list: true,
  errors: ['not_a_participant', 'room_not_found'],
  access: { table: { BatchGetItem: ['ROOM'], Query: ['CHAT'] } },
  example: { params: { room_id: ROOM_ID }, query: { limit: 50, order: 'desc' } },
} as const satisfies Route;

export const editMessage = {
  operation: 'editMessage',
  set: 'participant',
  method: 'PATCH',
  path: '/participant/room/{room_id}/chat/{message_id}',
  summary: 'Edit a message',
  description:
    'Replaces the text of a message of the caller. Files, `type`, `data` and `reply_to` stay. Has no effect if the message has this text. ' +
    'History shows the message as it is now. The former text is not kept.',
  params: ofMessage,
  body: v.strictObject({ text: fields.messageText }),
  status: 200,
  data: answers.message,
  errors: [
    'not_a_participant',
    'read_only',
    'not_the_sender',
    'room_not_found',
    'message_not_found',
    'room_not_started',
    'room_ended',
    'message_deleted',
    'payload_too_large',
  ],
  access: {
    table: {
      BatchGetItem: ['ROOM', 'CHAT'],
      ConditionCheckItem: ['ROOM', 'CHAT'],
      UpdateItem: ['ROOM', 'CHAT', 'USER'],
      PutItem: ['ROOM', 'CHAT'],
      DeleteItem: ['ROOM', 'CHAT'],
    },
  },
  counts: ['messageChangesPerMinute'],
  example: { params: { room_id: ROOM_ID, message_id: MESSAGE_ID }, body: { text: 'The meeting is at 10:30.' } },
} as const satisfies Route;

export const deleteMessage = {
  operation: 'deleteMessage',
  set: 'participant',
  method: 'DELETE',
  path: '/participant/room/{room_id}/chat/{message_id}',
  summary: 'Delete a message',
  description:
    'Deletes the text, `type`, `data` and files of a message. Its sender may do so while the room is started, an admin at any time, also after the ' +
    'end. The sender, the time, and the user who deleted it remain. A file that no other message has is deleted, too: its ' +
    'download is 404 `file_not_found`. Deleting a message again has no further effect.',
  params: ofMessage,
  body: nothing,
  bodyOptional: true,
  status: 200,
  data: answers.message,
  errors: [
    'not_a_participant',
    'not_the_sender',
    'room_not_found',
    'message_not_found',
    'room_not_started',
    'room_ended',
    'payload_too_large',
  ],
  access: {
    table: {
      BatchGetItem: ['ROOM', 'CHAT'],
      ConditionCheckItem: ['ROOM', 'CHAT'],
      UpdateItem: ['ROOM', 'CHAT', 'USER'],
      PutItem: ['ROOM', 'CHAT'],
      DeleteItem: ['ROOM', 'CHAT'],
    },
    bucket: ['DeleteObject'],
  },
  counts: ['messageChangesPerMinute'],
  example: { params: { room_id: ROOM_ID, message_id: MESSAGE_ID } },
} as const satisfies Route;

export const listMessageChanges = {
  operation: 'listMessageChanges',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/chat/change',
  summary: 'Read what has changed in the chat history',
  description:
    'Returns the messages that were edited or deleted, as they are now, in the order of their last `change`. Each message is listed once. To ' +
    'get only what has happened since, give `after`: the highest `change` that you have. New messages are not listed: read them from the chat history.',
  params: inRoom,
  query: v.pipe(
    v.strictObject({ after: v.optional(fields.change), ...page }),
    v.check(({ after, cursor }) => after === undefined || cursor === undefined, 'must not have both after and cursor'),
  ),
  status: 200,
  data: answers.message,
  list: true,
  errors: ['not_a_participant', 'room_not_found'],
  access: { table: { BatchGetItem: ['ROOM', 'CHAT'], Query: ['CHAT'] } },
  example: { params: { room_id: ROOM_ID }, query: { after: 41, limit: 50 } },
} as const satisfies Route;

export const createUpload = {
  operation: 'createUpload',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/upload',
  summary: 'Get a URL to upload a file',
  description:
    'Returns a presigned URL. Send the file to `upload_url` with PUT and exactly the given `headers`, within 15 minutes. S3 rejects ' +
    'a body of another size or type with 403, and a second upload to the same URL with 412. Then send the `file_id` in a chat ' +
    'message. A file that no message uses is deleted after 24 hours. Observers, and members of a room in which only admins may post, ' +
    'get `read_only`.',
  params: inRoom,
  query: v.strictObject({
    name: v.optional(fields.fileName, 'file'),
    size: fields.fileSize,
    content_type: fields.contentType,
  }),
  status: 200,
  data: answers.upload,
  errors: ['not_a_participant', 'read_only', 'room_not_found', 'room_ended'],
  access: {
    table: { BatchGetItem: ['ROOM'], UpdateItem: ['USER'], ConditionCheckItem: ['ROOM'], PutItem: ['ROOM'] },
    bucket: ['PutObject'],
  },
  counts: ['uploadsPerHour'],
  example: { params: { room_id: ROOM_ID }, query: { name: 'plan.pdf', size: 48213, content_type: 'application/pdf' } },
} as const satisfies Route;

export const createDownload = {
  operation: 'createDownload',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/download',
  summary: 'Get a URL to download a file',
  description:
    'Returns a presigned URL that is valid for 15 minutes. Identify the file by its own ID, or by the ID of the message that it is ' +
    'attached to. If the upload was never finished, S3 rejects the download.',
  params: inRoom,
  query: v.pipe(
    v.strictObject({ file_id: v.optional(fields.fileId), message_id: v.optional(fields.messageId) }),
    v.minEntries(1, 'must have file_id or message_id'),
    v.maxEntries(1, 'must not have both file_id and message_id'),
  ),
  status: 200,
  data: answers.download,
  errors: ['not_a_participant', 'room_not_found', 'file_not_found'],
  access: { table: { BatchGetItem: ['ROOM', 'CHAT'] }, bucket: ['GetObject'] },
  example: { params: { room_id: ROOM_ID }, query: { file_id: FILE_ID } },
} as const satisfies Route;
