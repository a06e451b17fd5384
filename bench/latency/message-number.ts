/** The client_message_id of a measured message. */
export const messageId = (n: number): string => `latency-${n}`;

/** Returns the number of the measured message in a text. */
export function numberOf(text: string): number | undefined {
  const [, digits] = /"latency-(\d+)\\?"/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
