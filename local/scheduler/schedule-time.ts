/**
 * Returns when a one-off schedule is due, in epoch milliseconds.
 *
 * @param expression `at(2026-11-24T09:00:00)`
 * @param zone undefined is UTC
 * @throws for other kinds of schedules, which the local stack does not support
 */
export function oneOffTime(expression: string, zone: string | undefined): number {
  const [, time] = /^at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)$/.exec(expression) ?? [];
  if (time === undefined)
    throw new Error(
      `Invalid Schedule Expression ${expression}. The local stack supports only at(yyyy-mm-ddThh:mm:ss).`,
    );
  if (zone !== undefined && zone !== 'UTC' && zone !== 'Etc/UTC')
    throw new Error(`The local stack supports only the time zone UTC, not ${zone}.`);
  const due = Date.parse(`${time}Z`);
  // JavaScript parses February 30 as March 2.
  if (Number.isNaN(due) || new Date(due).toISOString().slice(0, 19) !== time)
    throw new Error(`Invalid Schedule Expression ${expression}. This time does not exist.`);
  return due;
}

/** setTimeout's limit: longer waits fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls a function at a time, even if it is more than 25 days ahead. Returns a function that cancels the call. */
export function callAt(due: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const milliseconds = Math.min(Math.max(0, due - Date.now()), LONGEST_TIMER_MS);
    timer = setTimeout(() => (Date.now() < due ? wait() : callback()), milliseconds);
  };
  wait();
  return () => clearTimeout(timer);
}
