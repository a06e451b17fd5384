import { statusOf } from '../aws/status-of.ts';
import { RoomsError } from '../contract/errors.ts';

/** What DynamoDB calls having too much to do, and what a request is called that got no answer in time or was aborted. */
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

/** Throttled items of a transaction stand in its reasons. */
function reasonsOf(error: unknown): string[] {
  if (!(error instanceof Error) || !('CancellationReasons' in error) || !Array.isArray(error.CancellationReasons))
    return [];
  return error.CancellationReasons.map((reason: { Code?: string }) => reason.Code ?? '');
}

/** The failure that a caller is told about: what is ours to name as it is, what will pass as `try_again`, the rest as `internal`. */
export function toRoomsError(error: unknown): RoomsError {
  if (error instanceof RoomsError) return error;
  // S3's answer to a HEAD has no body, and so no name.
  const failed = (statusOf(error) ?? 0) >= 500;
  const busy = failed || BUSY.has(nameOf(error)) || reasonsOf(error).some((reason) => BUSY_REASONS.has(reason));
  return new RoomsError(busy ? 'try_again' : 'internal', [], { cause: error });
}
