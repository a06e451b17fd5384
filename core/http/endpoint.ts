import middy from '@middy/core';
import type { Page } from '../contract/answers.ts';
import type { Answer, Call, Route } from '../contract/route.ts';
import { abortOn } from '../platform/abort.ts';
import { EARLY_TIMEOUT } from '../platform/early-timeout.ts';
import { primed } from '../platform/prime.ts';
import { errorResponse } from './error-response.ts';
import type { HttpEvent, HttpHandler, HttpResult } from './http-event.ts';
import { parseRequest } from './parse.ts';
import { rehearsalEvent } from './rehearsal.ts';
import { requestLog } from './request-log.ts';
import { success } from './response.ts';

const isPage = (answer: unknown): answer is Page<unknown> =>
  typeof answer === 'object' && answer !== null && 'items' in answer && 'next_cursor' in answer;

/**
 * Returns the Lambda handler of a route: validates the request, calls `act`, and wraps its result or its error.
 *
 * @param act receives only valid input, and may throw any RoomsError
 */
export function endpoint<R extends Route>(route: R, act: (call: Call<R>) => Promise<Answer<R>>): HttpHandler {
  const handler = middy<HttpEvent, HttpResult>(EARLY_TIMEOUT)
    .use(requestLog(route))
    .use(errorResponse())
    .handler(async (event: HttpEvent, _context, { signal }): Promise<HttpResult> => {
      const answer: unknown = await abortOn(signal, () => act(parseRequest(route, event, new Date().toISOString())));
      return route.list && isPage(answer)
        ? success(route.status, {
            data: answer.items,
            page: { size: answer.items.length, next_cursor: answer.next_cursor },
          })
        : success(route.status, { data: answer });
    });
  return primed(handler, () => rehearsalEvent(route));
}
