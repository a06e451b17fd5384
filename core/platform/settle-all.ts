/**
 * Waits until all promises have settled, even if some are rejected. Then throws the first failure in the order of the
 * list, not in the order of time.
 *
 * @param onFurther called with each further failure. Default: further failures are ignored
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
