import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { ACCOUNT } from '../cloudformation/template.ts';

/*
 * Payload format 2.0 of HTTP APIs: the event of an integration, and the response from its result
 * (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
 */

/** The verified claims of a token in the format of an integration. All values are text. */
export interface Identity {
  readonly claims: Readonly<Record<string, string>>;
  readonly scopes: readonly string[] | null;
}

export interface Request {
  readonly method: string;
  /** The decoded path. */
  readonly path: string;
  /** The query as it was sent, without the question mark. */
  readonly rawQuery: string;
  /** The values of each header in the order in which they were sent. Names are in lower case. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: Buffer;
  readonly protocol: string;
  readonly sourceIp: string;
}

export interface Routed {
  readonly routeKey: string;
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly apiId: string;
  readonly stage: string;
  readonly requestId: string;
  readonly identity: Identity | undefined;
}

/** Returns the event of an integration as JSON text. */
export function eventOf(request: Request, routed: Routed, now: Date): string {
  const { cookie: cookies = [], connection: _hop, ...headers } = request.headers;
  const first = (name: string): string => headers[name]?.[0] ?? '';
  const host = first('host');
  const isText = isTextType(first('content-type'));
  const hasBody = request.body.length > 0;
  const { authority, port } = splitHost(host);
  return JSON.stringify({
    version: '2.0',
    routeKey: routed.routeKey,
    rawPath: request.path,
    rawQueryString: request.rawQuery,
    cookies: ifAny(cookies.flatMap((line) => line.split(';').map((part) => part.trim()))),
    headers: {
      ...mapValues(headers, (values) => values.join(',')),
      'x-amzn-trace-id': `Root=1-${Math.floor(now.getTime() / 1_000).toString(16)}-${randomBytes(12).toString('hex')}`,
      'x-forwarded-for': [...(headers['x-forwarded-for'] ?? []), request.sourceIp].join(', '),
      'x-forwarded-port': port,
      'x-forwarded-proto': 'http',
    },
    queryStringParameters: ifAny(queryOf(request.rawQuery)),
    requestContext: {
      accountId: ACCOUNT,
      apiId: routed.apiId,
      authorizer: routed.identity && { jwt: routed.identity },
      domainName: authority,
      domainPrefix: authority.split('.')[0],
      http: {
        method: request.method,
        path: request.path,
        protocol: request.protocol,
        sourceIp: request.sourceIp,
        userAgent: first('user-agent'),
      },
      requestId: routed.requestId,
      routeKey: routed.routeKey,
      stage: routed.stage,
      time: commonLogTime(now),
      timeEpoch: now.getTime(),
    },
    pathParameters: ifAny(routed.pathParameters),
    body: hasBody ? request.body.toString(isText ? 'utf8' : 'base64') : undefined,
    isBase64Encoded: hasBody && !isText,
  });
}

/** Returns whether API Gateway passes a body on as text. It encodes all others as base64, including forms. */
export const isTextType = (contentType: string): boolean =>
  /^(text\/.*|application\/(.*\+)?(json|xml)|application\/javascript)$/i.test(contentType.split(';')[0]?.trim() ?? '');

/** Decodes a query. The values of a repeated parameter are joined by commas. */
function queryOf(rawQuery: string): Record<string, string> {
  const search = new URLSearchParams(rawQuery);
  return Object.fromEntries([...new Set(search.keys())].map((name) => [name, search.getAll(name).join(',')]));
}

/** Formats a time like `12/Mar/2020:19:03:58 +0000`. */
export function commonLogTime(now: Date): string {
  const [, day, month, year, time] = now.toUTCString().split(' ');
  return `${day}/${month}/${year}:${time} +0000`;
}

function splitHost(host: string): { authority: string; port: string } {
  const [, authority = host, port = '80'] = /^(.*?)(?::(\d+))?$/.exec(host) ?? [];
  return { authority, port };
}

/** Returns undefined for an empty record, because events omit empty records. */
const ifAny = <T extends object>(value: T): T | undefined => (Object.keys(value).length > 0 ? value : undefined);

const mapValues = <Value, Result>(record: Readonly<Record<string, Value>>, map: (value: Value) => Result) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)] as const));

export interface Response {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer;
}

/** Returns a response of API Gateway itself. */
export const gatewayResponse = (status: number, message: string, headers: Response['headers'] = {}): Response => ({
  status,
  headers: { ...headers, 'content-type': 'application/json' },
  body: Buffer.from(JSON.stringify({ message })),
});

const structuredResult = v.object({
  statusCode: v.pipe(v.union([v.number(), v.pipe(v.string(), v.digits(), v.transform(Number))]), v.integer()),
  headers: v.nullish(v.record(v.string(), v.nullable(v.union([v.string(), v.number(), v.boolean()])))),
  cookies: v.nullish(v.array(v.string())),
  body: v.nullish(v.string()),
  isBase64Encoded: v.nullish(v.boolean()),
});

/**
 * Returns the response for a function's result. Without a `statusCode`, the result itself is the body. A malformed or
 * failed result becomes a 500.
 */
export function responseOf(result: { readonly ok: boolean; readonly payload: string }): Response {
  const error = gatewayResponse(500, 'Internal Server Error');
  if (!result.ok) return error;
  const value: unknown = JSON.parse(result.payload);
  if (typeof value !== 'object' || value === null || !('statusCode' in value))
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    };
  const parsed = v.safeParse(structuredResult, value);
  if (!parsed.success || parsed.output.statusCode < 100 || parsed.output.statusCode > 599) return error;
  const { statusCode, headers, cookies, body, isBase64Encoded } = parsed.output;
  const given = Object.entries(headers ?? {})
    .filter(([name, text]) => text !== null && !HOP_BY_HOP.has(name.toLowerCase()))
    .map(([name, text]) => [name.toLowerCase(), String(text)] as const);
  return {
    status: statusCode,
    headers: {
      'content-type': 'text/plain;charset=UTF-8',
      ...Object.fromEntries(given),
      ...(cookies && cookies.length > 0 && { 'set-cookie': cookies }),
    },
    body: Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8'),
  };
}

/** The gateway sets these headers itself: an integration cannot. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
