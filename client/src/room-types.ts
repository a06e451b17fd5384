import type { EventData, EventName, ListedParticipant, Message, MyRoom, ReadMark } from './contract.ts';
import type { RoomsApiError } from './errors.ts';
import type { Listening } from './events.ts';
import type { Progress, UploadOptions } from './files.ts';
import type { CallOptions } from './http.ts';
import type { RoomEvent } from './socket.ts';

/** Why a room no longer delivers events. */
export interface RoomClosed {
  readonly reason: 'left' | 'room_ended' | 'removed' | 'connection_closed' | 'refused';
  /**
   * The error of the service, if it is the reason. For a room that has ended, a code other than `room_ended` means that
   * its last messages could not be read, so some may be missing.
   */
  readonly error?: RoomsApiError;
}

/** An own message that was passed to `send` and was not delivered as an event yet. */
export interface PendingMessage {
  readonly client_message_id: string;
  readonly text: string | null;
  /** The first file, after the upload of all files. */
  readonly attachment: { readonly file_id: string } | null;
  /** The files, after their upload. */
  readonly attachments: readonly { readonly file_id: string }[];
  readonly type: string | null;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly reply_to: string | null;
  /**
   * `uploading`: its files are being uploaded. `queued`: it waits for its turn, for the connection or for the
   * acknowledgment. `stored`: it is acknowledged, but some earlier messages were not delivered yet.
   */
  readonly state: 'uploading' | 'queued' | 'stored';
  /** When `send` was called: ISO 8601, by the clock of this machine. */
  readonly queued_at: string;
}

/** A participant, as events describe them. */
export type Peer = Pick<ListedParticipant, 'participant_id' | 'username'>;

/** The arguments of the listeners of each event of a room. */
export type RoomListeners = {
  readonly [Name in Exclude<EventName, 'typing'>]: readonly [data: EventData[Name], event: RoomEvent<Name>];
} & {
  /** The other participants who are typing. Emitted with every change. */
  readonly typing: readonly [typing: readonly Peer[]];
  /** Own messages that are being sent, in order. Emitted with every change. */
  readonly pending: readonly [pending: readonly PendingMessage[]];
  /**
   * Events other than messages were missed, and `info` is current again. Read everything that you show of participants
   * and their presence.
   */
  readonly missed: readonly [room: MyRoom];
  /**
   * Everything is current again, after an outage or after `missed`. Missed messages have been delivered. Presence may
   * have changed.
   */
  readonly rejoined: readonly [room: MyRoom];
  /** The start of the room was moved into the future, so it cannot be joined now. It is joined when it starts. */
  readonly waiting: readonly [room: MyRoom];
  /** No further events follow. Emitted once, for any reason. */
  readonly closed: readonly [closed: RoomClosed];
};

export interface JoinOptions extends CallOptions {
  /**
   * Delivers this many of the newest messages first, before new ones and without a gap. Default: 0, only messages that
   * are stored after the call of `join`.
   */
  readonly history?: number | undefined;
  /**
   * Messages that the application already has, such as a page of `listMessages` or those of the last visit. All
   * messages that are newer than the oldest of these, and not among them, are delivered first. With an empty list, all
   * messages are. Cannot be combined with `history`.
   */
  readonly known?: readonly Pick<Message, 'message_id'>[] | undefined;
  /**
   * `lastChange` of the last visit, for applications that store messages. Edits and deletions since then are delivered
   * first. Default: only edits and deletions after the join are delivered.
   */
  readonly lastChange?: number | undefined;
}

/** An uploaded file of the room, or one to upload first. */
export type OutgoingFile = { readonly file_id: string } | Blob | Uint8Array<ArrayBuffer>;

