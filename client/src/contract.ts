/*
 * Generated from the contract of the service by "npm run client:generate". Do not edit.
 */

/** Every error code the service answers with, and its HTTP status. */
export const ERROR_STATUS = {
  /** The request is not valid. */
  invalid_request: 400,
  /** The access token does not name a user this service can serve. */
  invalid_token: 401,
  /** The access token has expired. Connect again with a new one. */
  token_expired: 401,
  /** You are not a participant of this room. */
  not_a_participant: 403,
  /** You are not an admin of this room. */
  not_an_admin: 403,
  /** There is no such room. */
  room_not_found: 404,
  /** There is no such participant in this room. */
  participant_not_found: 404,
  /** There is no such file in this room. */
  file_not_found: 404,
  /** A room must keep at least one admin. Grant admin to someone else first. */
  last_admin: 409,
  /** This room has as many admins as a room can have. Revoke one first. */
  too_many_admins: 409,
  /** This room has ended. */
  room_ended: 409,
  /** This room has not started yet. */
  room_not_started: 409,
  /** The upload of this file has not finished. Finish it, then send the message. */
  file_not_uploaded: 409,
  /** This Idempotency-Key was already used for a different request. Use a new key. */
  idempotency_conflict: 409,
  /** The request body is too large. */
  payload_too_large: 413,
  /** Too many requests. Wait, then try again. */
  too_many_requests: 429,
  /** Something went wrong on our side. */
  internal: 500,
  /** The service is busy. Wait, then try again. */
  try_again: 503,
} as const;

/** What went wrong, as the service says it. Codes are stable. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/** Items that a page of a list can hold. */
export const MAX_PAGE_SIZE = 200;
/** Users that one call can add or remove. */
export const MAX_PARTICIPANTS_PER_CALL = 50;
/** UTF-16 code units that the text of a message can have. */
export const MAX_MESSAGE_LENGTH = 8000;
/** UTF-8 bytes that a WebSocket frame can have. */
export const MAX_FRAME_BYTES = 32768;

/** Sub-protocols of the WebSocket, one for each version, and what stands before the access token in another one. */
export const SUB_PROTOCOL = 'rooms.v1';
export const SUB_PROTOCOL_V2 = 'rooms.v2';
export const BEARER_SUB_PROTOCOL = 'bearer.';

/** A file that is attached to a message. */
export interface Attachment {
  /** ID of the file, a UUIDv7. */
  readonly file_id: string;
  /** File name, as the uploader gave it. */
  readonly name: string;
  /** Length of the file in bytes. */
  readonly size: number;
  /** Media type of the file. */
  readonly content_type: string;
}

/** A presigned URL that returns one file. */
export interface Download {
  /** GET the file here. The URL is a secret: it works without an access token until `expires_at`. */
  readonly download_url: string;
  /** When `download_url` stops working, 15 minutes from now. */
  readonly expires_at: string;
  /** File name, as the uploader gave it. */
  readonly name: string;
  /** Length of the file in bytes. */
  readonly size: number;
  /** Media type of the file. */
  readonly content_type: string;
}

/** A participant of a room, with their presence. */
export interface ListedParticipant {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** The participant's name in this room; `null` means none. */
  readonly username: string | null;
  /** True when the participant has archived the room, so that a front end hides it. */
  readonly archive_room: boolean;
  /** True when the participant may use the admin API of this room. */
  readonly is_admin: boolean;
  /** True when others see the participant in the room: connected, or without a connection for less than 10 seconds. */
  readonly online: boolean;
}

/** A chat message. */
export interface Message {
  /** ID of the message, a ULID: messages sort by it as they were sent. */
  readonly message_id: string;
  /** ID of the room, a UUIDv7. */
  readonly room_id: string;
  /** User ID of the sender. */
  readonly sender_id: string;
  /** The sender's own ID of the message, by which a repeated message is told from a new one. */
  readonly client_message_id: string;
  /** What the message says; `null` when it is only an attachment. */
  readonly text: string | null;
  /** The file that came with the message; `null` when there is none. */
  readonly attachment: Attachment | null;
  /** When the message was sent. */
  readonly sent_at: string;
}

