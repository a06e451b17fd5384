import { RoomsApiError, type RoomsErrorCode } from '../../../client/src/index.ts';
import { asSentence, fileSize } from '../ui/text.ts';

/** Where people need another sentence than the API's. */
const SENTENCES: Partial<Record<RoomsErrorCode, string>> = {
  network_error: 'The service cannot be reached. Is the local stack still running?',
  timeout: 'No answer came in time. Try again.',
  not_an_admin: 'Only admins of this room may do that.',
  not_a_participant: 'You are not in this room (any more).',
  room_ended: 'This room has ended.',
  last_admin: 'You are the only admin. Make somebody else an admin first.',
  connection_closed: 'You are not connected.',
  room_closed: 'You are no longer in this room.',
};

export const codeOf = (error: unknown): RoomsErrorCode | undefined =>
  error instanceof RoomsApiError ? error.code : undefined;

/** A failure in a sentence for people. */
export function sayError(error: unknown): string {
  if (!(error instanceof Error)) return 'Something went wrong.';
  if (!(error instanceof RoomsApiError)) return asSentence(error.message);
  if (error.code === 'invalid_request')
    return error.errors.map((fault) => sentence(fault.path, fault.message)).join(' ');
  return SENTENCES[error.code] ?? error.message;
}

/** Why a file was not sent: what is wrong with its size is said of the file. */
export function sayFileError(error: unknown, file: File): string {
  const isSize = error instanceof RoomsApiError && error.errors.some(({ path }) => path === 'size');
  if (!isSize) return sayError(error);
  return file.size === 0 ? 'The file is empty.' : `The file is too large (${fileSize(file.size)}).`;
}

function sentence(path: string | undefined, message: string): string {
  if (!path) return message;
  const field = path.replace(/\.\d+$/, '').replaceAll('_', ' ');
  return asSentence(`${field.charAt(0).toUpperCase()}${field.slice(1)} ${message}`);
}
