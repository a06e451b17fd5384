/** The client's ID of a message that is measured. */
export const messageId = (n: number): string => `latency-${n}`;

/** Returns the number of the message that a text is about. */
export function numberOf(text: string): number | undefined {
  const [, digits] = /"latency-(\d+)\\?"/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