/** A room, with the caller's own profile and admin right in it. */
export interface MyRoom {
  /** ID of the room, a UUIDv7. */
  readonly room_id: string;
  /** Name of the room: one line with at least one visible character, and without bidirectional control characters. */
  readonly name: string;
  /** What the room is for. Several lines are fine; `null` means none. */
  readonly description: string | null;
  /** When the room starts. */
  readonly start_time: string;
  /** When the room ends; `null` means not until it is ended. */
  readonly end_time: string | null;
  /** What the room is at this moment: a function of `start_time`, `end_time` and the clock. */
  readonly status: 'booked' | 'started' | 'ended';
  /** Why the room was ended, where somebody said so. */
  readonly end_reason: string | null;
  /** User ID of who created the room. */
  readonly created_by: string;
  /** When the room was created. */
  readonly created_at: string;
  /** When the room was last changed. */
  readonly updated_at: string;
  /** True when the participant may use the admin API of this room. */
  readonly is_admin: boolean;
  /** The participant's name in this room; `null` means none. */
  readonly username: string | null;
  /** True when the participant has archived the room, so that a front end hides it. */
  readonly archive_room: boolean;
}

/** A participant of a room. */
export interface Participant {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** The participant's name in this room; `null` means none. */
  readonly username: string | null;
  /** True when the participant has archived the room, so that a front end hides it. */
  readonly archive_room: boolean;
  /** True when the participant may use the admin API of this room. */
  readonly is_admin: boolean;
}

/** A participant's own settings in one room. */
export interface Profile {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** The participant's name in this room; `null` means none. */
  readonly username: string | null;
  /** True when the participant has archived the room, so that a front end hides it. */
  readonly archive_room: boolean;
}

/** A user who is no longer a participant. */
export interface RemovedParticipant {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
}

/** A room. */
export interface Room {
  /** ID of the room, a UUIDv7. */
  readonly room_id: string;
  /** Name of the room: one line with at least one visible character, and without bidirectional control characters. */
  readonly name: string;
  /** What the room is for. Several lines are fine; `null` means none. */
  readonly description: string | null;
  /** When the room starts. */
  readonly start_time: string;
  /** When the room ends; `null` means not until it is ended. */
  readonly end_time: string | null;
  /** What the room is at this moment: a function of `start_time`, `end_time` and the clock. */
  readonly status: 'booked' | 'started' | 'ended';
  /** Why the room was ended, where somebody said so. */
  readonly end_reason: string | null;
  /** User ID of who created the room. */
  readonly created_by: string;
  /** When the room was created. */
  readonly created_at: string;
  /** When the room was last changed. */
  readonly updated_at: string;
}

/** A presigned URL that stores one file. */
export interface Upload {
  /** ID of the file, a UUIDv7. */
  readonly file_id: string;
  /** PUT the file here. The URL is a secret: it works without an access token until `expires_at`. */
  readonly upload_url: string;
  /** The HTTP method to use with `upload_url`. */
  readonly method: 'PUT';
  /** Send these headers with the PUT, exactly as they are. */
  readonly headers: Readonly<Record<string, string>>;
  /** When `upload_url` stops working, 15 minutes from now. */
  readonly expires_at: string;
}

/** The last number that was given to an event of each feed of a room. Only with `rooms.v2`. */
export interface RoomSeq {
  readonly messages: number;
  readonly changes: number;
}

/** Add participants: body. */
export interface AddParticipantsBody {
  /** User IDs: the `sub` claims of their access tokens. One that is named twice counts once. */
  readonly participant_ids: readonly string[];
}

/** Update or end a room: body. */
export interface ChangeRoomBody {
  /** Name of the room: one line with at least one visible character, and without bidirectional control characters. */
  readonly name?: string | undefined;
  /** What the room is for. Several lines are fine; `null` means none. */
  readonly description?: string | null | undefined;
  /** When the room starts. Must not be in the past, unless it is the one the room has. */
  readonly start_time?: string | undefined;
  /** When the room ends, after `start_time`; `null` means not until it is ended. */
  readonly end_time?: string | null | undefined;
  /** In how many seconds the room ends; at once when it is not given. */
  readonly time_left_in_seconds?: number | undefined;
  /** Why the room ends. Participants can read it as `end_reason`. */
  readonly reason?: string | undefined;
}

/** Get a URL to download a file from: query parameters. */
export interface CreateDownloadQuery {
  /** ID of the file. Either this or `message_id`. */
  readonly file_id?: string | undefined;
  /** ID of the message that the file is attached to. Either this or `file_id`. */
  readonly message_id?: string | undefined;
}

