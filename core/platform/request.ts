import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { ERRORS, type ErrorCode, RoomsError } from '../contract/errors.ts';
import type { Service } from '../contract/metrics.ts';
import { abortOn } from './abort.ts';
import { count } from './emf.ts';
import { logError } from './log.ts';
import { isRehearsal, type Primed, primed } from './prime.ts';
import { toRoomsError } from './rooms-error.ts';

/*
 * The common code around every request for which a caller waits: an HTTP request, or a frame on a WebSocket connection.
 */

/**
 * How long before the function's time-out the caller receives `try_again`, in milliseconds. Enough to log and to
 * respond.
 */
const EARLY_MS = 500;

/** Settings of middy. Shortly before the time-out, middy aborts the handler's signal, and responds with `try_again`. */
const EARLY_TIMEOUT = {
  timeoutEarlyInMillis: EARLY_MS,
  timeoutEarlyResponse: (): never => {
    throw new RoomsError('try_again');
  },
};

/** The requests of one API. */
export interface RequestKind<Event, Result> {
  /** The value of the dimension `service` of metrics. */
  readonly service: Service;
  /** Returns the log line of a request: IDs and outcome, but never a token, query, body or message text. */
  line(event: Event, result: Result, code: ErrorCode | undefined): object;
  /** Returns the response to a request that failed. */
  failure(error: RoomsError, event: Event): Result;
}

/** Milliseconds, like `performance.now()`, which would load more of Node during a cold start. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/**
 * Returns the Lambda handler for a kind of requests. It turns errors into responses of the contract, logs one line per
 * request, counts failures by code, and ends all work of a request when its time is over. The line of a 5xx contains
 * the error.
 *
 * @param work processes a request, and may throw anything
 * @param rehearsal returns a valid event for priming
 */
export function requestHandler<Event extends object, Result>(
  kind: RequestKind<Event, Result>,
  work: (event: Event) => Promise<Result>,
  rehearsal: () => Event,
): Primed<(event: Event, context: Context) => Promise<Result>> {
  const starts = new WeakMap<object, number>();
  const log = (event: Event, result: Result, error?: RoomsError): void => {
    if (isRehearsal()) return;
    const duration_ms = Math.round(now() - (starts.get(event) ?? now()));
    const line = { ...kind.line(event, result, error?.code), duration_ms };
    if (error) count(kind.service, { Refused: 1 }, error.code);
    if (error && ERRORS[error.code].status >= 500) logError(line, error.cause ?? error);
    else console.info(line);
  };
  const handler = middy<Event, Result>(EARLY_TIMEOUT)
    .use({
      before({ event }) {
        starts.set(event, now());
      },
      after({ event, response }) {
        log(event, response);
      },
      onError(request) {
        const error = toRoomsError(request.error);
        request.response = kind.failure(error, request.event);
        log(request.event, request.response, error);
      },
    })
    .handler((event: Event, _context, { signal }) => abortOn(signal, () => work(event)));
  return primed(handler, rehearsal);
}
