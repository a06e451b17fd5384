/**
 * Returns why a room cannot end then; undefined if it can. An end in the past would end the room at once and
 * permanently, which “End room” asks about first.
 */
export const endProblem = (endTime: string | null, now: number): string | undefined =>
  endTime !== null && Date.parse(endTime) <= now
    ? 'The end must be in the future. To end a room now, choose “End room” from its menu.'
    : undefined;
