export {
  RoomsProvider,
  type UseConnection,
  type UseMessages,
  type UseMessagesOptions,
  type UseParticipants,
  type UseParticipantsOptions,
  type UseRoom,
  type UseRooms,
  type UseRoomsOptions,
  type UseTyping,
  useConnection,
  useMessages,
  useParticipants,
  useRoom,
  useRooms,
  useRoomsClient,
  useTyping,
} from './hooks.ts';
export { type Hub, hubOf, type RoomStores, seenBy } from './hub.ts';
export type { OutboxMessage } from './outbox.ts';
export type { RoomFilter } from './room-list-store.ts';
export type { RoomStatus } from './room-store.ts';
