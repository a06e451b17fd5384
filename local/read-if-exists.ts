import { readFile } from 'node:fs/promises';

/** Returns the text of a file, or undefined if it does not exist. Any other failure is thrown, so that no kept data is overwritten. */
export async function readIfExists(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