export interface OutgoingMessage {
  readonly text?: string | undefined;
  readonly attachment?: OutgoingFile | undefined;
  /** Up to 10 files. Cannot be combined with `attachment`. */
  readonly attachments?: readonly OutgoingFile[] | undefined;
  /** The type of the message, which your application defines: at most 64 characters. */
  readonly type?: string | undefined;
  /** JSON object of your application: at most 4 KiB as JSON. */
  readonly data?: Readonly<Record<string, unknown>> | undefined;
  /** ID of the message that this one replies to. */
  readonly reply_to?: string | undefined;
  /**
   * 1 to 128 letters, digits or `. _ : -`, which the message contains. For one day, sending it again with the same ID
   * has no further effect. Default: a random ID.
   */
  readonly client_message_id?: string | undefined;
}

/** Options of `send`. `name` and `contentType` apply if exactly one file is to be uploaded. */
export interface SendOptions extends Pick<UploadOptions, 'name' | 'contentType' | 'signal'> {
  /** Progress of the upload of all files together. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called once, before `send` starts, with the message to show until it is delivered. */
  readonly onSending?: ((pending: PendingMessage) => void) | undefined;
}

/** A joined room. */
export interface LiveRoom extends Listening<RoomListeners> {
  readonly id: string;
  /** The room with the user's own profile and right, as last received. */
  readonly info: MyRoom;
  /** Why there are no more events. Undefined while events are delivered. */
  readonly closed: RoomClosed | undefined;
  /** Own messages that are being sent. */
  readonly pending: readonly PendingMessage[];
  /**
   * Yields all events from this call on. The loop ends when the room is closed. Leaving the loop does not leave the
   * room.
   */
  events(): AsyncIterableIterator<RoomEvent, undefined>;
  /** Yields all messages from this call on, including the user's own. */
  messages(): AsyncIterableIterator<Message, undefined>;
  /**
   * Sends a message, and returns the stored message as soon as it is acknowledged. The message is delivered as an
   * event, in its order among those of others. The client retries through outages, for at most `sendMs`, and the
   * message is stored once. Messages are stored in the order in which they were sent; one with a file to upload is
   * stored after the upload. If the room ends, or the user is removed, before the acknowledgment arrives, the client
   * still finds out whether the message was stored. An abort leaves that open.
   *
   * @throws RoomsApiError `invalid_request` or `payload_too_large` for a message that the service would reject.
   * @throws RoomsApiError `read_only` if the user may not post.
   * @throws RoomsApiError `idempotency_conflict` if another message has the `client_message_id`.
   * @throws RoomsApiError `timeout` after `sendMs`: the message may have been stored, and can be sent again under the
   * same `client_message_id`.
   */
  send(message: OutgoingMessage, options?: SendOptions): Promise<Message>;
  /**
   * Changes the text of an own message. Returns the message, which is also delivered as `message_updated`.
   *
   * @throws RoomsApiError `not_the_sender`, `message_not_found`, `message_deleted`, `read_only`, or `room_ended`.
   */
  edit(messageId: string, text: string, options?: CallOptions): Promise<Message>;
  /**
   * Deletes an own message, or, for admins, any message. Returns the message without text, data and files, which is also delivered as
   * `message_deleted`.
   *
   * @throws RoomsApiError `not_the_sender`, `message_not_found`, or `room_ended`.
   */
  delete(messageId: string, options?: CallOptions): Promise<Message>;
  /**
   * Marks all messages up to this one as read. The mark only moves forward. Returns the current mark. Calls during a
   * request share the next request.
   */
  markRead(messageId: string): Promise<ReadMark>;
  /**
   * Shows others that the user is typing. Call it at each keystroke. The client sends at most one frame in 2 seconds, repeats it every 4
   * seconds, and stops after 10 seconds without a call, or when a message is sent. Nothing is sent during an outage.
   */
  setTyping(typing: boolean): void;
  /** The other participants who are typing. */
  readonly typing: readonly Peer[];
  /**
   * The number of the last delivered edit or deletion: see `JoinOptions`. Undefined if the service does not support
   * edits.
   */
  readonly lastChange: number | undefined;
  /** Ends the events, and shows others that the user has left. */
  leave(): Promise<void>;
}
