import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from 'aws-lambda';
import { handlerFile } from '../../core/contract/index.ts';
import type { Route } from '../../core/contract/route.ts';
import type * as table from '../../core/contract/routes.ts';
import type { HttpEvent, HttpHandler } from '../../core/http/http-event.ts';
import { eventOf } from '../../local/apigateway/payload.ts';

/* The events of API Gateway for HTTP routes, and the handlers of these routes. */

const ROOT = join(import.meta.dirname, '../..');

export type Operation = keyof typeof table;

export interface Request {
  /** The ID of the caller. Null for a token without a `sub`. */
  readonly as: string | null;
  readonly params?: Readonly<Record<string, string>>;
  /** An array is a repeated parameter. A string is the whole query, already encoded. */
  readonly query?: string | Readonly<Record<string, string | number | readonly string[]>>;
  /** An object or array is sent as JSON, a string or bytes unchanged. */
  readonly body?: object | string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The token of every caller, which the authorizer has verified. No log may contain it. */
export const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.SECRET-OF-THE-CALLER.c2ln';

/** The context of an invocation with enough time. */
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

/** The context of an invocation with this many milliseconds left. */
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

/** The event with which API Gateway invokes the function of a route. */
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

/** Loads the handler of a route from the file that the contract names. */
export async function handlerOf(route: Route): Promise<HttpHandler> {
  const file = handlerFile(route);
  const loaded = handlers.get(file) ?? import(pathToFileURL(join(ROOT, file)).href);
  handlers.set(file, loaded);
  return (await loaded).handler;
}
