import { SUB_PROTOCOL } from '../../core/contract/realtime.ts';
import type { SocketResult } from '../../core/realtime/action.ts';

interface ConnectEvent {
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** Nothing is stored yet: a connection counts from its first join. A browser insists on one of the sub-protocols it offered. */
export const handler = async ({ headers = {} }: ConnectEvent): Promise<SocketResult> => {
  const offered = Object.entries(headers).find(([name]) => name.toLowerCase() === 'sec-websocket-protocol')?.[1];
  return {
    statusCode: 200,
    ...(offered !== undefined && { headers: { 'Sec-WebSocket-Protocol': SUB_PROTOCOL } }),
  };
};
