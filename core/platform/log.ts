/** Returns an error with its causes, for the logs only. */
export const errorChain = (error: unknown): object | undefined =>
  error instanceof Error
    ? { name: error.name, message: error.message, stack: error.stack, cause: errorChain(error.cause) }
    : undefined;

/** Returns what logs a failure about a room that is not thrown, because another one is. */
export const furtherFailure =
  (room_id: string) =>
  (error: unknown): void =>
    console.error({
      action: 'further_failure',
      room_id,
      error: error instanceof Error ? `${error.name}: ${error.message}` : error,
    });
