import { type ParseArgsConfig, parseArgs } from 'node:util';

/** Thrown where a command was called in a way it does not know. Its message is meant for the user. */
export class UsageError extends Error {}

/** As `parseArgs`, but what is wrong is said in one sentence that names the way to the help. */
export function parseCommandLine<const Config extends ParseArgsConfig>(config: Config, help: string) {
  try {
    return parseArgs(config);
  } catch (error) {
    const message = error instanceof Error ? (error.message.split(/\.?\n|\. /)[0] ?? '') : String(error);
    throw new UsageError(`${message.replace(/\.$/, '')}; ${help} says what there is.`);
  }
}
