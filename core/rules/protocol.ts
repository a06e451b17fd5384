import { SUB_PROTOCOL, SUB_PROTOCOL_V2, SUB_PROTOCOLS, type SubProtocol } from '../contract/sub-protocols.ts';

/** Returns the version of the API that a connection speaks, from its context: see docs/decisions/0030-rooms-v2.md. */
export const spoken = ({ protocol }: { readonly protocol?: string }): SubProtocol =>
  SUB_PROTOCOLS.find((known) => known === protocol) ?? SUB_PROTOCOL;

/** Whether a connection speaks `rooms.v2`. What is stored of connections that speak `rooms.v1` has no protocol. */
export const speaksV2 = ({ protocol }: { readonly protocol?: SubProtocol | undefined }): boolean =>
  protocol === SUB_PROTOCOL_V2;
