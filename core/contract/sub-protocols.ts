/** The protocol version of clients that offer no sub-protocol. */
export const SUB_PROTOCOL = 'rooms.v1';
/** See docs/decisions/0030-rooms-v2.md. */
export const SUB_PROTOCOL_V2 = 'rooms.v2';
/** The protocol versions, newest first. A connection uses the first of these that its client offers. */
export const SUB_PROTOCOLS = [SUB_PROTOCOL_V2, SUB_PROTOCOL] as const;
export type SubProtocol = (typeof SUB_PROTOCOLS)[number];
/** The sub-protocol that precedes the token, for clients that cannot set headers (browsers). */
export const BEARER_SUB_PROTOCOL = 'bearer.';
