/** An error in a log line. */
export interface LoggedError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: LoggedError | undefined;
}

/** Causes that a log line lists. */
const MAX_CAUSES = 5;

/** Returns an error with its causes. Only for the log: callers must not see internals. */
export function describeError(error: unknown, causes = MAX_CAUSES): LoggedError {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error) };
  const { name, message, stack, cause } = error;
  const hasCause = cause !== undefined && causes > 0;
  return { name, message, stack, ...(hasCause && { cause: describeError(cause, causes - 1) }) };
}

/**
 * Writes a log line about an error. Lambda's JSON format makes a log record of the object.
 *
 * @param about what failed: `action`, and the IDs that it is about. Never a token, query, body or message text
 */
export const logError = (about: object, error: unknown): void =>
  console.error({ ...about, error: describeError(error) });

/** Returns a function that logs failures about a room that are not thrown, because another one is. */
export const furtherFailure =
  (room_id: string) =>
  (error: unknown): void =>
    logError({ action: 'further_failure', room_id }, error);
