/*
 * Generated from the contract of the service by "npm run client:generate". Do not edit.
 */

/** All error codes of the service, with their HTTP statuses. */
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
  /** You may read in this room, but not post: you are an observer, or only admins may post. */
  read_only: 403,
  /** Only the sender of a message may do this. */
  not_the_sender: 403,
  /** There is no such room. */
  room_not_found: 404,
  /** There is no such participant in this room. */
  participant_not_found: 404,
  /** There is no such file in this room. */
  file_not_found: 404,
  /** There is no such message in this room. */
  message_not_found: 404,
  /** A room must keep at least one admin. Grant admin to someone else first. */
  last_admin: 409,
  /** This room has as many admins as a room can have. Revoke one first. */
  too_many_admins: 409,
  /** An admin cannot be an observer. Revoke admin first. */
  participant_is_admin: 409,
  /** This message was deleted. */
  message_deleted: 409,
  /** This room has ended. */
  room_ended: 409,
  /** This room has not started yet. */
  room_not_started: 409,
  /** The upload of this file has not finished. Finish it, then send the message. */
  file_not_uploaded: 409,
  /** This Idempotency-Key or client_message_id was already used for a different request. Use a new one. */
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

/** An error code of the service. Codes are stable. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/** Maximum number of items in a page of a list. */
export const MAX_PAGE_SIZE = 200;
/** Maximum number of users that one call can add or remove. */
export const MAX_PARTICIPANTS_PER_CALL = 50;
/** Maximum length of a message's text, in UTF-16 code units. */
export const MAX_MESSAGE_LENGTH = 8000;
/** Maximum length of a message's `type`, in UTF-16 code units. */
export const MAX_MESSAGE_TYPE_LENGTH = 64;
/** Maximum size of a message's `data` and of a room's `metadata` as JSON, in UTF-8 bytes. */
export const MAX_JSON_BYTES = 4096;
/** Maximum number of files in a message. */
export const MAX_ATTACHMENTS = 10;
/** Maximum size of a WebSocket frame, in UTF-8 bytes. */
export const MAX_FRAME_BYTES = 32768;

/** The WebSocket sub-protocols, one for each version, and the prefix of the sub-protocol that contains the access token. */
export const SUB_PROTOCOL = 'rooms.v1';
export const SUB_PROTOCOL_V2 = 'rooms.v2';
export const BEARER_SUB_PROTOCOL = 'bearer.';

/** A participant of a room, with their role. */
export interface AddedParticipant {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** The participant's name in this room. `null`: no name. */
  readonly username: string | null;
  /** Whether the participant has archived the room. Front ends hide archived rooms. */
  readonly archive_room: boolean;
  /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
  readonly role: Role;
}

/** A message that the service sends at a time relative to the start or the end of the room. */
export interface Announcement {
  /** Your ID of the announcement. It is sent once, even if its time or text changes later. */
  readonly announcement_id: string;
  /** Text of the message. */
  readonly message: string;
  /** Which time of the room the announcement is relative to. Default: `end`. */
  readonly relative_from: 'start' | 'end';
  /** When to send it, in seconds after that time; negative before it. */
  readonly relative_time_in_seconds: number;
}

/** A file that is attached to a message. */
export interface Attachment {
  /** ID of the file, a UUIDv7. */
  readonly file_id: string;
  /** File name given by the uploader. */
  readonly name: string;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Media type of the file. */
  readonly content_type: string;
}

/** A presigned URL that returns one file. */
export interface Download {
  /** Get the file here. Keep the URL secret: until `expires_at`, it works without an access token. */
  readonly download_url: string;
  /** When `download_url` expires, 15 minutes after the response. */
  readonly expires_at: string;
  /** File name given by the uploader. */
  readonly name: string;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Media type of the file. */
  readonly content_type: string;
}

