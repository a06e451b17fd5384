import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { UsageError } from '../../tools/cli/usage-error.ts';
import { readIfExists } from '../read-if-exists.ts';

/*
 * Stores the endpoints of running stacks, so that commands can find them. Each stack has a folder in the state directory with
 * `endpoints.json` and its log. The name of the folder is the port of the HTTP API, so several stacks can run from one checkout.
 */

/** The default state directory. */
export const STATE_DIRECTORY = fileURLToPath(new URL('../../.local', import.meta.url));

const endpointsFile = v.object({
  http: v.string(),
  ws: v.string(),
  issuer: v.string(),
  /** False if tokens come from an external identity provider. */
  issuerIsLocal: v.boolean(),
  dynamodb: v.optional(v.string()),
  /** URL of SQS, EventBridge, EventBridge Scheduler and Lambda. */
  aws: v.optional(v.string()),
  pid: v.number(),
});

/** URLs without a slash at the end, and the process that serves them. */
export type Endpoints = v.InferOutput<typeof endpointsFile>;

/** Thrown if several stacks are running and none was chosen, or if the chosen one is not running. Its message is for the user. */
export class StackChoiceError extends UsageError {}

/** Returns the folder of the stack whose HTTP API has this port. */
export const folderOfStack = (stateDirectory: string, httpPort: number): string =>
  join(stateDirectory, String(httpPort));

const portOf = ({ http }: Pick<Endpoints, 'http'>): number => Number(new URL(http).port);

/** Returns the stacks that are running, by port. */
export async function runningStacks(stateDirectory: string = STATE_DIRECTORY): Promise<Endpoints[]> {
  const folders = existsSync(stateDirectory) ? await readdir(stateDirectory) : [];
  const found = await Promise.all(folders.map((folder) => readEndpoints(join(stateDirectory, folder))));
  return found.filter((endpoints) => endpoints !== undefined).sort((a, b) => portOf(a) - portOf(b));
}

/**
 * Returns the stack that a command is for: the one whose HTTP API has this port or, without a port, the only running
 * one. Returns undefined if none is running.
 *
 * @throws StackChoiceError if several are running and no port is given, or none has the port
 */
export async function chooseStack(stateDirectory?: string, port?: number): Promise<Endpoints | undefined> {
  const running = await runningStacks(stateDirectory);
  const [stack, ...others] = port === undefined ? running : running.filter((each) => portOf(each) === port);
  const all = running.map(({ http }) => http).join(', ');
  if (others.length > 0)
    throw new StackChoiceError(
      `Several local stacks are running: ${all}. Choose one by its port, such as --port ${portOf(running[0] ?? { http: all })}.`,
    );
  if (!stack && port !== undefined && running.length > 0)
    throw new StackChoiceError(`No local stack is running on port ${port}, but on ${all}.`);
  return stack;
}

async function readEndpoints(folder: string): Promise<Endpoints | undefined> {
  const text = await readIfExists(fileOf(folder));
  if (text === undefined) return undefined;
  const endpoints = v.safeParse(v.pipe(v.string(), v.parseJson(), endpointsFile), text);
  return endpoints.success && isRunning(endpoints.output.pid) ? endpoints.output : undefined;
}

const fileOf = (folder: string): string => join(folder, 'endpoints.json');

/** Writes the endpoints of a stack to its folder atomically. */
export async function writeEndpoints(endpoints: Endpoints, stateDirectory: string): Promise<void> {
  const folder = folderOfStack(stateDirectory, portOf(endpoints));
  await mkdir(folder, { recursive: true });
  const draft = `${fileOf(folder)}.${endpoints.pid}`;
  await writeFile(draft, `${JSON.stringify(endpoints, null, 2)}\n`);
  await rename(draft, fileOf(folder));
}

/** Removes what {@link writeEndpoints} wrote. */
export async function removeEndpoints(endpoints: Pick<Endpoints, 'http'>, stateDirectory: string): Promise<void> {
  await rm(fileOf(folderOfStack(stateDirectory, portOf(endpoints))), { force: true });
}

/** Returns whether a process is running. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is running, and belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
