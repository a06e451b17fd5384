/** An instant as the API writes it: ISO 8601, UTC, milliseconds. Such strings sort as the instants do. */
export type Timestamp = string;

/** `2026-03-01T10:30:00+01:00` → `2026-03-01T09:30:00.000Z`. The text must be a valid time. */
export const toUtc = (text: string): Timestamp => new Date(text).toISOString();

/** The instant `ms` milliseconds after `time`. */
export const plus = (time: Timestamp, ms: number): Timestamp => new Date(Date.parse(time) + ms).toISOString();

/** Whole seconds since the epoch, as DynamoDB's TTL wants them. */
export const epochSeconds = (time: Timestamp): number => Math.floor(Date.parse(time) / 1_000);

/** False for the 30th of February, which `Date` would quietly read as a day in March, and for what it cannot read. */
export function isRealTime(text: string): boolean {
  if (Number.isNaN(Date.parse(text))) return false;
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number);
  const midnight = new Date(Date.UTC(year, month - 1, day));
  return midnight.getUTCFullYear() === year && midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === day;
}
