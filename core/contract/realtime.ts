import * as v from 'valibot';
import * as answers from './answers.ts';
import type { ErrorCode } from './errors.ts';
import * as fields from './fields.ts';
import { MAX_PING_ROOMS } from './limits.ts';
import type { Access } from './route.ts';

/*
 * The WebSocket API: what clients can send (one row per action), and what they receive (one row per event). Like the
 * HTTP API's route table, this is the only declaration.
 */

const seqNumber = v.pipe(v.number(), v.integer(), v.minValue(0));
/** The last assigned event number of each feed of a room. */
export const roomSeq = v.object({ messages: seqNumber, changes: seqNumber });
export type RoomSeq = v.InferOutput<typeof roomSeq>;

/**
 * `last_change` is the last change of the room's messages. `seq` and `joined_at` are present only for `rooms.v2`
 * connections.
 */
export const joinedRoom = v.object({
  ...answers.myRoom.entries,
  seq: v.optional(roomSeq),
  joined_at: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  last_change: v.optional(seqNumber),
});
export type JoinedRoom = v.InferOutput<typeof joinedRoom>;

export interface Action {
  readonly action: string;
  readonly summary: string;
  /** The fields of the frame, in addition to `action` and `request_id`. */
  readonly frame: v.StrictObjectSchema<v.ObjectEntries, undefined> | v.GenericSchema<unknown, unknown>;
  /** `data` of the reply. */
  readonly data: v.GenericSchema<unknown, unknown>;
  /** Errors of this action, in addition to those of all actions (see COMMON_ACTION_ERRORS). */
  readonly errors: readonly ErrorCode[];
  readonly access: Access;
  /** Whether the function posts to connections. Default: false. */
  readonly posts?: boolean;
  /** Whether frames write nothing, and so do not count towards the limits of frames. Default: false. */
  readonly uncounted?: boolean;
}

const envelope = { action: v.string(), request_id: fields.requestId };
const inRoom = { ...envelope, room_id: fields.roomId };

export const join = {
  action: 'join',
  summary:
    'Joins a room: the connection receives its events, and the user is online in it. Joining again has no further effect.',
  frame: v.strictObject({ ...inRoom, ping_interval_seconds: v.optional(fields.pingInterval) }),
  data: joinedRoom,
  errors: ['not_a_participant', 'room_not_found', 'room_not_started', 'room_ended'],
  access: {
    table: { BatchGetItem: ['ROOM', 'CHAT'], UpdateItem: ['ROOM', 'USER'], PutItem: ['ROOM'] },
  },
} as const satisfies Action;

export const leave = {
  action: 'leave',
  summary:
    'Leaves a room: the connection receives no more events of it. Leaving a room that was not joined has no effect.',
  frame: v.strictObject(inRoom),
  data: v.object({ room_id: v.string() }),
  errors: [],
  access: { table: { UpdateItem: ['ROOM', 'USER'], DeleteItem: ['ROOM'] } },
} as const satisfies Action;

export const message = {
  action: 'message',
  summary:
    'Sends a chat message: text, files or `data`. A retry with the same `client_message_id` within 24 hours gets the message as it is now and ' +
    'stores nothing, even after the end. Other content is `idempotency_conflict`.',
  frame: v.pipe(
    v.strictObject({
      ...inRoom,
      client_message_id: fields.clientMessageId,
      text: v.optional(fields.messageText),
      attachment: v.optional(v.strictObject({ file_id: fields.fileId })),
      attachments: v.optional(fields.attachments),
      type: v.optional(fields.messageType),
      data: v.optional(fields.jsonObject),
      reply_to: v.optional(fields.messageId),
    }),
    v.check(
      ({ text, attachment, attachments = [], data }) =>
        text !== undefined || attachment !== undefined || attachments.length > 0 || data !== undefined,
      'must have text, attachment, attachments or data',
    ),
    v.check(
      ({ attachment, attachments }) => attachment === undefined || attachments === undefined,
      'must not have both attachment and attachments',
    ),
  ),
  data: answers.message,
  errors: [
    'not_a_participant',
    'room_not_found',
    'room_not_started',
    'room_ended',
    'read_only',
    'file_not_found',
    'file_not_uploaded',
    'message_not_found',
    'idempotency_conflict',
  ],
  access: {
    table: {
      BatchGetItem: ['ROOM', 'CHAT'],
      GetItem: ['ROOM', 'CHAT'],
      PutItem: ['CHAT', 'ROOM'],
      ConditionCheckItem: ['CHAT', 'ROOM'],
      UpdateItem: ['USER', 'ROOM', 'CHAT'],
    },
    bucket: ['GetObject'],
  },
} as const satisfies Action;

