import * as v from 'valibot';
import * as answers from './answers.ts';
import * as fields from './fields.ts';
import type { Route } from './route.ts';

/*
 * The HTTP API: one row an endpoint, and the only place where an endpoint is declared. CDK makes its function, route and
 * permissions from it, the function its validation, the documents their text, and the client its types.
 */

const inRoom = v.strictObject({ room_id: fields.roomId });
const ofParticipant = v.strictObject({ room_id: fields.roomId, participant_id: fields.userId });
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
};
const isUpdate = (body: object): boolean => Object.keys(update).some((field) => field in body);
const isEnd = (body: object): boolean => Object.keys(end.entries).some((field) => field in body);
const participantList = v.strictObject({ participant_ids: fields.participantIds });

const ROOM_ID = '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01';
const FILE_ID = '0199d3f4-8a10-7c44-b1de-5a7c0e9f3b02';
const ALICE = '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f';
const BOB = 'c1b6c1ab-3f5e-4f0e-9d55-2b9d3c6a7e10';

export const createRoom = {
  operation: 'createRoom',
  set: 'unrestricted',
  method: 'POST',
  path: '/room',
  summary: 'Create a room',
  description:
    'Anyone with a valid access token can create a room, and becomes its admin. Without `start_time` the room starts now; ' +
    'without `end_time` it goes on until it is ended. With an `Idempotency-Key`, a repeated request within a day gets the ' +
    'first answer and creates nothing.',
  headers: v.strictObject({ 'idempotency-key': v.optional(fields.idempotencyKey) }),
  body: v.strictObject({
    name: fields.roomName,
    description: v.nullish(fields.description),
    start_time: v.nullish(fields.time),
    end_time: v.nullish(fields.time),
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
    'The body tells which. Any of `name`, `description`, `start_time`, `end_time`: the room is updated; null clears ' +
    '`description` or `end_time`. `time_left_in_seconds`, `reason`, or no body at all: the room ends in that many seconds, ' +
    'at once when they are not given. A room that is about to end can be told to end sooner or later until it has ended. ' +
    'Fields of both kinds, or unknown ones, are refused and nothing happens.',
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
  access: { table: { UpdateItem: ['ROOM'], GetItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID }, body: { name: 'Stand-up, team Blue' } },
} as const satisfies Route;

export const endRoom = {
  operation: 'endRoom',
  set: 'admin',
  method: 'DELETE',
  path: '/admin/room/{room_id}',
  summary: 'End a room',
  description:
    'The room ends in `time_left_in_seconds`, at once when they are not given. Does what ending by POST does, and cannot be ' +
    'mistaken for an update.',
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
    'Adds up to 50 users. One who is in the room already stays as they are. Answers with all that were named.',
  params: inRoom,
  body: participantList,
  status: 200,
  data: answers.participant,
  list: true,
  errors: ['not_a_participant', 'not_an_admin', 'room_not_found', 'room_ended', 'payload_too_large'],
  access: {
    table: {
      ConditionCheckItem: ['ROOM', 'USER'],
      UpdateItem: ['ROOM', 'USER'],
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
    'Removes up to 50 users, and their admin rights with them. One who is not in the room is no error. Answers with all that ' +
    'were named: none of them is in the room any longer. Name them in the body, or in the query where a client cannot send a ' +
    'body with DELETE; not in both.',
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

export const grantAdmin = {
  operation: 'grantAdmin',
  set: 'admin',
  method: 'POST',
  path: '/admin/room/{room_id}/participant/{participant_id}/admin',
  summary: 'Grant admin to a participant',
  description: 'The participant can use the admin API from now on. Granting twice is no error.',
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
  access: { table: { ConditionCheckItem: ['ROOM'], UpdateItem: ['ROOM'], GetItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID, participant_id: BOB } },
} as const satisfies Route;

export const revokeAdmin = {
  operation: 'revokeAdmin',
  set: 'admin',
  method: 'DELETE',
  path: '/admin/room/{room_id}/participant/{participant_id}/admin',
  summary: 'Revoke admin from a participant',
  description:
    'The participant stays in the room and can no longer use the admin API. Revoking twice is no error. A room keeps at ' +
    'least one admin, however many revoke at once.',
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
    'The rooms you were added to, newest first. `status` filters the page that was read: a page may be short, or even empty, ' +
    'while `next_cursor` says that there is more. A room you were added to this very second may be missing.',
  query: v.strictObject({ status: v.optional(fields.status), ...page }),
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
  description: 'The room, its status at this moment, and your own profile and right in it.',
  params: inRoom,
  status: 200,
  data: answers.myRoom,
  errors: ['not_a_participant', 'room_not_found'],
  access: { table: { BatchGetItem: ['ROOM'] } },
  example: { params: { room_id: ROOM_ID } },
} as const satisfies Route;

export const listParticipants = {
  operation: 'listParticipants',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/participant',
  summary: 'List the participants of a room',
  description: 'In the order of their IDs, each with profile, right and presence.',
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
    'Call it when a user first joins, to set the `username`; null clears it. `archive_room` is the flag by which a front end ' +
    'hides a room for this user; a room that has ended can be archived too.',
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

export const listMessages = {
  operation: 'listMessages',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/chat',
  summary: 'Read the chat history of a room',
  description: 'Newest first unless `order=asc`. A cursor works in both orders: it marks the message to go on from.',
  params: inRoom,
  query: v.strictObject({ ...page, order: v.optional(fields.order, 'desc') }),
  status: 200,
  data: answers.message,
  list: true,
  errors: ['not_a_participant', 'room_not_found'],
  access: { table: { BatchGetItem: ['ROOM'], Query: ['CHAT'] } },
  example: { params: { room_id: ROOM_ID }, query: { limit: 50, order: 'desc' } },
} as const satisfies Route;

export const createUpload = {
  operation: 'createUpload',
  set: 'participant',
  method: 'GET',
  path: '/participant/room/{room_id}/upload',
  summary: 'Get a URL to upload a file to',
  description:
    'PUT the file to `upload_url` with exactly the `headers` given, within 15 minutes. S3 refuses a body of another length or ' +
    'type (403) and a second upload to the same URL (412). Then send the `file_id` with a chat message, so that others can ' +
    'download it: a file that no message has is deleted after a day.',
  params: inRoom,
  query: v.strictObject({
    name: v.optional(fields.fileName, 'file'),
    size: fields.fileSize,
    content_type: fields.contentType,
  }),
  status: 200,
  data: answers.upload,
  errors: ['not_a_participant', 'room_not_found', 'room_ended'],
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
  summary: 'Get a URL to download a file from',
  description:
    'Name the file by its own ID, or by that of the message it is attached to. The URL is good for 15 minutes; S3 ' +
    'refuses it when the upload was never finished.',
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