/** A participant of a room, with their presence. */
export interface ListedParticipant {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** The participant's name in this room. `null`: no name. */
  readonly username: string | null;
  /** Whether the participant has archived the room. Front ends hide archived rooms. */
  readonly archive_room: boolean;
  /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
  readonly role: Role;
  /** Whether the participant is an admin of this room. */
  readonly is_admin: boolean;
  /** Whether the participant is online in the room: connected, or disconnected for less than 10 seconds. */
  readonly online: boolean;
  /** ID of the newest message that the participant has marked as read, or `null`. */
  readonly read_to: string | null;
}

/** A chat message. */
export interface Message {
  /** ID of the message, a ULID. IDs sort by the time of sending. */
  readonly message_id: string;
  /** ID of the room, a UUIDv7. */
  readonly room_id: string;
  /** User ID of the sender; `system` for messages of kind `system`. */
  readonly sender_id: string;
  /** The sender's ID of the message. The service stores a message with the same ID only once. */
  readonly client_message_id: string;
  /** Text of the message, or `null`. */
  readonly text: string | null;
  /** First file attached to the message, or `null`. */
  readonly attachment: Attachment | null;
  /** When the message was sent. */
  readonly sent_at: string;
  /** The sender's username when the message was sent, or `null`. */
  readonly sender_name: string | null;
  /** `user`: sent by a participant. `system`: an announcement, sent by the service. */
  readonly kind: 'user' | 'system';
  /** Type of the message, which your application defines, or `null`. */
  readonly type: string | null;
  /** JSON object of your application, or `null`. */
  readonly data: Readonly<Record<string, unknown>> | null;
  /** ID of the message that this one replies to, or `null`. */
  readonly reply_to: string | null;
  /** Files attached to the message. */
  readonly attachments: readonly Attachment[];
  /** When the message was last edited, or `null`. */
  readonly edited_at: string | null;
  /** When the message was deleted, or `null`. A deleted message has no text, data or files. */
  readonly deleted_at: string | null;
  /** ID of the user who deleted the message, or `null`. */
  readonly deleted_by: string | null;
  /** Number of the message's last edit or deletion, or `null` if it was never changed. The changes of a room are numbered in order. */
  readonly change: number | null;
}

/** A room, with the caller's own profile and admin right in it. */
export interface MyRoom {
  /** ID of the room, a UUIDv7. */
  readonly room_id: string;
  /** Name of the room: one line with at least one visible character, without bidirectional control characters. */
  readonly name: string;
  /** Purpose of the room. May have several lines. `null`: no description. */
  readonly description: string | null;
  /** When the room starts. */
  readonly start_time: string;
  /** When the room ends. `null` if only an admin can end it. */
  readonly end_time: string | null;
  /** Current status. It follows from `start_time`, `end_time` and the current time. */
  readonly status: 'booked' | 'started' | 'ended';
  /** Reason that the admin gave when ending the room, or `null`. */
  readonly end_reason: string | null;
  /** Who may send, edit and upload: everyone but observers, or only admins. */
  readonly posting: Posting;
  /** JSON object of your application, at most 4 KiB as JSON. `null`: none. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** How many seconds before its end the room sends `room_ending`. Warnings before the start, or in the past, are not sent. */
  readonly end_warnings_seconds: readonly number[];
  /** Messages that the service sends at times relative to the start or the end of the room. */
  readonly announcements: readonly Announcement[];
  /** ID of the user who created the room. */
  readonly created_by: string;
  /** When the room was created. */
  readonly created_at: string;
  /** When the room was last updated. */
  readonly updated_at: string;
  /** Whether the participant is an admin of this room. */
  readonly is_admin: boolean;
  /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
  readonly role: Role;
  /** The participant's name in this room. `null`: no name. */
  readonly username: string | null;
  /** Whether the participant has archived the room. Front ends hide archived rooms. */
  readonly archive_room: boolean;
  /** ID of the newest message that the participant has marked as read, or `null`. */
  readonly read_to: string | null;
  /** When the newest message was sent, or `null`. Can be a few seconds out of date. */
  readonly last_message_at: string | null;
  /** Whether others have sent a message since the one you marked as read, or since you were added. Can be a few seconds out of date. */
  readonly has_unread: boolean;
}

