import type { DetachedFrame, EventsFrame, Message, MyRoom, ReadMark, RoomSeq } from './contract.ts';
import type { ReadChangesPage, ReadPage } from './history.ts';
import type { CallOptions } from './http.ts';
import type { Settings } from './options.ts';
import type { LiveRoom, RoomClosed, SendOptions } from './room-types.ts';
import type { RoomEvent, Socket } from './socket.ts';

/* The interfaces between a room and its connection. */

/** Reads pages of a room's history, and of its edits and deletions. */
export interface Pages {
  readonly readPage: ReadPage;
  readonly readChangesPage: ReadChangesPage;
}

/** The parts of a connection that a room uses. */
export interface RoomHost extends Pages {
  readonly settings: Settings;
  readonly edit: (messageId: string, text: string, options?: CallOptions) => Promise<Message>;
  readonly delete: (messageId: string, options?: CallOptions) => Promise<Message>;
  readonly markRead: (messageId: string) => Promise<ReadMark>;
  readonly readRoom: (signal: AbortSignal) => Promise<MyRoom>;
  readonly upload: (
    file: Blob | Uint8Array<ArrayBuffer>,
    options: SendOptions,
  ) => Promise<{ readonly file_id: string }>;
  /** The user, if the token contains one. */
  readonly userId: () => string | undefined;
  /** Returns any socket, to send one more frame about a closed room. Opens one if necessary. */
  readonly socket: (signal: AbortSignal) => Promise<Socket>;
  /** Reports that the room no longer needs a socket. `isClosing`: the service is about to close it. */
  readonly onDetached: (isClosing: boolean) => void;
  /** Reports that a request to leave was sent. `done` resolves after the reply, or when none can arrive. */
  readonly onLeaving: (done: Promise<unknown>) => void;
}

/** The interface of a room for its connection. */
export interface RoomActor {
  /** Resolves when the room was joined for the first time. If all callers abort, the room is left. */
  readonly joined: (signal?: AbortSignal) => Promise<LiveRoom>;
  /** Provides a new socket, on which the room joins. */
  enter(socket: Socket): void;
  /** Reports that the socket is lost. */
  suspend(): void;
  /** Whether the room was joined with `rooms.v2`. Undefined until it is known. */
  readonly isNumbered: boolean | undefined;
  onEvent(event: RoomEvent): void;
  onEvents(frame: EventsFrame): void;
  onDetached(frame: DetachedFrame): void;
  /**
   * Returns a function that processes the room's numbers in the reply to a ping that is sent now. Undefined if the room
   * needs no numbers.
   */
  ask(): ((seq: RoomSeq | undefined) => void) | undefined;
  close(closed: RoomClosed): void;
}
