import { type ErrorCode, type Issue, RoomsError } from '../contract/errors.ts';
import { statusOf } from './status-of.ts';

/** Names of DynamoDB's throttling errors, and of errors for requests that timed out or were aborted. */
const BUSY = new Set([
  'AbortError',
  'InternalServerError',
  'LimitExceededException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'ServiceUnavailable',
  'ThrottlingException',
  'TimeoutError',
  'TransactionConflictException',
  'TransactionInProgressException',
]);
const BUSY_REASONS = new Set(['ProvisionedThroughputExceeded', 'ThrottlingError', 'TransactionConflict']);

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** For a transaction, throttled items are in the cancellation reasons. */
function reasonsOf(error: unknown): string[] {
  if (!(error instanceof Error) || !('CancellationReasons' in error) || !Array.isArray(error.CancellationReasons))
    return [];
  return error.CancellationReasons.map((reason: { Code?: string }) => reason.Code ?? '');
}

/**
 * Returns the error for the caller. A RoomsError stays unchanged, a temporary failure becomes `try_again`, and anything
 * else `internal`.
 */
export function toRoomsError(error: unknown): RoomsError {
  if (error instanceof RoomsError) return error;
  // S3's response to a HEAD has no body, and so no error name.
  const failed = (statusOf(error) ?? 0) >= 500;
  const busy = failed || BUSY.has(nameOf(error)) || reasonsOf(error).some((reason) => BUSY_REASONS.has(reason));
  return new RoomsError(busy ? 'try_again' : 'internal', [], { cause: error });
}

/**
 * Returns what an answer says about an error: one entry per issue. An internal error has only the request ID, with which operators find the
 * details in the log.
 */
export const errorEntries = (
  { code, message, issues }: RoomsError,
  requestId: string,
): readonly (Issue & { readonly code: ErrorCode })[] =>
  code === 'internal'
    ? [{ code, message: `${message} Quote request id ${requestId} when you report it.` }]
    : issues.map((issue) => ({ code, ...issue }));