export const ping = {
  action: 'ping',
  summary:
    'Keeps the connection open and checks that it works. API Gateway closes a connection after 10 minutes without frames. With `rooms` ' +
    'or `subscribed`, the reply also shows whether the connection has missed events.',
  frame: v.strictObject({
    ...envelope,
    rooms: v.optional(
      v.pipe(v.array(fields.roomId), v.maxLength(MAX_PING_ROOMS, `must name at most ${MAX_PING_ROOMS} rooms`)),
    ),
    subscribed: v.optional(v.boolean()),
  }),
  data: v.object({
    time: v.string(),
    rooms: v.optional(v.record(v.string(), roomSeq)),
    user: v.optional(seqNumber),
  }),
  errors: [],
  access: { table: { UpdateItem: ['USER'], BatchGetItem: ['ROOM', 'USER'] } },
} as const satisfies Action;

export const subscribe = {
  action: 'subscribe',
  summary:
    'Subscribes the connection to `participant_added` and `participant_removed` of your own user in all rooms. Subscribing again has no ' +
    'further effect. Earlier events are not sent: list your rooms after the reply.',
  frame: v.strictObject(envelope),
  data: v.object({ participant_id: v.string(), seq: v.optional(seqNumber) }),
  errors: [],
  access: { table: { UpdateItem: ['USER'], GetItem: ['USER'] } },
} as const satisfies Action;

export const typing = {
  action: 'typing',
  summary:
    'Shows others whether you are typing. They receive the event `typing`, in rooms of up to 100 connections. Nothing is stored. ' +
    'A second `true` within 2 seconds gets `too_many_requests`.',
  frame: v.strictObject({ ...inRoom, typing: v.boolean() }),
  data: v.object({ room_id: v.string() }),
  errors: ['not_a_participant', 'room_not_found', 'room_not_started', 'room_ended', 'read_only'],
  access: { table: { BatchGetItem: ['ROOM'], Query: ['ROOM'] } },
  posts: true,
  uncounted: true,
} as const satisfies Action;

/** The reply to frames with an unknown action, and to frames that are not a JSON object. */
export const unknownAction = {
  action: '$default',
  summary: 'Refused, with the actions there are.',
  frame: v.looseObject({}),
  data: v.never(),
  errors: [],
  access: { table: { UpdateItem: ['USER'] } },
} as const satisfies Action;

export const actions = { join, leave, message, ping, subscribe, typing } as const satisfies Record<string, Action>;

/** Errors of all actions. */
export const COMMON_ACTION_ERRORS = [
  'invalid_request',
  'token_expired',
  'payload_too_large',
  'too_many_requests',
  'internal',
  'try_again',
] as const satisfies readonly ErrorCode[];

export type ActionName = keyof typeof actions;

const peer = v.object({ participant_id: v.string(), username: v.nullable(v.string()) });

/** The event's own fields. */
export interface EventType {
  readonly summary: string;
  /** `data` of the event. */
  readonly data: v.GenericSchema<unknown, unknown>;
  /** True if the event is also published on the EventBridge bus, for back ends. Default: false. */
  readonly bus?: boolean;
}

