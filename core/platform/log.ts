/** An error in a log line. */
export interface LoggedError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: LoggedError | undefined;
}

/** The maximum number of causes in a log line. */
const MAX_CAUSES = 5;

/** Returns an error with its causes. Only for the log: callers must not see internals. */
export function describeError(error: unknown, causes = MAX_CAUSES): LoggedError {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error) };
  const { name, message, stack, cause } = error;
  const hasCause = cause !== undefined && causes > 0;
  return { name, message, stack, ...(hasCause && { cause: describeError(cause, causes - 1) }) };
}

/**
 * Writes a log line about an error. Lambda's JSON format logs the object as one record.
 *
 * @param about `action`, and the IDs of what failed. Never a token, query, body or message text
 */
export const logError = (about: object, error: unknown): void =>
  console.error({ ...about, error: describeError(error) });

/** Returns a function that logs further failures about a room. Only the first one is thrown. */
export const furtherFailure =
  (room_id: string) =>
  (error: unknown): void =>
    logError({ action: 'further_failure', room_id }, error);
