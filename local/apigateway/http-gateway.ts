import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { stackOf } from '../../tools/cli/error-text.ts';
import type { LocalFunction } from '../lambda/lambda.ts';
import type { Log } from '../log.ts';
import { isPreflight, preflight, withCors } from './cors.ts';
import type { HttpApi } from './http-api.ts';
import { eventOf, gatewayResponse, type Request, type Response, responseOf } from './payload.ts';
import { matchRoute } from './route-match.ts';
import { createTokenBucket } from './throttle.ts';

/** Additional handlers of the local stack, by path. */
export type LocalRoutes = Readonly<
  Record<string, (request: IncomingMessage, response: ServerResponse) => void | Promise<void>>
>;

/** API Gateway's limit for a request's body (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html). */
const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** Serves an HTTP API as API Gateway does. */
export function createHttpGateway(
  api: HttpApi,
  options: {
    /** The functions behind the routes, by ARN. */
    functions: ReadonlyMap<string, LocalFunction>;
    localRoutes: LocalRoutes;
    log: Log;
  },
): RequestListener {
  const { functions, localRoutes, log } = options;
  const buckets = new Map([...api.throttles].map(([routeKey, throttle]) => [routeKey, createTokenBucket(throttle)]));

  async function respond(request: Request, requestId: string): Promise<Response> {
    const match = matchRoute(api.routes, request.method, request.path);
    if (!match) return gatewayResponse(404, 'Not Found');
    const { routeKey, pathParameters, target } = match;
    const mayPass = buckets.get(routeKey) ?? buckets.get('$default');
    if (mayPass?.() === false) return gatewayResponse(429, 'Too Many Requests');
    const authorized = await target.authorize?.(request, target.scopes);
    if (authorized && 'refusal' in authorized) return authorized.refusal;
    const fn = functions.get(target.functionArn);
    if (!fn) {
      log('gateway', `The function ${target.functionArn} of ${routeKey} is not in the templates.`);
      return gatewayResponse(500, 'Internal Server Error');
    }
    const identity = authorized?.identity;
    const routed = { routeKey, pathParameters, apiId: api.id, stage: api.stage, requestId, identity };
    return responseOf(await fn.invoke(eventOf(request, routed, new Date())));
  }

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const requestId = randomBytes(11).toString('base64');
    const started = performance.now();
    const [path, rawQuery] = splitTarget(incoming.url ?? '/');
    const localRoute = Object.hasOwn(localRoutes, path) ? localRoutes[path] : undefined;
    if (localRoute && (incoming.method === 'GET' || incoming.method === 'HEAD')) {
      allowLocalOrigin(incoming, outgoing);
      await localRoute(incoming, outgoing);
      return;
    }
    const body = await readBody(incoming);
    const decoded = decodePath(path);
    const request: Request = {
      method: incoming.method ?? 'GET',
      path: decoded ?? path,
      rawQuery,
      headers: headersOf(incoming),
      body: body ?? Buffer.alloc(0),
      protocol: `HTTP/${incoming.httpVersion}`,
      sourceIp: incoming.socket.remoteAddress ?? '127.0.0.1',
    };
    const response = await (async (): Promise<Response> => {
      if (api.cors && isPreflight(request)) return preflight(api.cors, request);
      const answer =
        decoded === undefined
          ? gatewayResponse(400, 'Bad Request')
          : body === undefined
            ? gatewayResponse(413, 'Request Entity Too Large')
            : await respond(request, requestId);
      return api.cors ? withCors(api.cors, request, answer) : answer;
    })();
    for (const [name, value] of Object.entries(response.headers))
      outgoing.setHeader(name, typeof value === 'string' ? value : [...value]);
    outgoing.setHeader('apigw-requestid', requestId);
    if (response.status !== 204 && response.status !== 304) outgoing.setHeader('content-length', response.body.length);
    outgoing.writeHead(response.status);
    outgoing.end(response.body);
    log(
      'gateway',
      `${request.method} ${path} ${response.status} ${Math.round(performance.now() - started)} ms ${requestId}`,
    );
  }

  return (incoming, outgoing) => {
    handle(incoming, outgoing).catch((error: unknown) => {
      // A client that disconnected is not worth a log line.
      if (incoming.destroyed && !incoming.complete) return;
      log('gateway', stackOf(error));
      if (!outgoing.headersSent) outgoing.writeHead(500, { 'content-type': 'application/json' });
      outgoing.end('{"message":"Internal Server Error"}');
    });
  };
}

function splitTarget(url: string): [path: string, rawQuery: string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    // A malformed escape sequence such as `%zz`.
    return undefined;
  }
}

const headersOf = (incoming: IncomingMessage): Record<string, string[]> =>
  Object.fromEntries(Object.entries(incoming.headersDistinct).map(([name, values]) => [name, values ?? []]));

/**
 * Returns the body, or undefined if it is too large. Reads to the end, because the client might otherwise miss the
 * response.
 */
async function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length <= MAX_BODY_BYTES) chunks.push(bytes);
  }
  return length <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined;
}

/** Sets CORS headers that allow pages of this machine to read the handlers of the local stack. */
function allowLocalOrigin(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { origin } = incoming.headers;
  if (origin === undefined || !URL.canParse(origin)) return;
  if (!['localhost', '127.0.0.1', '[::1]'].includes(new URL(origin).hostname)) return;
  outgoing.setHeader('access-control-allow-origin', origin);
  outgoing.setHeader('vary', 'origin');
}
