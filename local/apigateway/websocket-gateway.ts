import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { stackOf } from '../../tools/cli/error-text.ts';
import { AwsError, answer, answerError, bytesOf, isSigned } from '../aws/aws-request.ts';
import type { LocalFunction } from '../lambda/lambda.ts';
import type { Log } from '../log.ts';
import { type Authorization, authorize } from './request-authorizer.ts';
import { selectRoute } from './route-selection.ts';
import { createTokenBucket } from './throttle.ts';
import type { WebSocketApi } from './websocket-api.ts';
import {
  authorizerEvent,
  type Connection,
  connectEvent,
  disconnectEvent,
  gatewayMessage,
  type Handshake,
  handshakeOf,
  messageEvent,
  methodArnOf,
  newId,
  proxyResultOf,
} from './websocket-event.ts';

/*
 * API Gateway's limits
 * (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html).
 * One of them is missing here: API Gateway also closes a connection if a single frame of a message is above 32 KB.
 */
const MAX_MESSAGE_BYTES = 128 * 1024;
const IDLE_MS = 10 * 60_000;
const LONGEST_MS = 2 * 3_600_000;

export interface WebSocketGateway {
  /** The handler of handshakes. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** The connection management endpoint: `/<stage>/@connections/<id>`. */
  readonly handle: RequestListener;
  /** Closes all connections, and waits for the `$disconnect` functions. */
  close(): Promise<void>;
}

interface Open {
  readonly connection: Connection;
  readonly socket: WebSocket;
  lastActiveAt: number;
  /** The reason that `$disconnect` receives if the gateway closes the connection. */
  end?: { readonly code: number; readonly reason: string };
}

