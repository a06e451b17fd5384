export {
  type AddParticipantsOptions,
  type CreateRoomBody,
  type CreateRoomOptions,
  RoomsClient,
  type UpdateRoomBody,
} from './client.ts';
export type { Connection, ConnectionListeners, ConnectionState } from './connection.ts';
export type * from './contract.ts';
export {
  MAX_ATTACHMENTS,
  MAX_FRAME_BYTES,
  MAX_JSON_BYTES,
  MAX_MESSAGE_LENGTH,
  MAX_MESSAGE_TYPE_LENGTH,
  MAX_PAGE_SIZE,
  MAX_PARTICIPANTS_PER_CALL,
} from './contract.ts';
export { type ClientErrorCode, type Fault, type Issue, RoomsApiError, type RoomsErrorCode } from './errors.ts';
export type { Listener, Listening } from './events.ts';
export type { DownloadedFile, FileSelector, Progress, TransferOptions, UploadOptions } from './files.ts';
export type { CallOptions, Page } from './http.ts';
export {
  insertMessages,
  type LiveMessages,
  type LiveParticipants,
  type LiveState,
  liveMessages,
  liveParticipants,
  type MessageListState,
  type ParticipantListState,
  replaceMessage,
} from './live-state.ts';
export type { RoomsClientOptions, TokenRequest, TokenSource, WebSocketConstructor, WebSocketLike } from './options.ts';
export type {
  JoinOptions,
  LiveRoom,
  OutgoingFile,
  OutgoingMessage,
  Peer,
  PendingMessage,
  RoomClosed,
  RoomListeners,
  SendOptions,
} from './room-types.ts';
export {
  type QueuedMessage,
  type RestoredMessage,
  type SendQueue,
  type SendQueueStorage,
  sendQueue,
  webStorageQueue,
} from './send-queue.ts';
export type { RoomEvent } from './socket.ts';
