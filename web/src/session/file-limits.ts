import { fileSize } from '../ui/text.ts';

/** What the service takes unless its environment says otherwise, in bytes: 100 MiB. */
export const MAX_FILE_BYTES = 100 * 1024 * 1024;
/** Characters that the name of a file can have. */
const MAX_NAME_LENGTH = 255;
/** Files that a message can have. */
export const MAX_FILES = 10;

/** Says why a file cannot be sent; undefined where it can. */
export function fileProblem({ name, size }: Pick<File, 'name' | 'size'>): string | undefined {
  if (size > MAX_FILE_BYTES)
    return `“${name}” is too large (${fileSize(size)}). Files may have up to ${fileSize(MAX_FILE_BYTES)}.`;
  if (name.length > MAX_NAME_LENGTH)
    return `The name “${name.slice(0, 40)}…” is too long. Names may have up to ${MAX_NAME_LENGTH} characters.`;
  return undefined;
}
