/** A mistake in how a command was called. Commands show its message, without a stack trace. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
