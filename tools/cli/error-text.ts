/** Returns the message of a thrown value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Returns a thrown value with its stack, for developers. */
export const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** Returns the name and message of a thrown value, for operators, who look up names such as `AccessDeniedException`. */
export const summaryOf = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);
