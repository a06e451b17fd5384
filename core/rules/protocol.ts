import { SUB_PROTOCOL, SUB_PROTOCOL_V2, SUB_PROTOCOLS, type SubProtocol } from '../contract/sub-protocols.ts';

/** Returns the protocol version of a connection from its context: see docs/decisions/0030-rooms-v2.md. */
export const protocolOf = ({ protocol }: { readonly protocol?: string }): SubProtocol =>
  SUB_PROTOCOLS.find((known) => known === protocol) ?? SUB_PROTOCOL;

/** Whether a connection uses `rooms.v2`. Items of `rooms.v1` connections have no protocol. */
export const usesV2 = ({ protocol }: { readonly protocol?: SubProtocol | undefined }): boolean =>
  protocol === SUB_PROTOCOL_V2;