/** A participant of a room. */
export interface Participant {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** The participant's name in this room. `null`: no name. */
  readonly username: string | null;
  /** Whether the participant has archived the room. Front ends hide archived rooms. */
  readonly archive_room: boolean;
  /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
  readonly role: Role;
  /** Whether the participant is an admin of this room. */
  readonly is_admin: boolean;
}

/** Who may post in a room. */
export type Posting = 'everyone' | 'admins';

/** A participant's own settings in one room. */
export interface Profile {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** The participant's name in this room. `null`: no name. */
  readonly username: string | null;
  /** Whether the participant has archived the room. Front ends hide archived rooms. */
  readonly archive_room: boolean;
}

/** How far a participant has read. */
export interface ReadMark {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
  /** ID of the newest message that the participant has marked as read, or `null`. */
  readonly read_to: string | null;
}

/** A user who is no longer a participant. */
export interface RemovedParticipant {
  /** User ID of the participant: the `sub` claim of their access token. */
  readonly participant_id: string;
}

/** What a participant may do. */
export type Role = 'member' | 'observer';

/** A room. */
export interface Room {
  /** ID of the room, a UUIDv7. */
  readonly room_id: string;
  /** Name of the room: one line with at least one visible character, without bidirectional control characters. */
  readonly name: string;
  /** Purpose of the room. May have several lines. `null`: no description. */
  readonly description: string | null;
  /** When the room starts. */
  readonly start_time: string;
  /** When the room ends. `null` if only an admin can end it. */
  readonly end_time: string | null;
  /** Current status. It follows from `start_time`, `end_time` and the current time. */
  readonly status: 'booked' | 'started' | 'ended';
  /** Reason that the admin gave when ending the room, or `null`. */
  readonly end_reason: string | null;
  /** Who may send, edit and upload: everyone but observers, or only admins. */
  readonly posting: Posting;
  /** JSON object of your application, at most 4 KiB as JSON. `null`: none. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** How many seconds before its end the room sends `room_ending`. Warnings before the start, or in the past, are not sent. */
  readonly end_warnings_seconds: readonly number[];
  /** Messages that the service sends at times relative to the start or the end of the room. */
  readonly announcements: readonly Announcement[];
  /** ID of the user who created the room. */
  readonly created_by: string;
  /** When the room was created. */
  readonly created_at: string;
  /** When the room was last updated. */
  readonly updated_at: string;
}

/** A room as in lists, with the number of unread messages. */
export interface RoomDetails {
  /** ID of the room, a UUIDv7. */
  readonly room_id: string;
  /** Name of the room: one line with at least one visible character, without bidirectional control characters. */
  readonly name: string;
  /** Purpose of the room. May have several lines. `null`: no description. */
  readonly description: string | null;
  /** When the room starts. */
  readonly start_time: string;
  /** When the room ends. `null` if only an admin can end it. */
  readonly end_time: string | null;
  /** Current status. It follows from `start_time`, `end_time` and the current time. */
  readonly status: 'booked' | 'started' | 'ended';
  /** Reason that the admin gave when ending the room, or `null`. */
  readonly end_reason: string | null;
  /** Who may send, edit and upload: everyone but observers, or only admins. */
  readonly posting: Posting;
  /** JSON object of your application, at most 4 KiB as JSON. `null`: none. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** How many seconds before its end the room sends `room_ending`. Warnings before the start, or in the past, are not sent. */
  readonly end_warnings_seconds: readonly number[];
  /** Messages that the service sends at times relative to the start or the end of the room. */
  readonly announcements: readonly Announcement[];
  /** ID of the user who created the room. */
  readonly created_by: string;
  /** When the room was created. */
  readonly created_at: string;
  /** When the room was last updated. */
  readonly updated_at: string;
  /** Whether the participant is an admin of this room. */
  readonly is_admin: boolean;
  /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
  readonly role: Role;
  /** The participant's name in this room. `null`: no name. */
  readonly username: string | null;
  /** Whether the participant has archived the room. Front ends hide archived rooms. */
  readonly archive_room: boolean;
  /** ID of the newest message that the participant has marked as read, or `null`. */
  readonly read_to: string | null;
  /** When the newest message was sent, or `null`. Can be a few seconds out of date. */
  readonly last_message_at: string | null;
  /** Whether others have sent a message since the one you marked as read, or since you were added. Can be a few seconds out of date. */
  readonly has_unread: boolean;
  /** Number of those messages, at most 100. */
  readonly unread_count: number;
}

