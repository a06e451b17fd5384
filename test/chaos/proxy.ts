import { once } from 'node:events';
import { Agent, createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request as a proxy sees it before it passes it on. */
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
 * What becomes of a request. `answer` instead of passing it on; `lose` passes it on, and hangs up or answers otherwise; `break off` passes
 * it on, and hangs up in the middle of the answer's body.
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
  /** Breaks all connections, and refuses new ones for so many milliseconds. */
  restart(downMs: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts an HTTP proxy that lets requests go wrong.
 *
 * @param upstream where requests go to; asked for each, as it may be known only later
 * @param decide what becomes of a request
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
    // Whoever asked has gone, or the upstream has: either way, there is nobody to answer.
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
