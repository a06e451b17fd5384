import { access, constants, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Thrown if a requested folder is not available. Its message is for the user. */
export class FolderError extends Error {}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

/**
 * Creates a folder if it does not exist.
 *
 * @param option the option that names it, such as `--data`
 * @throws FolderError if it cannot be created or written to
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

/** SQLITE_BUSY: another connection holds the lock. */
const BUSY = 5;

/**
 * Claims a data folder until it is closed or this process ends in any way: the operating system releases the lock.
 * Two stacks with the same data would corrupt it, drop each other's connections, and announce each room twice.
 *
 * @throws FolderError if another process has it
 */
export async function claimFolder(path: string): Promise<{ close(): Promise<void> }> {
  // Node has no API for file locks, but its SQLite uses them.
  const lock = new DatabaseSync(join(path, 'lock'));
  const owner = join(path, 'pid');
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!(error instanceof Error && 'errcode' in error && error.errcode === BUSY)) throw error;
    // The message is useful without the process, too.
    const pid = await readFile(owner, 'utf8').catch(() => '');
    throw new FolderError(
      `Another local stack (process ${pid || 'unknown'}) keeps its data in ${path}; end it, or choose another folder.`,
      { cause: error },
    );
  }
  await writeFile(owner, String(process.pid));
  return {
    async close() {
      await rm(owner, { force: true });
      lock.close();
    },
  };
}