/** Serves a WebSocket API as API Gateway does. */
export function createWebSocketGateway(
  api: WebSocketApi,
  options: {
    /** The functions behind the routes, by ARN. */
    functions: ReadonlyMap<string, LocalFunction>;
    log: Log;
  },
): WebSocketGateway {
  const { functions, log } = options;
  const buckets = new Map([...api.throttles].map(([routeKey, throttle]) => [routeKey, createTokenBucket(throttle)]));
  const mayPass = (routeKey: string): boolean => (buckets.get(routeKey) ?? buckets.get('$default'))?.() !== false;
  const open = new Map<string, Open>();
  /** Invocations that have not finished. */
  const invocations = new Set<Promise<unknown>>();
  // `upgrade` sends the sub-protocol that the `$connect` function has chosen.
  const chosen = new WeakMap<IncomingMessage, string>();
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (_offered, request) => chosen.get(request) ?? false,
  });

  const functionOf = (arn: string): LocalFunction => {
    const fn = functions.get(arn);
    if (!fn) throw new Error(`${arn} is not in the templates.`);
    return fn;
  };

  /** Invokes a route's function; returns undefined if the API has no such route. */
  async function integrate(routeKey: string, event: string) {
    const route = api.routes.get(routeKey);
    return route && { route, result: proxyResultOf(await functionOf(route.functionArn).invoke(event)) };
  }

  /** Returns the status that rejects a handshake or, if it is accepted, the chosen sub-protocol. */
  async function admit(
    connection: Connection,
    handshake: Handshake,
    requestId: string,
  ): Promise<{ status: number } | { connection: Connection; protocol: string | undefined }> {
    if (!mayPass('$connect')) return { status: 429 };
    const authorization: Authorization | undefined =
      api.authorizer &&
      (await authorize(
        api.authorizer,
        functionOf(api.authorizer.functionArn),
        handshake,
        authorizerEvent(connection, handshake, requestId),
        methodArnOf(connection, '$connect'),
      ));
    if (authorization && 'status' in authorization) return authorization;
    const known: Connection = { ...connection, authorizer: authorization?.context };
    const connected = await integrate('$connect', connectEvent(known, handshake, requestId));
    if (connected && !connected.result) return { status: 502 };
    const status = connected?.result?.statusCode ?? 200;
    if (status < 200 || status > 299) return { status };
    const protocol = Object.entries(connected?.result?.headers ?? {}).find(
      ([name]) => name.toLowerCase() === 'sec-websocket-protocol',
    )?.[1];
    return { connection: known, protocol: protocol === undefined ? undefined : String(protocol) };
  }

  async function receive(entry: Open, data: Buffer, isBinary: boolean): Promise<void> {
    const { connection, socket } = entry;
    const started = performance.now();
    const requestId = newId();
    const say = (message: string): void => socket.send(gatewayMessage(message, connection.id, requestId));
    const text = isBinary ? undefined : data.toString('utf8');
    const routeKey = selectRoute(api.routes, api.routeSelectionExpression, text);
    if (routeKey === undefined) return say('Forbidden');
    if (!mayPass(routeKey)) return say('Too Many Requests');
    const integrated = await integrate(routeKey, messageEvent(connection, routeKey, { data, isBinary }, requestId));
    if (!integrated?.result) say('Internal server error');
    else if (integrated.route.twoWay && integrated.result.body) socket.send(integrated.result.body);
    log(
      'socket',
      `${connection.id} ${routeKey} ${integrated?.result?.statusCode ?? 'failed'} ${Math.round(performance.now() - started)} ms`,
    );
  }

  function closeAs(entry: Open, code: number, reason: string): void {
    entry.end ??= { code, reason };
    entry.socket.close(code, reason);
  }

  function track<T>(work: Promise<T>): void {
    const tracked = work
      .catch((error: unknown) => log('socket', stackOf(error)))
      .finally(() => invocations.delete(tracked));
    invocations.add(tracked);
  }

  function serve(socket: WebSocket, connection: Connection, handshake: Handshake): void {
    const entry: Open = { connection, socket, lastActiveAt: Date.now() };
    open.set(connection.id, entry);
    log('socket', `${connection.id} connected`);
    const idle = setTimeout(() => closeAs(entry, 1001, 'Going away'), IDLE_MS);
    const longest = setTimeout(() => closeAs(entry, 1001, 'Going away'), LONGEST_MS);
    socket.on('message', (data: Buffer, isBinary) => {
      idle.refresh();
      entry.lastActiveAt = Date.now();
      // Frames are processed in parallel and in no order, as in API Gateway.
      track(receive(entry, data, isBinary));
    });
    // A client that violates the protocol is disconnected; `close` follows.
    socket.on('error', (error) => log('socket', `${connection.id} ${error.message}`));
    socket.on('close', (code, reason) => {
      clearTimeout(idle);
      clearTimeout(longest);
      open.delete(connection.id);
      const end = entry.end ?? { code, reason: reason.toString() };
      log('socket', `${connection.id} disconnected ${end.code} ${end.reason}`);
      track(integrate('$disconnect', disconnectEvent(connection, handshake, end)));
    });
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const requestId = newId();
    const { pathname } = new URL(request.url ?? '/', 'http://gateway');
    if (pathname !== `/${api.stage}`) return refuse(socket, 403, JSON.stringify({ message: 'Forbidden' }));
    const sourceIp = request.socket.remoteAddress ?? '127.0.0.1';
    const handshake = handshakeOf(request, sourceIp);
    const connecting: Connection = {
      id: newId(),
      apiId: api.id,
      stage: api.stage,
      domainName: (request.headers.host ?? '').replace(/:\d+$/, ''),
      connectedAt: Date.now(),
      sourceIp,
      userAgent: request.headers['user-agent'],
      authorizer: undefined,
    };
    const admitted = await admit(connecting, handshake, requestId);
    if ('status' in admitted) {
      log('socket', `${connecting.id} refused ${admitted.status}`);
      return refuse(socket, admitted.status, gatewayMessage(wording(admitted.status), connecting.id, requestId));
    }
    if (admitted.protocol !== undefined) chosen.set(request, admitted.protocol);
    server.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, admitted.connection, handshake));
  }

  async function manage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://gateway');
    const prefix = `/${api.stage}/@connections/`;
    // The response of API Gateway to unknown requests.
    if (!pathname.startsWith(prefix) || !isSigned(request)) throw new AwsError(403, 'ForbiddenException', 'Forbidden');
    const payload = request.method === 'POST' ? await bytesOf(request, MAX_MESSAGE_BYTES) : Buffer.alloc(0);
    if (!payload) throw new AwsError(413, 'PayloadTooLargeException', 'Message too long');
    const entry = open.get(decodeURIComponent(pathname.slice(prefix.length)));
    if (!entry || entry.socket.readyState !== entry.socket.OPEN) throw new AwsError(410, 'GoneException', 'Gone');
    const { connection, socket } = entry;
    switch (request.method) {
      case 'POST':
        await new Promise<void>((resolve, reject) => {
          socket.send(payload, { binary: false }, (error) =>
            error ? reject(new AwsError(410, 'GoneException', 'Gone')) : resolve(),
          );
        });
        entry.lastActiveAt = Date.now();
        return answer(response, 200);
      case 'DELETE':
        closeAs(entry, 1000, 'Connection Closed Normally');
        return answer(response, 204);
      case 'GET':
        return answer(response, 200, {
          connectedAt: new Date(connection.connectedAt).toISOString(),
          identity: { sourceIp: connection.sourceIp, userAgent: connection.userAgent },
          lastActiveAt: new Date(entry.lastActiveAt).toISOString(),
        });
      default:
        throw new AwsError(403, 'ForbiddenException', 'Forbidden');
    }
  }

  return {
    upgrade(request, socket, head) {
      // Without this listener, an error before the upgrade or after a rejection would end the process.
      socket.on('error', () => socket.destroy());
      upgrade(request, socket, head).catch((error: unknown) => {
        log('socket', stackOf(error));
        refuse(socket, 500, JSON.stringify({ message: 'Internal server error' }));
      });
    },
    handle(request, response) {
      manage(request, response).catch((error: unknown) => {
        if (!(error instanceof AwsError)) log('socket', String(error));
        answerError(response, error);
      });
    },
    async close() {
      for (const entry of open.values()) {
        entry.end ??= { code: 1001, reason: 'Going away' };
        entry.socket.close(1001, 'Going away');
        entry.socket.terminate();
      }
      while (invocations.size > 0) await Promise.all(invocations);
      server.close();
    },
  };
}

const WORDING: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  429: 'Too Many Requests',
};
const wording = (status: number): string =>
  WORDING[status] ?? (status >= 500 ? 'Internal server error' : 'Bad request');

/** Responds to a handshake that is rejected. */
function refuse(socket: Duplex, status: number, body: string): void {
  if (!socket.writable) return;
  socket.end(
    [
      `HTTP/1.1 ${status} ${wording(status)}`,
      'Connection: close',
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}
