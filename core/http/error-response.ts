import type { MiddlewareObj } from '@middy/core';
import { toRoomsError } from '../platform/rooms-error.ts';
import type { HttpEvent, HttpResult } from './http-event.ts';
import { failure } from './response.ts';

/** Turns any error into the response that the contract has for it. */
export const errorResponse = (): MiddlewareObj<HttpEvent, HttpResult> => ({
  onError(request) {
    const error = toRoomsError(request.error);
    request.error = error;
    request.response = failure(error, request.event.requestContext.requestId);
  },
});
