import { writeSync } from 'node:fs';

// Passed on to the processes that run the tests.
process.env.ROOMS_DEPLOY_STARTED ??= String(Date.now());
const started = Number(process.env.ROOMS_DEPLOY_STARTED);

/** Says what is going on, on standard error; at once, and past whatever collects the output of tests. */
export function progress(step: string): void {
  const seconds = Math.round((Date.now() - started) / 1_000);
  writeSync(2, `${String(seconds).padStart(4)} s  ${step}\n`);
}
