import { access, constants, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunning } from './endpoints.ts';

/** Thrown where a folder that was asked for cannot be had. Its message is meant for the user. */
export class FolderError extends Error {}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

/**
 * Makes a folder where it is not there.
 *
 * @param option that names it, such as `--data`
 * @throws FolderError where it cannot be made or written to
 */
export async function makeFolder(option: string, path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    await access(path, constants.W_OK);
  } catch (error) {
    throw new FolderError(`${option} must name a folder that can be written to; ${path} cannot (${codeOf(error)}).`, {
      cause: error,
    });
  }
}

/**
 * Takes a folder that data is kept in, until it is closed: two stacks with the same data would each drop the connections of the
 * other, and announce its rooms twice. One whose owner is gone, be it by a crash, is free.
 *
 * @throws FolderError where another process has it
 */
export async function claimFolder(path: string): Promise<{ close(): Promise<void> }> {
  const owner = join(path, 'pid');
  for (;;)
    try {
      await writeFile(owner, String(process.pid), { flag: 'wx' });
      return { close: () => rm(owner, { force: true }) };
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const pid = Number(await readFile(owner, 'utf8').catch(() => ''));
      if (pid > 0 && pid !== process.pid && isRunning(pid))
        throw new FolderError(
          `Process ${pid} keeps its data in ${path}; end it, or choose another folder. If it is no local stack, delete ${owner}.`,
        );
      await rm(owner, { force: true });
    }
}
