import { type ParseArgsConfig, parseArgs } from 'node:util';
import { MAX_PORT } from './ports.ts';

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

/** Reads the value of `--port`; undefined where it is not given. */
export function portOption(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= MAX_PORT))
    throw new UsageError(`--port must be a number from 0 to ${MAX_PORT}, not ${JSON.stringify(text)}.`);
  return port;
}
