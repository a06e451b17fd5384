/** Thrown by a check that cannot run here. The message is the reason. */
export class NotShown extends Error {}

/** Thrown by a check that fails. The message describes the wrong behavior. */
export class CheckFailed extends Error {}

/** Throws CheckFailed unless `holds`. */
export function must(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new CheckFailed(otherwise);
}
