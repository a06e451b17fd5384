import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from 'aws-lambda';
import { handlerFile } from '../../core/contract/index.ts';
import type { Route } from '../../core/contract/route.ts';
import type * as table from '../../core/contract/routes.ts';
import type { HttpEvent, HttpHandler } from '../../core/http/http-event.ts';
import { eventOf } from '../../local/apigateway/payload.ts';

/* The events of API Gateway, and the handlers that they are for. */

const ROOT = join(import.meta.dirname, '../..');

export type Operation = keyof typeof table;

export interface Request {
  /** The user who calls; null for a token without a `sub`. */
  readonly as: string | null;
  readonly params?: Readonly<Record<string, string>>;
  /** An array is a parameter that is repeated; a string is the whole query as it stands in the URL. */
  readonly query?: string | Readonly<Record<string, string | number | readonly string[]>>;
  /** An object or array is sent as JSON, text and bytes as they are. */
  readonly body?: object | string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What every caller authenticates with. The authorizer has verified it; nothing of it may get into a log. */
export const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.SECRET-OF-THE-CALLER.c2ln';

/** The context of an invocation that has all the time it needs. */
export const context: Context = {
  callbackWaitsForEmptyEventLoop: false,
  functionName: 'rooms-test',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:rooms-test',
  memoryLimitInMB: '512',
  awsRequestId: randomUUID(),
  logGroupName: 'rooms-test',
  logStreamName: 'rooms-test',
  getRemainingTimeInMillis: () => 100_000,
  done: () => {},
  fail: () => {},
  succeed: () => {},
};

/** The context of an invocation that has this many milliseconds left. */
export const runningOut = (milliseconds: number): Context => ({
  ...context,
  getRemainingTimeInMillis: () => milliseconds,
});

/** The query of a URL, without its question mark. */
function rawQuery(query: Request['query'] = {}): string {
  if (typeof query === 'string') return query;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  return search.toString();
}

const bytesOf = (body: Request['body']): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'object' ? JSON.stringify(body) : (body ?? ''));

/** The event that API Gateway would call a route's function with. */
export function httpEvent(route: Route, request: Request): HttpEvent {
  const { as, params = {}, body, headers = {} } = request;
  const all = {
    accept: 'application/json',
    authorization: `Bearer ${TOKEN}`,
    host: 'rooms.test.example',
    'user-agent': 'rooms-test',
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
  };
  return JSON.parse(
    eventOf(
      {
        method: route.method,
        path: route.path.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? ''),
        rawQuery: rawQuery(request.query),
        headers: Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]])),
        body: bytesOf(body),
        protocol: 'HTTP/1.1',
        sourceIp: '203.0.113.7',
      },
      {
        routeKey: `${route.method} ${route.path}`,
        pathParameters: params,
        apiId: 'test',
        stage: '$default',
        requestId: randomUUID(),
        identity: {
          claims: { iss: 'https://iams.test.example', aud: 'rooms', ...(as !== null && { sub: as }) },
          scopes: null,
        },
      },
      new Date(),
    ),
  );
}

const handlers = new Map<string, Promise<{ handler: HttpHandler }>>();

/** The handler of a route, loaded from where the contract says that it is. */
export async function handlerOf(route: Route): Promise<HttpHandler> {
  const file = handlerFile(route);
  const loaded = handlers.get(file) ?? import(pathToFileURL(join(ROOT, file)).href);
  handlers.set(file, loaded);
  return (await loaded).handler;
}
