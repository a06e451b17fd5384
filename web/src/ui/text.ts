import { MAX_PARTICIPANTS_PER_CALL } from '../../../client/src/index.ts';

/* Formats times, sizes and names. */

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const DAY_OF_OTHER_YEAR = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short' });

const dayOf = (time: Date): string => time.toDateString();

/** Formats a time like "09:30". */
export const clock = (iso: string): string => TIME.format(new Date(iso));

/** Formats a day like "Today", "Yesterday" or "Tuesday, 3 March". */
export function dayName(iso: string, now: Date = new Date()): string {
  const time = new Date(iso);
  if (dayOf(time) === dayOf(now)) return 'Today';
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (dayOf(time) === dayOf(yesterday)) return 'Yesterday';
  return (time.getFullYear() === now.getFullYear() ? DAY : DAY_OF_OTHER_YEAR).format(time);
}

/** Formats a time like "09:30" for today and "Tue 3 Mar, 09:30" for other days. */
export function moment(iso: string, now: Date = new Date()): string {
  const time = new Date(iso);
  return dayOf(time) === dayOf(now) ? clock(iso) : `${SHORT_DAY.format(time)}, ${clock(iso)}`;
}

/** Formats the remaining time like "4:59" or "1:02:03". It is "0:00" for times in the past. */
export function countdown(iso: string, now: number): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(iso) - now) / 1_000));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Adds a full stop unless the text ends with a punctuation mark, which can be inside a closing quotation mark. */
export const asSentence = (text: string): string => `${text}${/[.!?…。！？؟][”"’)]*$/.test(text) ? '' : '.'}`;

const UNITS = ['bytes', 'KB', 'MB', 'GB'] as const;

/** Formats a file size like "48 KB". 1 KB is 1,000 bytes, as in file managers. */
export function fileSize(bytes: number): string {
  if (bytes === 1) return '1 byte';
  const power = Math.min(UNITS.length - 1, bytes < 1_000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const amount = bytes / 1_000 ** power;
  return `${amount.toLocaleString(undefined, { maximumFractionDigits: power > 0 && amount < 10 ? 1 : 0 })} ${UNITS[power]}`;
}

/** Returns the initials of a name. */
export function initials(name: string): string {
  const words = name.split(/[\s._:@|-]+/).filter(Boolean);
  const letters =
    words.length > 1 ? [words[0], words[1]].map((word) => [...(word ?? '')][0]) : [...(words[0] ?? '?')].slice(0, 2);
  return letters.join('').toUpperCase();
}

/** Returns the unique user IDs in a text. They are separated by commas, semicolons or white space. */
export const userIds = (text: string): string[] => [...new Set(text.split(/[\s,;]+/).filter(Boolean))];

const USER_ID = /^[A-Za-z0-9._:@|-]{1,128}$/;

/** Returns the error text for a list of user IDs, or undefined if it is valid. */
export function userIdsProblem(ids: readonly string[]): string | undefined {
  const wrong = ids.find((id) => !USER_ID.test(id));
  if (wrong !== undefined && wrong.length > 128) return 'User IDs have at most 128 characters.';
  if (wrong !== undefined)
    return `“${wrong}” is not a user ID. Use letters, digits and the characters . _ : @ | - only.`;
  if (ids.length > MAX_PARTICIPANTS_PER_CALL)
    return `Add at most ${MAX_PARTICIPANTS_PER_CALL} users at a time; these are ${ids.length}.`;
  return undefined;
}

/** Parses a whole number. Returns undefined for all other texts, such as an empty one, which `Number` would convert to 0. */
export function wholeNumber(text: string): number | undefined {
  const trimmed = text.trim();
  return /^\d{1,15}$/.test(trimmed) ? Number(trimmed) : undefined;
}
