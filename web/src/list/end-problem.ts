/**
 * Returns why an end time is invalid, or undefined if it is valid. A time in the past would end the room permanently, without
 * the confirmation that “End room” asks for.
 */
export const endProblem = (endTime: string | null, now: number): string | undefined =>
  endTime !== null && Date.parse(endTime) <= now
    ? 'The end must be in the future. To end a room now, choose “End room” from its menu.'
    : undefined;
