import type { Page } from '../contract/answers.ts';
import type { Answer, Call, Route } from '../contract/route.ts';
import { type RequestKind, requestHandler } from '../platform/request.ts';
import type { HttpEvent, HttpHandler, HttpResult } from './http-event.ts';
import { parseRequest } from './parse.ts';
import { rehearsalEvent } from './rehearsal.ts';
import { failure, success } from './response.ts';

const isPage = (answer: unknown): answer is Page<unknown> =>
  typeof answer === 'object' && answer !== null && 'items' in answer && 'next_cursor' in answer;

/** Returns the description of a route's requests. */
const requestsTo = ({ operation }: Route): RequestKind<HttpEvent, HttpResult> => ({
  service: 'http',
  line: ({ routeKey, requestContext, pathParameters }, { statusCode }, code) => ({
    operation,
    route: routeKey,
    status: statusCode,
    code,
    api_request_id: requestContext.requestId,
    user: requestContext.authorizer.jwt.claims.sub,
    room_id: pathParameters?.room_id,
  }),
  failure: (error, { requestContext }) => failure(error, requestContext.requestId),
});

/**
 * Returns the Lambda handler of a route. It validates the request, calls `handle`, and wraps its result or its error.
 *
 * @param handle receives only valid input, and may throw any RoomsError
 */
export const endpoint = <R extends Route>(route: R, handle: (call: Call<R>) => Promise<Answer<R>>): HttpHandler =>
  requestHandler(
    requestsTo(route),
    async (event) => {
      const answer: unknown = await handle(parseRequest(route, event, new Date().toISOString()));
      return route.list && isPage(answer)
        ? success(route.status, {
            data: answer.items,
            page: { size: answer.items.length, next_cursor: answer.next_cursor },
          })
        : success(route.status, { data: answer });
    },
    () => rehearsalEvent(route),
  );