/** Create a room: body. */
export interface CreateRoomBody {
  /** Name of the room: one line with at least one visible character, and without bidirectional control characters. */
  readonly name: string;
  /** What the room is for. Several lines are fine; `null` means none. */
  readonly description?: string | null | undefined;
  /** When the room starts; now when it is not given. Must not be in the past. */
  readonly start_time?: string | null | undefined;
  /** When the room ends, after `start_time`; `null` means not until it is ended. */
  readonly end_time?: string | null | undefined;
  /** Users to add at once, beside the caller, who is always added. */
  readonly participant_ids?: readonly string[] | undefined;
}

/** Get a URL to upload a file to: query parameters. */
export interface CreateUploadQuery {
  /** File name, stored as given: one line with at least one visible character, and without bidirectional control characters. Downloads get this name. */
  readonly name?: string | undefined;
  /** Length of the file in bytes, at most 104,857,600 unless the environment sets another limit. S3 refuses a body of another length. */
  readonly size: number;
  /** Media type of the file, as a browser gives it: `text/plain; charset=utf-8`, `video/webm;codecs=vp9,opus`. S3 refuses a body of another type: send the one in `headers`, in which several spaces have become one. */
  readonly content_type: string;
}

/** End a room: body. */
export interface EndRoomBody {
  /** In how many seconds the room ends; at once when it is not given. */
  readonly time_left_in_seconds?: number | undefined;
  /** Why the room ends. Participants can read it as `end_reason`. */
  readonly reason?: string | undefined;
}

/** Read the chat history of a room: query parameters. */
export interface ListMessagesQuery {
  /** Items in a page at most. */
  readonly limit?: number | undefined;
  /** `next_cursor` of the page before. Leave it out for the first page. */
  readonly cursor?: string | undefined;
  /** `desc`: newest first. `asc`: oldest first. */
  readonly order?: 'asc' | 'desc' | undefined;
}

/** List the participants of a room: query parameters. */
export interface ListParticipantsQuery {
  /** Items in a page at most. */
  readonly limit?: number | undefined;
  /** `next_cursor` of the page before. Leave it out for the first page. */
  readonly cursor?: string | undefined;
}

/** List your rooms: query parameters. */
export interface ListRoomsQuery {
  /** Only rooms that have this status now. */
  readonly status?: 'booked' | 'started' | 'ended' | undefined;
  /** Items in a page at most. */
  readonly limit?: number | undefined;
  /** `next_cursor` of the page before. Leave it out for the first page. */
  readonly cursor?: string | undefined;
}

/** Remove participants: query parameters. */
export interface RemoveParticipantsQuery {
  /** User to remove; repeat it to remove up to 50. Not together with a body. */
  readonly participant_id?: readonly string[] | undefined;
}

/** Remove participants: body. */
export interface RemoveParticipantsBody {
  /** User IDs: the `sub` claims of their access tokens. One that is named twice counts once. */
  readonly participant_ids?: readonly string[] | undefined;
}

/** Set your profile in a room: body. */
export interface UpdateProfileBody {
  /** The caller's name in this room: one line with at least one visible character, and without bidirectional control characters. `null` removes it. */
  readonly username?: string | null | undefined;
  /** True when the participant has archived the room, so that a front end hides it. */
  readonly archive_room?: boolean | undefined;
}

export type NoFields = Readonly<Record<never, never>>;

