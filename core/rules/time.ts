/** A time in the API's format: ISO 8601, UTC, with milliseconds. Such strings sort chronologically. */
export type Timestamp = string;

/**
 * A date and time with a time zone, in the formats of ISO 8601 and RFC 3339. Seconds are optional, the fraction may
 * follow a point or a comma, and the offset may lack minutes.
 */
const ISO_TIME =
  /^(?<date>\d{4}-\d\d-\d\d)[Tt ](?<minute>(?:[01]\d|2[0-3]):[0-5]\d)(?::(?<second>[0-5]\d)(?:[.,](?<fraction>\d{1,9}))?)?(?:[Zz]| ?(?<sign>[+-])(?<hours>[01]\d|2[0-3])(?::?(?<minutes>[0-5]\d))?)$/;

/** Whether a text has a form that {@link toUtc} can read. The day may not exist: see {@link isRealTime}. */
export const isIsoTime = (text: string): boolean => ISO_TIME.test(text);

/**
 * The only format that every JavaScript engine must parse. Each engine's `Date` accepts different additional formats.
 */
function canonical(text: string): string {
  const { date, minute, second = '00', fraction = '', sign, hours, minutes = '00' } = ISO_TIME.exec(text)?.groups ?? {};
  const zone = sign === undefined ? 'Z' : `${sign}${hours}:${minutes}`;
  return `${date}T${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}${zone}`;
}

/**
 * Converts a time to UTC: `2026-03-01T10:30+01` → `2026-03-01T09:30:00.000Z`. Digits after the milliseconds are
 * dropped.
 *
 * @throws RangeError if {@link isRealTime} returns false
 */
export const toUtc = (text: string): Timestamp => new Date(canonical(text)).toISOString();

/** The instant `ms` milliseconds after `time`. */
export const plus = (time: Timestamp, ms: number): Timestamp => new Date(Date.parse(time) + ms).toISOString();

/** Full seconds since the epoch, as DynamoDB's TTL requires. */
export const epochSeconds = (time: Timestamp): number => Math.floor(Date.parse(time) / 1_000);

/** False for 30 February, which `Date` parses as a day in March, and for texts that are not a time. */
export function isRealTime(text: string): boolean {
  if (Number.isNaN(Date.parse(canonical(text)))) return false;
  const date = text.slice(0, 10);
  return new Date(`${date}T00:00:00.000Z`).toISOString().startsWith(date);
}
