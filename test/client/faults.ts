import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { WebSocketConstructor } from '../../client/src/index.ts';

/** A TCP proxy to a server that can interrupt connections. The server itself is unchanged. */
export interface Way {
  /** The URL of `target` through the proxy. */
  readonly url: string;
  /** Number of open connections. */
  readonly open: () => number;
  /** Closes all connections immediately. */
  cut(): void;
  /** Stops all data on the open connections without closing them. */
  freeze(): void;
  /** Calls `freeze` once, after clients have sent this many further bytes. */
  freezeAfter(bytes: number): void;
  /** Delays all data to the client for this many milliseconds, then delivers it. */
  stall(ms: number): void;
  /** Whether the proxy refuses new connections. */
  refusing: boolean;
  close(): Promise<void>;
}

export async function breakableWay(target: string): Promise<Way> {
  const { hostname, port, protocol, pathname } = new URL(target);
  const pairs = new Set<readonly [Socket, Socket]>();
  let bytesUntilFrozen = Number.POSITIVE_INFINITY;
  const way: Way = {
    url: '',
    open: () => pairs.size,
    cut() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      pairs.clear();
    },
    freeze() {
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.pause();
        far.pause();
      }
    },
    freezeAfter(bytes) {
      bytesUntilFrozen = bytes;
    },
    stall(ms) {
      for (const [near, far] of pairs) {
        far.unpipe(near);
        setTimeout(() => far.pipe(near), ms).unref();
      }
    },
    refusing: false,
    async close() {
      way.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer((near) => {
    if (way.refusing) return void near.destroy();
    const far = connect(Number(port) || (protocol === 'wss:' ? 443 : 80), hostname);
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = () => {
      for (const socket of pair) socket.destroy();
      pairs.delete(pair);
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    near.on('data', ({ length }: Buffer) => {
      bytesUntilFrozen -= length;
      if (bytesUntilFrozen > 0) return;
      bytesUntilFrozen = Number.POSITIVE_INFINITY;
      way.freeze();
    });
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const own = (server.address() as AddressInfo).port;
  return Object.assign(way, { url: `${protocol}//127.0.0.1:${own}${pathname}` });
}

/** Returns a WebSocket class that drops received frames for which `isLost` returns true. */
export const lossyWebSocket = (isLost: (frame: string) => boolean): WebSocketConstructor =>
  class extends WebSocket {
    override set onmessage(listener: ((event: MessageEvent) => void) | null) {
      super.onmessage = listener && ((event) => void (isLost(String(event.data)) || listener(event)));
    }
    override get onmessage() {
      return null;
    }
  };

/** Returns a generator of numbers from 0 to 1 (mulberry32). The same seed gives the same numbers, so a failure can be reproduced. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