/** A presigned URL that stores one file. */
export interface Upload {
  /** ID of the file, a UUIDv7. */
  readonly file_id: string;
  /** Send the file here with PUT. Keep the URL secret: until `expires_at`, it works without an access token. */
  readonly upload_url: string;
  /** HTTP method to use with `upload_url`. */
  readonly method: 'PUT';
  /** Headers to send with the PUT, unchanged. */
  readonly headers: Readonly<Record<string, string>>;
  /** When `upload_url` expires, 15 minutes after the response. */
  readonly expires_at: string;
}

/** The sequence number of the last event of each feed of a room. Only with `rooms.v2`. */
export interface RoomSeq {
  readonly messages: number;
  readonly changes: number;
}

/** Add participants: body. */
export interface AddParticipantsBody {
  /** User IDs: the `sub` claims of their access tokens. Duplicates count once. */
  readonly participant_ids: readonly string[];
  /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
  readonly role?: 'member' | 'observer' | undefined;
}

/** Update or end a room: body. */
export interface ChangeRoomBody {
  /** Name of the room: one line with at least one visible character, without bidirectional control characters. */
  readonly name?: string | undefined;
  /** Purpose of the room. May have several lines. `null`: no description. */
  readonly description?: string | null | undefined;
  /** When the room starts. Must not be in the past, unless it is the current start of the room. */
  readonly start_time?: string | undefined;
  /** When the room ends, after `start_time`. `null` if only an admin can end it. */
  readonly end_time?: string | null | undefined;
  /** Who may send, edit and upload: everyone but observers, or only admins. */
  readonly posting?: 'everyone' | 'admins' | undefined;
  /** JSON object of your application, at most 4 KiB as JSON. `null`: none. */
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
  /** How many seconds before its end the room sends `room_ending`. Warnings before the start, or in the past, are not sent. */
  readonly end_warnings_seconds?: readonly number[] | undefined;
  /** Messages that the service sends at times relative to the start or the end of the room. */
  readonly announcements?:
    | readonly {
        /** Your ID of the announcement. It is sent once, even if its time or text changes later. */
        readonly announcement_id: string;
        readonly message: string;
        /** Which time of the room the announcement is relative to. Default: `end`. */
        readonly relative_from?: 'start' | 'end' | undefined;
        /** When to send it, in seconds after that time; negative before it. */
        readonly relative_time_in_seconds: number;
      }[]
    | undefined;
  /** Seconds until the room ends. Default: 0. */
  readonly time_left_in_seconds?: number | undefined;
  /** Why the room ends. Participants see it as `end_reason`. */
  readonly reason?: string | undefined;
}

/** Get a URL to download a file: query parameters. */
export interface CreateDownloadQuery {
  /** ID of the file. Give either `file_id` or `message_id`. */
  readonly file_id?: string | undefined;
  /** ID of a message: returns its first file. Give either `file_id` or `message_id`. */
  readonly message_id?: string | undefined;
}

