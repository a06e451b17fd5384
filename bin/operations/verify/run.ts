import type { Check, Emulator } from './check.ts';
import { gatewayChecks, throttleChecks } from './gateway-checks.ts';
import { CheckFailed, NotShown } from './outcome.ts';
import { coldStartChecks, routeChecks } from './route-checks.ts';
import { serviceChecks } from './service-checks.ts';
import type { Session } from './session.ts';

/** All checks in their order: cold starts first, because other checks warm up functions, and throttles last. */
export const allChecks: readonly Check[] = [
  ...coldStartChecks,
  ...gatewayChecks,
  ...serviceChecks,
  ...routeChecks,
  ...throttleChecks,
];

export type Outcome = 'passed' | 'failed' | 'not_shown';

export interface Result {
  readonly name: string;
  readonly outcome: Outcome;
  /** The measurement, or the reason why the check failed or was not shown. */
  readonly detail: string;
  readonly ms: number;
}

/** Runs a check within its time limit. */
async function within(check: Check, session: Session, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.timeout(check.seconds * 1_000);
  const ended = AbortSignal.any([limit, signal]);
  const stopped = new Promise<never>((_, reject) => {
    const stop = () =>
      reject(new CheckFailed(signal.aborted ? 'it was interrupted' : `it took longer than ${check.seconds} s`));
    if (ended.aborted) stop();
    else ended.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([check.run(session, ended), stopped]);
}

const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`;
};

/**
 * Runs one check.
 *
 * @param imitation the emulator, if the target is one. A check with an exception for the emulator must fail there. If it
 *   passes, the exception is outdated, and that is a failure.
 */
export async function runCheck(
  check: Check,
  session: Session,
  { imitation, signal }: { imitation: Emulator | undefined; signal: AbortSignal },
): Promise<Result> {
  const started = performance.now();
  const result = (outcome: Outcome, detail: string): Result => ({
    name: check.name,
    outcome,
    detail,
    ms: Math.round(performance.now() - started),
  });
  const lack = imitation && check.lacks?.[imitation];
  try {
    const measured = await within(check, session, signal);
    if (lack === undefined) return result('passed', measured);
    return result('failed', `${imitation} now passes this check, so remove its exception ("${lack}"): ${measured}`);
  } catch (error) {
    if (error instanceof NotShown) return result('not_shown', error.message);
    if (lack !== undefined && !signal.aborted) return result('not_shown', `${lack} (here: ${messageOf(error)})`);
    return result('failed', messageOf(error));
  }
}

/** Runs the checks, and reports each when it ends. Checks that mostly wait run in parallel to the others. */
export async function runChecks(
  checks: readonly Check[],
  session: Session,
  options: { imitation: Emulator | undefined; signal: AbortSignal; onResult(result: Result): void },
): Promise<Result[]> {
  const run = async (check: Check): Promise<Result> => {
    const result = await runCheck(check, session, options);
    options.onResult(result);
    return result;
  };
  const waiting = checks.filter(({ waits }) => waits).map(run);
  const results: Result[] = [];
  for (const check of checks) if (!check.waits && !options.signal.aborted) results.push(await run(check));
  return [...results, ...(await Promise.all(waiting))];
}
