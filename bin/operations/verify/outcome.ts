/** Thrown by a check that cannot be made here. The message is the reason. */
export class NotShown extends Error {}

/** Thrown by a check whose target does not behave as it should. The message says what it did. */
export class CheckFailed extends Error {}

/** Throws CheckFailed unless `holds`. */
export function must(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new CheckFailed(otherwise);
}
