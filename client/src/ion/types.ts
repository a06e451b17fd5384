/*
 * The types of `ion-sdk-js/lib/connector` for chat and peers. The enumerations are objects, because TypeScript cannot
 * erase enums. Their values and use are the same.
 */

export const PeerState = { NONE: 0, JOIN: 1, UPDATE: 2, LEAVE: 3 } as const;
export type PeerState = (typeof PeerState)[keyof typeof PeerState];

export const Role = { HOST: 0, GUEST: 1 } as const;
export type Role = (typeof Role)[keyof typeof Role];

export const Protocol = { PROTOCOLUNKNOWN: 0, WEBRTC: 1, SIP: 2, RTMP: 3, RTSP: 4 } as const;
export type Protocol = (typeof Protocol)[keyof typeof Protocol];

export const Direction = { INCOMING: 0, OUTGOING: 1, BILATERAL: 2 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

export const ErrorType = {
  NONE: 0,
  UNKNOWNERROR: 1,
  PERMISSIONDENIED: 2,
  SERVICEUNAVAILABLE: 3,
  ROOMLOCKED: 4,
  PASSWORDREQUIRED: 5,
  ROOMALREADYEXIST: 6,
  ROOMNOTEXIST: 7,
  INVALIDPARAMS: 8,
  PEERALREADYEXIST: 9,
  PEERNOTEXIST: 10,
} as const;
export type ErrorType = (typeof ErrorType)[keyof typeof ErrorType];

/** Why a room could not be joined. */
export interface JoinError {
  errType: ErrorType;
  reason: string;
}

export interface JoinResult {
  success: boolean;
  error: JoinError;
  /** `HOST` for admins of the room, otherwise `GUEST`. */
  role: Role;
  room: RoomInfo;
}

export interface Peer {
  /** ID of the room. */
  sid: string;
  /** ID of the user. */
  uid: string;
  /** The participant's name in the room, or otherwise the ID of the user. */
  displayname: string;
  /** Always empty: Rooms does not store it. */
  extrainfo: Uint8Array | string;
  destination: string;
  role: Role;
  protocol: Protocol;
  /** Always empty: Rooms does not store it. */
  avatar: string;
  direction: Direction;
  vendor: string;
}

export interface PeerEvent {
  state: PeerState;
  peer: Peer;
}

export interface Message {
  from: string;
  /** Always `all`. */
  to: string;
  type: string;
  /** The same as `data`. */
  payload: Uint8Array;
  /** The sent data, as JSON in bytes. The Ion SDK's types call it `payload`, but the SDK delivers it as `data`. */
  data: Uint8Array;
}

export interface RoomInfo {
  sid: string;
  name: string;
  /** True if only admins can send messages. */
  lock: boolean;
  /** Always empty: Rooms has no room passwords. */
  password: string;
  description: string;
  /** Always 0, because front ends do not need the limit. */
  maxpeers: number;
}

export interface Disconnect {
  sid: string;
  reason: string;
}

export interface Service {
  name: string;
  connected: boolean;
  close(): void;
}
