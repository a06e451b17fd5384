import { messageOf } from '../../tools/cli/error-text.ts';
import { UsageError } from '../../tools/cli/usage-error.ts';

/*
 * Common functions of the commands for operators.
 */

/** Parses an option that is a whole number of 1 or more. */
export function numberOption(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError(`--${name} must be a whole number of 1 or more, not ${JSON.stringify(text)}.`);
  return number;
}

/** Returns a signal that Ctrl-C aborts, so that the command can finish its current step. */
export function interrupted(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  process.once('SIGTERM', () => controller.abort());
  return controller.signal;
}

/**
 * Runs a command and sets the exit code of the process: the command's own, 2 for a usage error, or `failed`.
 *
 * @param failed the exit code for all other errors. Default: 1
 */
export async function runCommand(script: string, command: () => Promise<number>, failed = 1): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    console.error(messageOf(error));
    if (isUsage) console.error(`For details, run "npm run ${script} -- --help".`);
    process.exitCode = isUsage ? 2 : failed;
  }
}