/** What each HTTP operation takes and answers with. */
export interface Operations {
  /** Add participants */
  readonly addParticipants: {
    readonly params: { readonly room_id: string };
    readonly query: NoFields;
    readonly body: AddParticipantsBody;
    readonly data: readonly Participant[];
  };
  /** Update or end a room */
  readonly changeRoom: {
    readonly params: { readonly room_id: string };
    readonly query: NoFields;
    readonly body: ChangeRoomBody;
    readonly data: Room;
  };
  /** Get a URL to download a file from */
  readonly createDownload: {
    readonly params: { readonly room_id: string };
    readonly query: CreateDownloadQuery;
    readonly body: NoFields;
    readonly data: Download;
  };
  /** Create a room */
  readonly createRoom: {
    readonly params: NoFields;
    readonly query: NoFields;
    readonly body: CreateRoomBody;
    readonly data: Room;
  };
  /** Get a URL to upload a file to */
  readonly createUpload: {
    readonly params: { readonly room_id: string };
    readonly query: CreateUploadQuery;
    readonly body: NoFields;
    readonly data: Upload;
  };
  /** End a room */
  readonly endRoom: {
    readonly params: { readonly room_id: string };
    readonly query: NoFields;
    readonly body: EndRoomBody;
    readonly data: Room;
  };
  /** Get a room */
  readonly getRoom: {
    readonly params: { readonly room_id: string };
    readonly query: NoFields;
    readonly body: NoFields;
    readonly data: MyRoom;
  };
  /** Grant admin to a participant */
  readonly grantAdmin: {
    readonly params: { readonly room_id: string; readonly participant_id: string };
    readonly query: NoFields;
    readonly body: NoFields;
    readonly data: Participant;
  };
  /** Read the chat history of a room */
  readonly listMessages: {
    readonly params: { readonly room_id: string };
    readonly query: ListMessagesQuery;
    readonly body: NoFields;
    readonly data: readonly Message[];
  };
  /** List the participants of a room */
  readonly listParticipants: {
    readonly params: { readonly room_id: string };
    readonly query: ListParticipantsQuery;
    readonly body: NoFields;
    readonly data: readonly ListedParticipant[];
  };
  /** List your rooms */
  readonly listRooms: {
    readonly params: NoFields;
    readonly query: ListRoomsQuery;
    readonly body: NoFields;
    readonly data: readonly MyRoom[];
  };
  /** Remove participants */
  readonly removeParticipants: {
    readonly params: { readonly room_id: string };
    readonly query: RemoveParticipantsQuery;
    readonly body: RemoveParticipantsBody;
    readonly data: readonly RemovedParticipant[];
  };
  /** Revoke admin from a participant */
  readonly revokeAdmin: {
    readonly params: { readonly room_id: string; readonly participant_id: string };
    readonly query: NoFields;
    readonly body: NoFields;
    readonly data: Participant;
  };
  /** Set your profile in a room */
  readonly updateProfile: {
    readonly params: { readonly room_id: string };
    readonly query: NoFields;
    readonly body: UpdateProfileBody;
    readonly data: Profile;
  };
}

export type OperationName = keyof Operations;

/** Method and path of each HTTP operation. */
export const OPERATIONS: { readonly [Name in OperationName]: { readonly method: string; readonly path: string } } = {
  addParticipants: { method: 'POST', path: '/admin/room/{room_id}/participant' },
  changeRoom: { method: 'POST', path: '/admin/room/{room_id}' },
  createDownload: { method: 'GET', path: '/participant/room/{room_id}/download' },
  createRoom: { method: 'POST', path: '/room' },
  createUpload: { method: 'GET', path: '/participant/room/{room_id}/upload' },
  endRoom: { method: 'DELETE', path: '/admin/room/{room_id}' },
  getRoom: { method: 'GET', path: '/participant/room/{room_id}' },
  grantAdmin: { method: 'POST', path: '/admin/room/{room_id}/participant/{participant_id}/admin' },
  listMessages: { method: 'GET', path: '/participant/room/{room_id}/chat' },
  listParticipants: { method: 'GET', path: '/participant/room/{room_id}/participant' },
  listRooms: { method: 'GET', path: '/participant/room' },
  removeParticipants: { method: 'DELETE', path: '/admin/room/{room_id}/participant' },
  revokeAdmin: { method: 'DELETE', path: '/admin/room/{room_id}/participant/{participant_id}/admin' },
  updateProfile: { method: 'PATCH', path: '/participant/room/{room_id}/userprofile' },
};

/** A joined room. It has `seq` exactly if the connection speaks `rooms.v2`. */
export interface JoinedRoom extends MyRoom {
  readonly seq?: RoomSeq | undefined;
}

