export { type Addresses, Connector, type ConnectorOptions } from './connector.ts';
export { LocalStream, RemoteStream, RTC } from './media.ts';
export { Room } from './room.ts';
export {
  Direction,
  type Disconnect,
  ErrorType,
  type JoinError,
  type JoinResult,
  type Message,
  type Peer,
  type PeerEvent,
  PeerState,
  Protocol,
  Role,
  type RoomInfo,
  type Service,
} from './types.ts';
