import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import { ACCOUNT, REGION } from '../cloudformation/template.ts';
import type { InvocationResult } from '../lambda/lambda.ts';
import { commonLogTime } from './payload.ts';
import type { AuthorizerContext, RequestParts } from './request-authorizer.ts';

/*
 * The events of the functions behind a WebSocket API, and the handling of their results
 * (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html).
 */

/** A client's connection. */
export interface Connection {
  readonly id: string;
  readonly apiId: string;
  readonly stage: string;
  readonly domainName: string;
  /** Connect time in milliseconds since the epoch. */
  readonly connectedAt: number;
  readonly sourceIp: string;
  readonly userAgent: string | undefined;
  readonly authorizer: AuthorizerContext | undefined;
}

/** Returns a random ID in the format of API Gateway, such as `L0SM9cOFvHcCIhw=`. */
export const newId = (): string => `${randomBytes(11).toString('base64url')}=`;

type EventType = 'CONNECT' | 'MESSAGE' | 'DISCONNECT';

function requestContext(connection: Connection, routeKey: string, eventType: EventType, requestId: string): object {
  const now = new Date();
  return {
    routeKey,
    eventType,
    extendedRequestId: requestId,
    requestTime: commonLogTime(now),
    messageDirection: 'IN',
    stage: connection.stage,
    connectedAt: connection.connectedAt,
    requestTimeEpoch: now.getTime(),
    identity: {
      sourceIp: connection.sourceIp,
      ...(connection.userAgent !== undefined && { userAgent: connection.userAgent }),
    },
    requestId,
    domainName: connection.domainName,
    connectionId: connection.id,
    apiId: connection.apiId,
    ...(connection.authorizer && { authorizer: connection.authorizer }),
  };
}

/** The parts of a handshake that functions see. */
export interface Handshake extends RequestParts {
  readonly multiValueHeaders: Readonly<Record<string, readonly string[]>>;
  readonly multiValueQuery: Readonly<Record<string, readonly string[]>>;
}

/** Returns the headers with their names as they were sent, like API Gateway. */
export function handshakeOf(request: IncomingMessage, sourceIp: string): Handshake {
  const multiValueHeaders: Record<string, string[]> = {};
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(index, index + 2);
    if (['connection', 'upgrade'].includes(name.toLowerCase())) continue;
    multiValueHeaders[name] = [...(multiValueHeaders[name] ?? []), value];
  }
  const now = Math.floor(Date.now() / 1_000).toString(16);
  multiValueHeaders['X-Amzn-Trace-Id'] = [`Root=1-${now}-${randomBytes(12).toString('hex')}`];
  multiValueHeaders['X-Forwarded-For'] = [sourceIp];
  multiValueHeaders['X-Forwarded-Proto'] = ['http'];
  const { searchParams } = new URL(request.url ?? '/', 'http://gateway');
  const multiValueQuery = Object.fromEntries([...searchParams.keys()].map((name) => [name, searchParams.getAll(name)]));
  const last = (values: Readonly<Record<string, readonly string[]>>) =>
    Object.fromEntries(Object.entries(values).map(([name, all]) => [name, all.at(-1) ?? '']));
  return { multiValueHeaders, multiValueQuery, headers: last(multiValueHeaders), query: last(multiValueQuery) };
}

/** Returns the ARN of a route, as policies of authorizers name it. */
export const methodArnOf = ({ apiId, stage }: Pick<Connection, 'apiId' | 'stage'>, routeKey: string): string =>
  `arn:aws:execute-api:${REGION}:${ACCOUNT}:${apiId}/${stage}/${routeKey}`;

/** Returns the event of an authorizer of the type REQUEST. */
export function authorizerEvent(connection: Connection, handshake: Handshake, requestId: string): string {
  return JSON.stringify({
    type: 'REQUEST',
    methodArn: methodArnOf(connection, '$connect'),
    headers: handshake.headers,
    multiValueHeaders: handshake.multiValueHeaders,
    queryStringParameters: handshake.query,
    multiValueQueryStringParameters: handshake.multiValueQuery,
    stageVariables: {},
    requestContext: requestContext(connection, '$connect', 'CONNECT', requestId),
  });
}

export function connectEvent(connection: Connection, handshake: Handshake, requestId: string): string {
  const hasQuery = Object.keys(handshake.query).length > 0;
  return JSON.stringify({
    headers: handshake.headers,
    multiValueHeaders: handshake.multiValueHeaders,
    ...(hasQuery && {
      queryStringParameters: handshake.query,
      multiValueQueryStringParameters: handshake.multiValueQuery,
    }),
    requestContext: requestContext(connection, '$connect', 'CONNECT', requestId),
    isBase64Encoded: false,
  });
}

export function messageEvent(
  connection: Connection,
  routeKey: string,
  frame: { readonly data: Buffer; readonly isBinary: boolean },
  requestId: string,
): string {
  return JSON.stringify({
    requestContext: { ...requestContext(connection, routeKey, 'MESSAGE', requestId), messageId: newId() },
    body: frame.data.toString(frame.isBinary ? 'base64' : 'utf8'),
    isBase64Encoded: frame.isBinary,
  });
}

export function disconnectEvent(
  connection: Connection,
  handshake: Handshake,
  end: { readonly code: number; readonly reason: string },
): string {
  return JSON.stringify({
    headers: handshake.headers,
    multiValueHeaders: handshake.multiValueHeaders,
    requestContext: {
      ...requestContext(connection, '$disconnect', 'DISCONNECT', newId()),
      disconnectStatusCode: end.code,
      disconnectReason: end.reason,
    },
    isBase64Encoded: false,
  });
}

const proxyResult = v.object({
  statusCode: v.pipe(v.union([v.number(), v.pipe(v.string(), v.digits(), v.transform(Number))]), v.integer()),
  headers: v.nullish(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
  body: v.nullish(v.string()),
});

/** Returns a function's result, or undefined if it failed or API Gateway cannot interpret it. */
export function proxyResultOf(result: InvocationResult): v.InferOutput<typeof proxyResult> | undefined {
  if (!result.ok) return undefined;
  const parsed = v.safeParse(proxyResult, JSON.parse(result.payload));
  return parsed.success ? parsed.output : undefined;
}

/** Returns a message of API Gateway itself to a client. */
export const gatewayMessage = (message: string, connectionId: string, requestId: string): string =>
  JSON.stringify({ message, connectionId, requestId });
