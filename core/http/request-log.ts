import type { MiddlewareObj } from '@middy/core';
import { RoomsError } from '../contract/errors.ts';
import type { Route } from '../contract/route.ts';
import { count } from '../platform/emf.ts';
import { errorChain } from '../platform/log.ts';
import { isRehearsal } from '../platform/prime.ts';
import type { HttpEvent, HttpResult } from './http-event.ts';

/** Like `performance.now()`, in milliseconds, which would load more of Node during a cold start. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/**
 * Writes one line for each request. Lambda's JSON format makes a log record of the object. It contains only ids and
 * the outcome, never a token, query or body. The error behind a 5xx is part of the line.
 */
export const requestLog = ({ operation }: Route): MiddlewareObj<HttpEvent, HttpResult, Error> => {
  const starts = new WeakMap<object, number>();
  const write = (request: {
    event: HttpEvent;
    error?: Error | null | undefined;
    response?: HttpResult | null | undefined;
  }) => {
    if (isRehearsal()) return;
    const { event, error, response } = request;
    const { requestId, authorizer } = event.requestContext;
    const status = response?.statusCode ?? 500;
    const code = error instanceof RoomsError ? error.code : undefined;
    const line = {
      operation,
      route: event.routeKey,
      status,
      code,
      api_request_id: requestId,
      user: authorizer.jwt.claims.sub,
      room_id: event.pathParameters?.room_id,
      duration_ms: Math.round(now() - (starts.get(event) ?? now())),
    };
    if (code) count('http', { Refused: 1 }, code);
    if (status >= 500) console.error({ ...line, error: errorChain(error?.cause ?? error) });
    else console.info(line);
  };
  return {
    before: ({ event }) => {
      starts.set(event, now());
    },
    after: write,
    onError: write,
  };
};
