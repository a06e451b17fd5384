/**
 * Returns when a one-off schedule is due, in epoch milliseconds.
 *
 * @param expression `at(2026-11-24T09:00:00)`
 * @param zone undefined is UTC
 * @throws for every other kind of schedule: the local stack runs no others
 */
export function oneOffTime(expression: string, zone: string | undefined): number {
  const [, time] = /^at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)$/.exec(expression) ?? [];
  if (time === undefined)
    throw new Error(`Invalid Schedule Expression ${expression}. The local stack knows at(yyyy-mm-ddThh:mm:ss) only.`);
  if (zone !== undefined && zone !== 'UTC' && zone !== 'Etc/UTC')
    throw new Error(`The local stack knows no time zone but UTC, and was asked for ${zone}.`);
  const due = Date.parse(`${time}Z`);
  // JavaScript reads the 30th of February as the 2nd of March.
  if (Number.isNaN(due) || new Date(due).toISOString().slice(0, 19) !== time)
    throw new Error(`Invalid Schedule Expression ${expression}. There is no such time.`);
  return due;
}

/** setTimeout's limit: longer waits fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls back at a time, however far in the future. Returns a function that cancels it. */
export function callAt(due: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const milliseconds = Math.min(Math.max(0, due - Date.now()), LONGEST_TIMER_MS);
    timer = setTimeout(() => (Date.now() < due ? wait() : callback()), milliseconds);
  };
  wait();
  return () => clearTimeout(timer);
}
