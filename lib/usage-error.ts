/** A mistake of whoever runs the app: shown as the one sentence it is, without a stack trace. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