/** Every event is `{type, room_id, data, sent_at}`. */
export const events = {
  message: { summary: 'A participant sent a chat message.', data: answers.message },
  message_updated: { summary: 'The sender edited a chat message.', data: answers.message },
  message_deleted: {
    summary: 'A chat message was deleted, by its sender or an admin. It no longer has text, data or files.',
    data: answers.message,
  },
  typing: {
    summary: 'A participant started or stopped typing. Never stored, and only in rooms of up to 100 connections.',
    data: v.object({ ...peer.entries, typing: v.boolean() }),
  },
  read: {
    summary:
      'You have read further, on another connection. Only for connections that have subscribed to their own user.',
    data: answers.readMark,
  },
  peer_joined: { summary: 'A participant came online in the room.', data: peer },
  peer_left: { summary: 'A participant has been offline for 10 seconds, has left, or was removed.', data: peer },
  room_created: {
    summary:
      'A user created the room. WebSocket clients rarely receive it, because they cannot join before the room exists.',
    data: answers.room,
    bus: true,
  },
  participant_added: {
    summary:
      'A user became a participant: an admin added them, or the room was created with them. Also sent for the creator.',
    data: answers.addedParticipant,
    bus: true,
  },
  participant_removed: {
    summary:
      'An admin removed a participant, or a participant left. The `rooms.v1` connections of the user in the room are closed, the `rooms.v2` connections are detached ' +
      'from it.',
    data: v.object({ ...answers.removedParticipant.entries, reason: v.picklist(['left', 'removed']) }),
    bus: true,
  },
  participant_updated: {
    summary:
      'A participant changed their profile, or their admin right or role was changed. Has only the fields that changed.',
    data: v.object({
      participant_id: v.string(),
      username: v.optional(v.nullable(v.string())),
      archive_room: v.optional(v.boolean()),
      is_admin: v.optional(v.boolean()),
      role: v.optional(answers.role),
    }),
    bus: true,
  },
  room_updated: { summary: 'An admin updated the room.', data: answers.room, bus: true },
  room_started: { summary: 'The room has started.', data: answers.room, bus: true },
  room_ending: {
    summary: 'The room ends soon. Sent at each of the times in `end_warnings_seconds`.',
    data: v.object({ ends_at: v.pipe(v.string(), v.isoTimestamp()), seconds_left: seqNumber }),
    bus: true,
  },
  room_ended: {
    summary:
      'The room has ended. Its `rooms.v1` connections are closed, its `rooms.v2` connections are detached from it.',
    data: answers.room,
    bus: true,
  },
  presence: {
    summary:
      'Number of online participants, instead of single `peer_joined` and `peer_left` events while more than 100 are online. Up to 1,000, it also ' +
      'contains the users who joined and left, at most once a second. Above, it has only the count, at most every 1 s per 2,000 participants. Only on `rooms.v2` connections: those of `rooms.v1` ' +
      'get a `peer_joined` or `peer_left` event for each name, and nothing above 1,000.',
    data: v.object({
      count: v.pipe(v.number(), v.integer(), v.minValue(0)),
      joined: v.optional(v.array(peer)),
      left: v.optional(v.array(peer)),
    }),
  },
} as const satisfies Record<string, EventType>;

export type EventName = keyof typeof events;

/** An event as it is sent to clients. */
export type RoomEventOf<Name extends EventName> = {
  readonly type: Name;
  readonly room_id: string;
  readonly data: v.InferOutput<(typeof events)[Name]['data']>;
  readonly sent_at: string;
};
export type RoomEvent = { [Name in EventName]: RoomEventOf<Name> }[EventName];

/**
 * The feeds in which events are numbered: a room's messages, other changes of a room, and events of a subscribed user.
 */
export const FEEDS = ['messages', 'changes', 'user'] as const;
export type Feed = (typeof FEEDS)[number];

/** Why a connection was removed from a room. */
export const DETACH_REASONS = ['room_ended', 'removed'] as const;
export type DetachReason = (typeof DETACH_REASONS)[number];

/** An event in a frame of `rooms.v2`, which contains room and time once for all its events. */
export type PackedEvent = { [Name in EventName]: Pick<RoomEventOf<Name>, 'type' | 'data'> }[EventName];

/** Events of one feed, for connections that speak `rooms.v2`: `events[i]` has the number `seq + i`. */
export interface EventsFrame {
  readonly type: 'events';
  readonly room_id: string;
  readonly feed: Feed;
  readonly seq: number;
  readonly sent_at: string;
  readonly events: readonly PackedEvent[];
}

/** The last frame about a room, after which the connection is no longer in it. Its events have no numbers. */
export interface DetachedFrame {
  readonly type: 'detached';
  readonly room_id: string;
  readonly reason: DetachReason;
  /**
   * The value from the reply to the join that has ended. Missing if the connection joined before the service supported
   * `rooms.v2`.
   */
  readonly joined_at?: string;
  readonly sent_at: string;
  readonly events: readonly PackedEvent[];
}

/** The reply to a frame. `request_id` is null if the frame had none, or it could not be read. */
export type Reply =
  | { readonly type: 'reply'; readonly request_id: string; readonly ok: true; readonly data: unknown }
  | {
      readonly type: 'reply';
      readonly request_id: string | null;
      readonly ok: false;
      readonly error: {
        readonly code: ErrorCode;
        readonly message: string;
        /** The number of seconds until a retry, if it is known. */
        readonly retry_after?: number;
        /** One entry per invalid field. Missing if no field is invalid. */
        readonly errors?: readonly { readonly code: ErrorCode; readonly message: string; readonly path?: string }[];
      };
    };
