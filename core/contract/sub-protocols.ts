/** The version of the API that a client speaks if it offers no sub-protocol. */
export const SUB_PROTOCOL = 'rooms.v1';
/** See docs/decisions/0030-rooms-v2.md. */
export const SUB_PROTOCOL_V2 = 'rooms.v2';
/** The versions of the API, the newest first. A connection speaks the first of these that its client offers. */
export const SUB_PROTOCOLS = [SUB_PROTOCOL_V2, SUB_PROTOCOL] as const;
export type SubProtocol = (typeof SUB_PROTOCOLS)[number];
/** Precedes the token among the sub-protocols if the client cannot set headers (browsers). */
export const BEARER_SUB_PROTOCOL = 'bearer.';
