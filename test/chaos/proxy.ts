import { once } from 'node:events';
import { Agent, createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request that a proxy has received and not yet forwarded. */
export interface Passing {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * What the proxy does with a request. `answer` responds without forwarding. `lose` forwards it, then disconnects or
 * responds differently. `break off` forwards it, and disconnects in the middle of the response's body.
 */
export type Verdict =
  | { readonly kind: 'pass'; readonly afterMs?: number; readonly answerAfterMs?: number }
  | { readonly kind: 'hang up' }
  | { readonly kind: 'break off' }
  | { readonly kind: 'answer'; readonly reply: Reply }
  | { readonly kind: 'lose'; readonly reply?: Reply };

export const PASS: Verdict = { kind: 'pass' };

export interface Proxy {
  readonly url: string;
  /** Breaks all connections, and refuses new ones for this many milliseconds. */
  restart(downMs: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts an HTTP proxy that can make requests fail.
 *
 * @param upstream returns the target URL. It is called for each request, because the target may not be known at the
 * start
 * @param decide returns what to do with a request
 */
export async function startProxy(upstream: () => string, decide: (request: Passing) => Verdict): Promise<Proxy> {
  const agent = new Agent({ keepAlive: true, maxSockets: 512 });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const [method, path] = [request.method ?? 'GET', request.url ?? '/'];
    const verdict = decide({ method, path, headers: request.headers, body });
    if (verdict.kind === 'hang up') return void request.socket.destroy();
    const answer = ({ status, headers = {}, body: text = '' }: Reply): void => {
      response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text);
    };
    if (verdict.kind === 'answer') return answer(verdict.reply);
    if (verdict.kind === 'pass' && verdict.afterMs) await sleep(verdict.afterMs);
    const passed = forward(`${upstream()}${path}`, { method, headers: request.headers, agent });
    passed.end(body);
    const [reply]: [IncomingMessage] = (await once(passed, 'response')) as [IncomingMessage];
    const bytes = await buffer(reply);
    if (verdict.kind === 'lose') return verdict.reply ? answer(verdict.reply) : void request.socket.destroy();
    if (verdict.kind === 'break off') {
      response.writeHead(reply.statusCode ?? 502, reply.headers).write(bytes.subarray(0, bytes.length / 2));
      await sleep(10);
      return void request.socket.destroy();
    }
    if (verdict.answerAfterMs) await sleep(verdict.answerAfterMs);
    response.writeHead(reply.statusCode ?? 502, reply.headers).end(bytes);
  }

  const server = createServer((request, response) => {
    // The client or the upstream has disconnected, so no response is possible.
    serve(request, response).catch(() => request.socket.destroy());
  });
  server.keepAliveTimeout = 65_000;
  const open = async (on: number): Promise<number> => {
    server.listen(on, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await open(0);
  return {
    url: `http://127.0.0.1:${port}`,
    async restart(downMs) {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await sleep(downMs);
      await open(port);
    },
    async close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}
