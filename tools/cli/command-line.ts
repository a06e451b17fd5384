import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './usage-error.ts';

/**
 * Parses the options of a command.
 *
 * @param help the command that prints the help, for the error text
 * @throws UsageError with one sentence
 */
export function parseCommandLine<const Config extends ParseArgsConfig>(config: Config, help: string) {
  try {
    return parseArgs(config);
  } catch (error) {
    const message = error instanceof Error ? (error.message.split(/\.?\n|\. /)[0] ?? '') : String(error);
    throw new UsageError(`${message.replace(/\.$/, '')}; for the options, run ${help}.`);
  }
}