/** Create a room: body. */
export interface CreateRoomBody {
  /** Name of the room: one line with at least one visible character, without bidirectional control characters. */
  readonly name: string;
  /** Purpose of the room. May have several lines. `null`: no description. */
  readonly description?: string | null | undefined;
  /** When the room starts. Default: now. Must not be in the past. */
  readonly start_time?: string | null | undefined;
  /** When the room ends, after `start_time`. `null` if only an admin can end it. */
  readonly end_time?: string | null | undefined;
  /** Who may send, edit and upload: everyone but observers, or only admins. */
  readonly posting?: 'everyone' | 'admins' | undefined;
  /** JSON object of your application, at most 4 KiB as JSON. `null`: none. */
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
  /** How many seconds before its end the room sends `room_ending`. Warnings before the start, or in the past, are not sent. */
  readonly end_warnings_seconds?: readonly number[] | undefined;
  /** Messages that the service sends at times relative to the start or the end of the room. */
  readonly announcements?:
    | readonly {
        /** Your ID of the announcement. It is sent once, even if its time or text changes later. */
        readonly announcement_id: string;
        readonly message: string;
        /** Which time of the room the announcement is relative to. Default: `end`. */
        readonly relative_from?: 'start' | 'end' | undefined;
        /** When to send it, in seconds after that time; negative before it. */
        readonly relative_time_in_seconds: number;
      }[]
    | undefined;
  /** Users to add in addition to the caller, who is always added. */
  readonly participant_ids?: readonly string[] | undefined;
}

/** Get a URL to upload a file: query parameters. */
export interface CreateUploadQuery {
  /** File name: one line with at least one visible character, without bidirectional control characters. It is stored unchanged, and downloads use it. */
  readonly name?: string | undefined;
  /** Size of the file in bytes: at most 104,857,600, unless the environment sets another limit. S3 rejects a body of another size. */
  readonly size: number;
  /** Media type of the file, such as `text/plain; charset=utf-8` or `video/webm;codecs=vp9,opus`. S3 rejects a body of another type, so send the type in `headers`: consecutive spaces are merged there. */
  readonly content_type: string;
}

/** Edit a message: body. */
export interface EditMessageBody {
  /** The new text of the message. */
  readonly text: string;
}

/** End a room: body. */
export interface EndRoomBody {
  /** Seconds until the room ends. Default: 0. */
  readonly time_left_in_seconds?: number | undefined;
  /** Why the room ends. Participants see it as `end_reason`. */
  readonly reason?: string | undefined;
}

/** Read what has changed in the chat history: query parameters. */
export interface ListMessageChangesQuery {
  /** Returns only changes with a higher number. Default: 0, which means all. */
  readonly after?: number | undefined;
  /** Maximum number of items in the page. */
  readonly limit?: number | undefined;
  /** `next_cursor` of the previous page. Omit it for the first page. */
  readonly cursor?: string | undefined;
}

/** Read the chat history of a room: query parameters. */
export interface ListMessagesQuery {
  /** Maximum number of items in the page. */
  readonly limit?: number | undefined;
  /** `next_cursor` of the previous page. Omit it for the first page. */
  readonly cursor?: string | undefined;
  /** `desc`: newest first. `asc`: oldest first. */
  readonly order?: 'asc' | 'desc' | undefined;
}

/** List the participants of a room: query parameters. */
export interface ListParticipantsQuery {
  /** Maximum number of items in the page. */
  readonly limit?: number | undefined;
  /** `next_cursor` of the previous page. Omit it for the first page. */
  readonly cursor?: string | undefined;
}

/** List your rooms: query parameters. */
export interface ListRoomsQuery {
  /** Returns only rooms that currently have this status. */
  readonly status?: 'booked' | 'started' | 'ended' | undefined;
  /** Returns only rooms that the caller has archived, or has not archived. */
  readonly archived?: boolean | undefined;
  /** Returns only rooms that start at this time or later. */
  readonly from?: string | undefined;
  /** Returns only rooms that start before this time. */
  readonly to?: string | undefined;
  /** `desc`: newest first. `asc`: oldest first. */
  readonly order?: 'asc' | 'desc' | undefined;
  /** Maximum number of items in the page. */
  readonly limit?: number | undefined;
  /** `next_cursor` of the previous page. Omit it for the first page. */
  readonly cursor?: string | undefined;
}