/** What each frame of a client holds, beside `action` and `request_id`, and what its reply does. */
export interface Actions {
  /** Receive the events of a room, and be seen in it. Joining again is no error. */
  readonly join: {
    readonly frame: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
      readonly ping_interval_seconds?: number | undefined;
    };
    readonly data: JoinedRoom;
  };
  /** Receive no more events of a room. Leaving a room that was not joined is no error. */
  readonly leave: {
    readonly frame: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
    };
    readonly data: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
    };
  };
  /** Send a chat message: text, an uploaded file, or both. The same client_message_id again, within a day, gets the first answer and sends nothing new, also when the room has ended or the sender was removed since. */
  readonly message: {
    readonly frame: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
      /** The sender's own ID of the message, by which a repeated message is told from a new one. */
      readonly client_message_id: string;
      /** What the message says; `null` when it is only an attachment. */
      readonly text?: string | undefined;
      /** The file that came with the message; `null` when there is none. */
      readonly attachment?:
        | {
            /** ID of the file, a UUIDv7. */
            readonly file_id: string;
          }
        | undefined;
    };
    readonly data: Message;
  };
  /** Keep the connection alive (API Gateway closes one that is silent for ten minutes) and see that it is. With `rooms` or `subscribed`, also see whether the connection has missed events. */
  readonly ping: {
    readonly frame: {
      readonly rooms?: readonly string[] | undefined;
      readonly subscribed?: boolean | undefined;
    };
    readonly data: {
      readonly time: string;
      readonly rooms?: Readonly<Record<string, RoomSeq>> | undefined;
      readonly user?: number | undefined;
    };
  };
  /** Receive `participant_added` and `participant_removed` of your own user, in whichever room, on this connection. Subscribing again is no error. What happened before is not sent: list your rooms after the reply. */
  readonly subscribe: {
    readonly frame: NoFields;
    readonly data: {
      /** User ID of the participant: the `sub` claim of their access token. */
      readonly participant_id: string;
      readonly seq?: number | undefined;
    };
  };
}

export type ActionName = keyof Actions;

/** What each event of a room says. */
export interface EventData {
  /** Somebody sent a chat message. */
  readonly message: Message;
  /** A participant came online in the room. */
  readonly peer_joined: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** The participant's name in this room; `null` means none. */
    readonly username: string | null;
  };
  /** A participant has been offline for ten seconds, has left, or was removed. */
  readonly peer_left: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** The participant's name in this room; `null` means none. */
    readonly username: string | null;
  };
  /** Somebody created the room. Of clients, only those hear it who join at that very moment. */
  readonly room_created: Room;
  /** An admin added a participant, or created the room with them; who created it is told of in this way, too. */
  readonly participant_added: Profile;
  /** An admin removed a participant, whose own connections in the room are closed. */
  readonly participant_removed: RemovedParticipant;
  /** A participant changed their profile, or was granted or revoked admin: only what changed is given. */
  readonly participant_updated: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** The participant's name in this room; `null` means none. */
    readonly username?: string | null | undefined;
    /** True when the participant has archived the room, so that a front end hides it. */
    readonly archive_room?: boolean | undefined;
    /** True when the participant may use the admin API of this room. */
    readonly is_admin?: boolean | undefined;
  };
  /** An admin changed the room. */
  readonly room_updated: Room;
  /** The start time of the room has come. */
  readonly room_started: Room;
  /** The room has ended. Its `rooms.v1` connections are closed, its `rooms.v2` connections are detached from it. */
  readonly room_ended: Room;
  /** Only `rooms.v2`: how many participants are online. Sent in place of `peer_joined` and `peer_left` while more than 100 are, at most once a second; up to 1,000 with who came and went since the last one. */
  readonly presence: {
    readonly count: number;
    readonly joined?:
      | readonly {
          /** User ID of the participant: the `sub` claim of their access token. */
          readonly participant_id: string;
          /** The participant's name in this room; `null` means none. */
          readonly username: string | null;
        }[]
      | undefined;
    readonly left?:
      | readonly {
          /** User ID of the participant: the `sub` claim of their access token. */
          readonly participant_id: string;
          /** The participant's name in this room; `null` means none. */
          readonly username: string | null;
        }[]
      | undefined;
  };
}

export type EventName = keyof EventData;

/** The sequences that events are numbered in. */
export type Feed = 'messages' | 'changes' | 'user';

/** An event within a frame of `rooms.v2`. */
export type PackedEvent = {
  readonly [Name in EventName]: { readonly type: Name; readonly data: EventData[Name] };
}[EventName];

/** Events of one feed: `events[i]` has the number `seq + i`. */
export interface EventsFrame {
  readonly type: 'events';
  readonly room_id: string;
  readonly feed: Feed;
  readonly seq: number;
  readonly sent_at: string;
  readonly events: readonly PackedEvent[];
}

/** The last frame about a room: the connection is no longer in it. */
export interface DetachedFrame {
  readonly type: 'detached';
  readonly room_id: string;
  readonly reason: 'room_ended' | 'removed';
  readonly sent_at: string;
  readonly events: readonly PackedEvent[];
}

/** The names of all events. */
export const EVENT_NAMES = [
  'message',
  'peer_joined',
  'peer_left',
  'room_created',
  'participant_added',
  'participant_removed',
  'participant_updated',
  'room_updated',
  'room_started',
  'room_ended',
  'presence',
] as const satisfies readonly EventName[];
