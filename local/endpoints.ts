import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';

/** Where a running stack says where it is, and writes its log. */
export const STATE_DIRECTORY = fileURLToPath(new URL('../.local', import.meta.url));

const endpointsFile = v.object({ http: v.string(), ws: v.string(), issuer: v.string(), pid: v.number() });

/** URLs without a slash at the end, and the process that serves them. */
export type Endpoints = v.InferOutput<typeof endpointsFile>;

const fileOf = (stateDirectory: string): string => join(stateDirectory, 'endpoints.json');

/** The stack that is running, as `.local/endpoints.json` tells; undefined where none is. */
export async function readEndpoints(stateDirectory: string = STATE_DIRECTORY): Promise<Endpoints | undefined> {
  const text = await readFile(fileOf(stateDirectory), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const endpoints = v.safeParse(v.pipe(v.string(), v.parseJson(), endpointsFile), text);
  return endpoints.success && isRunning(endpoints.output.pid) ? endpoints.output : undefined;
}

/** Replaces the file in one step: nobody reads half of it. */
export async function writeEndpoints(endpoints: Endpoints, stateDirectory: string = STATE_DIRECTORY): Promise<void> {
  await mkdir(stateDirectory, { recursive: true });
  const draft = `${fileOf(stateDirectory)}.${endpoints.pid}`;
  await writeFile(draft, `${JSON.stringify(endpoints, null, 2)}\n`);
  await rename(draft, fileOf(stateDirectory));
}

/** Takes back what this process has written; what another stack has written since is left alone. */
export async function removeEndpoints(stateDirectory: string = STATE_DIRECTORY): Promise<void> {
  const endpoints = await readEndpoints(stateDirectory);
  if (endpoints?.pid === process.pid) await rm(fileOf(stateDirectory), { force: true });
}

/** Whether there is such a process. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, and someone else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