/** Mark messages as read: body. */
export interface MarkReadBody {
  /** ID of the message, a ULID. IDs sort by the time of sending. */
  readonly message_id: string;
}

/** Remove participants: query parameters. */
export interface RemoveParticipantsQuery {
  /** User to remove. Repeat the parameter to remove up to 50 users. Cannot be combined with a body. */
  readonly participant_id?: readonly string[] | undefined;
}

/** Remove participants: body. */
export interface RemoveParticipantsBody {
  /** User IDs: the `sub` claims of their access tokens. Duplicates count once. */
  readonly participant_ids?: readonly string[] | undefined;
}

/** Set the role of a participant: body. */
export interface SetRoleBody {
  /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
  readonly role: 'member' | 'observer';
}

/** Set your profile in a room: body. */
export interface UpdateProfileBody {
  /** The caller's name in this room: one line with at least one visible character, without bidirectional control characters. `null` removes it. */
  readonly username?: string | null | undefined;
  /** Whether the participant has archived the room. Front ends hide archived rooms. */
  readonly archive_room?: boolean | undefined;
}

export type NoFields = Readonly<Record<never, never>>;

/** The parameters, body and response data of each HTTP operation. */
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
  /** Get a URL to download a file */
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
  /** Get a URL to upload a file */
  readonly createUpload: {
    readonly params: { readonly room_id: string };
    readonly query: CreateUploadQuery;
    readonly body: NoFields;
    readonly data: Upload;
  };
  /** Delete a message */
  readonly deleteMessage: {
    readonly params: { readonly room_id: string; readonly message_id: string };
    readonly query: NoFields;
    readonly body: NoFields;
    readonly data: Message;
  };
  /** Edit a message */
  readonly editMessage: {
    readonly params: { readonly room_id: string; readonly message_id: string };
    readonly query: NoFields;
    readonly body: EditMessageBody;
    readonly data: Message;
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
    readonly data: RoomDetails;
  };
  /** Grant admin to a participant */
  readonly grantAdmin: {
    readonly params: { readonly room_id: string; readonly participant_id: string };
    readonly query: NoFields;
    readonly body: NoFields;
    readonly data: Participant;
  };
  /** Leave a room */
  readonly leaveRoom: {
    readonly params: { readonly room_id: string };
    readonly query: NoFields;
    readonly body: NoFields;
    readonly data: RemovedParticipant;
  };
  /** Read what has changed in the chat history */
  readonly listMessageChanges: {
    readonly params: { readonly room_id: string };
    readonly query: ListMessageChangesQuery;
    readonly body: NoFields;
    readonly data: readonly Message[];
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
  /** Mark messages as read */
  readonly markRead: {
    readonly params: { readonly room_id: string };
    readonly query: NoFields;
    readonly body: MarkReadBody;
    readonly data: ReadMark;
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
  /** Set the role of a participant */
  readonly setRole: {
    readonly params: { readonly room_id: string; readonly participant_id: string };
    readonly query: NoFields;
    readonly body: SetRoleBody;
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
  deleteMessage: { method: 'DELETE', path: '/participant/room/{room_id}/chat/{message_id}' },
  editMessage: { method: 'PATCH', path: '/participant/room/{room_id}/chat/{message_id}' },
  endRoom: { method: 'DELETE', path: '/admin/room/{room_id}' },
  getRoom: { method: 'GET', path: '/participant/room/{room_id}' },
  grantAdmin: { method: 'POST', path: '/admin/room/{room_id}/participant/{participant_id}/admin' },
  leaveRoom: { method: 'DELETE', path: '/participant/room/{room_id}' },
  listMessageChanges: { method: 'GET', path: '/participant/room/{room_id}/chat/change' },
  listMessages: { method: 'GET', path: '/participant/room/{room_id}/chat' },
  listParticipants: { method: 'GET', path: '/participant/room/{room_id}/participant' },
  listRooms: { method: 'GET', path: '/participant/room' },
  markRead: { method: 'PUT', path: '/participant/room/{room_id}/read' },
  removeParticipants: { method: 'DELETE', path: '/admin/room/{room_id}/participant' },
  revokeAdmin: { method: 'DELETE', path: '/admin/room/{room_id}/participant/{participant_id}/admin' },
  setRole: { method: 'PATCH', path: '/admin/room/{room_id}/participant/{participant_id}' },
  updateProfile: { method: 'PATCH', path: '/participant/room/{room_id}/userprofile' },
};

/** A joined room. It has `seq` and `joined_at` only if the connection uses `rooms.v2`. */
export interface JoinedRoom extends MyRoom {
  readonly seq?: RoomSeq | undefined;
  /** When this connection joined. A detached frame contains the same time, to identify the join that has ended. */
  readonly joined_at?: string | undefined;
  /** The number of the room's last edit or deletion of a message, or 0 if there was none. Older services omit it. */
  readonly last_change?: number | undefined;
}

/** The fields of each client frame, in addition to `action` and `request_id`, and the data of its reply. */
export interface Actions {
  /** Joins a room: the connection receives its events, and the user is online in it. Joining again has no further effect. */
  readonly join: {
    readonly frame: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
      readonly ping_interval_seconds?: number | undefined;
    };
    readonly data: JoinedRoom;
  };
  /** Leaves a room: the connection receives no more events of it. Leaving a room that was not joined has no effect. */
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
  /** Sends a chat message: text, files or `data`. A retry with the same `client_message_id` within 24 hours gets the message as it is now and stores nothing, even after the end. Other content is `idempotency_conflict`. */
  readonly message: {
    readonly frame: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
      /** The sender's ID of the message. The service stores a message with the same ID only once. */
      readonly client_message_id: string;
      /** Text of the message, or `null`. */
      readonly text?: string | undefined;
      /** First file attached to the message, or `null`. */
      readonly attachment?:
        | {
            /** ID of the file, a UUIDv7. */
            readonly file_id: string;
          }
        | undefined;
      /** Files attached to the message. */
      readonly attachments?:
        | readonly {
            /** ID of the file, a UUIDv7. */
            readonly file_id: string;
          }[]
        | undefined;
      /** Type of the message, which your application defines, or `null`. */
      readonly type?: string | undefined;
      readonly data?: Readonly<Record<string, unknown>> | undefined;
      /** ID of the message that this one replies to, or `null`. */
      readonly reply_to?: string | undefined;
    };
    readonly data: Message;
  };
  /** Keeps the connection open and checks that it works. API Gateway closes a connection after 10 minutes without frames. With `rooms` or `subscribed`, the reply also shows whether the connection has missed events. */
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
  /** Subscribes the connection to `participant_added` and `participant_removed` of your own user in all rooms. Subscribing again has no further effect. Earlier events are not sent: list your rooms after the reply. */
  readonly subscribe: {
    readonly frame: NoFields;
    readonly data: {
      /** User ID of the participant: the `sub` claim of their access token. */
      readonly participant_id: string;
      readonly seq?: number | undefined;
    };
  };
  /** Shows others whether you are typing. They receive the event `typing`, in rooms of up to 100 connections. Nothing is stored. A second `true` within 2 seconds gets `too_many_requests`. */
  readonly typing: {
    readonly frame: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
      readonly typing: boolean;
    };
    readonly data: {
      /** ID of the room, a UUIDv7. */
      readonly room_id: string;
    };
  };
}

