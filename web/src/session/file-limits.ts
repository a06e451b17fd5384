import { fileSize } from '../ui/text.ts';

/** The default maximum file size of the service, in bytes: 100 MiB. */
export const MAX_FILE_BYTES = 100 * 1024 * 1024;
/** Maximum length of a file name. */
const MAX_NAME_LENGTH = 255;
/** Maximum number of files in a message. */
export const MAX_FILES = 10;

/** Returns why a file cannot be sent, or undefined if it can. */
export function fileProblem({ name, size }: Pick<File, 'name' | 'size'>): string | undefined {
  if (size > MAX_FILE_BYTES)
    return `“${name}” is too large (${fileSize(size)}). Files may have up to ${fileSize(MAX_FILE_BYTES)}.`;
  if (name.length > MAX_NAME_LENGTH)
    return `The name “${name.slice(0, 40)}…” is too long. Names may have up to ${MAX_NAME_LENGTH} characters.`;
  return undefined;
}
