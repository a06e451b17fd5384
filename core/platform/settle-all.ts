/**
 * Waits for all, also where some fail, and fails with the first of the list that failed rather than the fastest.
 *
 * @param onFurther is called with each failure after the first, which is thrown nowhere. Default: it is dropped.
 */
export async function settleAll<const T extends readonly unknown[]>(
  work: T,
  onFurther?: (error: unknown) => void,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const outcomes = await Promise.allSettled(work);
  const [, ...further] = outcomes.filter((outcome) => outcome.status === 'rejected');
  if (onFurther) for (const { reason } of further) onFurther(reason);
  return Promise.all(work);
}