export type ActionName = keyof Actions;

/** The data of each event. */
export interface EventData {
  /** A participant sent a chat message. */
  readonly message: Message;
  /** The sender edited a chat message. */
  readonly message_updated: Message;
  /** A chat message was deleted, by its sender or an admin. It no longer has text, data or files. */
  readonly message_deleted: Message;
  /** A participant started or stopped typing. Never stored, and only in rooms of up to 100 connections. */
  readonly typing: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** The participant's name in this room. `null`: no name. */
    readonly username: string | null;
    readonly typing: boolean;
  };
  /** You have read further, on another connection. Only for connections that have subscribed to their own user. */
  readonly read: ReadMark;
  /** A participant came online in the room. */
  readonly peer_joined: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** The participant's name in this room. `null`: no name. */
    readonly username: string | null;
  };
  /** A participant has been offline for 10 seconds, has left, or was removed. */
  readonly peer_left: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** The participant's name in this room. `null`: no name. */
    readonly username: string | null;
  };
  /** A user created the room. WebSocket clients rarely receive it, because they cannot join before the room exists. */
  readonly room_created: Room;
  /** A user became a participant: an admin added them, or the room was created with them. Also sent for the creator. */
  readonly participant_added: AddedParticipant;
  /** An admin removed a participant, or a participant left. The `rooms.v1` connections of the user in the room are closed, the `rooms.v2` connections are detached from it. */
  readonly participant_removed: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** Why the room ends. Participants see it as `end_reason`. */
    readonly reason: 'left' | 'removed';
  };
  /** A participant changed their profile, or their admin right or role was changed. Has only the fields that changed. */
  readonly participant_updated: {
    /** User ID of the participant: the `sub` claim of their access token. */
    readonly participant_id: string;
    /** The participant's name in this room. `null`: no name. */
    readonly username?: string | null | undefined;
    /** Whether the participant has archived the room. Front ends hide archived rooms. */
    readonly archive_room?: boolean | undefined;
    /** Whether the participant is an admin of this room. */
    readonly is_admin?: boolean | undefined;
    /** Observers read and download, but do not send, edit or upload. An admin is always a member. */
    readonly role?: Role | undefined;
  };
  /** An admin updated the room. */
  readonly room_updated: Room;
  /** The room has started. */
  readonly room_started: Room;
  /** The room ends soon. Sent at each of the times in `end_warnings_seconds`. */
  readonly room_ending: {
    readonly ends_at: string;
    readonly seconds_left: number;
  };
  /** The room has ended. Its `rooms.v1` connections are closed, its `rooms.v2` connections are detached from it. */
  readonly room_ended: Room;
  /** Number of online participants, instead of single `peer_joined` and `peer_left` events while more than 100 are online. Up to 1,000, it also contains the users who joined and left, at most once a second. Above, it has only the count, at most every 1 s per 2,000 participants. Only on `rooms.v2` connections: those of `rooms.v1` get a `peer_joined` or `peer_left` event for each name, and nothing above 1,000. */
  readonly presence: {
    readonly count: number;
    readonly joined?:
      | readonly {
          /** User ID of the participant: the `sub` claim of their access token. */
          readonly participant_id: string;
          /** The participant's name in this room. `null`: no name. */
          readonly username: string | null;
        }[]
      | undefined;
    readonly left?:
      | readonly {
          /** User ID of the participant: the `sub` claim of their access token. */
          readonly participant_id: string;
          /** The participant's name in this room. `null`: no name. */
          readonly username: string | null;
        }[]
      | undefined;
  };
}

export type EventName = keyof EventData;

/** The feeds, each with its own sequence numbers. */
export type Feed = 'messages' | 'changes' | 'user';

/** An event within a frame of `rooms.v2`. */
export type PackedEvent = {
  readonly [Name in EventName]: { readonly type: Name; readonly data: EventData[Name] };
}[EventName];

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
  readonly reason: 'room_ended' | 'removed';
  /**
   * The value from the reply to the join that has ended. Missing if the connection joined before the service supported
   * `rooms.v2`.
   */
  readonly joined_at?: string | undefined;
  readonly sent_at: string;
  readonly events: readonly PackedEvent[];
}

/** The names of all events. */
export const EVENT_NAMES = [
  'message',
  'message_updated',
  'message_deleted',
  'typing',
  'read',
  'peer_joined',
  'peer_left',
  'room_created',
  'participant_added',
  'participant_removed',
  'participant_updated',
  'room_updated',
  'room_started',
  'room_ending',
  'room_ended',
  'presence',
] as const satisfies readonly EventName[];
