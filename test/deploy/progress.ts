import { writeSync } from 'node:fs';

// Processes that run the tests inherit this variable.
process.env.ROOMS_DEPLOY_STARTED ??= String(Date.now());
const started = Number(process.env.ROOMS_DEPLOY_STARTED);

/** Prints a step to standard error at once. Vitest does not capture this output. */
export function progress(step: string): void {
  const seconds = Math.round((Date.now() - started) / 1_000);
  writeSync(2, `${String(seconds).padStart(4)} s  ${step}\n`);
}
