/** The HTTP status that a request of the SDK failed with. Undefined where there was no answer. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && '$metadata' in error
    ? (error.$metadata as { httpStatusCode?: number }).httpStatusCode
    : undefined;
