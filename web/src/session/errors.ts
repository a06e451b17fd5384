import { RoomsApiError, type RoomsErrorCode } from '../../../client/src/index.ts';
import { asSentence, fileSize, moment } from '../ui/text.ts';
import { fileProblem } from './file-limits.ts';

/** Texts for users that replace the messages of the API. */
const SENTENCES: Partial<Record<RoomsErrorCode, string>> = {
  network_error: 'The service cannot be reached. Is the local stack still running?',
  timeout: 'The service did not respond in time. Try again.',
  not_an_admin: 'Only admins of this room may do that.',
  not_a_participant: 'You are not in this room.',
  room_ended: 'This room has ended.',
  room_not_started: 'This room has not started yet.',
  last_admin: 'You are the only admin. Make somebody else an admin first.',
  read_only: 'You can read in this room, but not write.',
  not_the_sender: 'Only its sender may do that.',
  message_not_found: 'This message no longer exists.',
  message_deleted: 'This message was deleted.',
  participant_is_admin: 'An admin cannot be an observer. Revoke the admin right first.',
  connection_closed: 'You are not connected.',
  room_closed: 'You are no longer in this room.',
};

/** Names of the API's fields for users. */
const FIELDS: Readonly<Record<string, string>> = {
  name: 'the name',
  description: 'the description',
  start_time: 'the start',
  end_time: 'the end',
  participant_ids: 'the list of user IDs',
  time_left_in_seconds: 'the time until the end',
  reason: 'the reason',
  username: 'the name',
  text: 'the message',
  attachment: 'the file',
  size: 'the file’s size',
  announcements: 'the announcement',
  content_type: 'the file’s type',
};

export const codeOf = (error: unknown): RoomsErrorCode | undefined =>
  error instanceof RoomsApiError ? error.code : undefined;

/** Returns the error text for users. */
export function sayError(error: unknown): string {
  if (!(error instanceof Error)) return 'Something went wrong.';
  if (!(error instanceof RoomsApiError)) return asSentence(error.message);
  if (error.code === 'invalid_request' && error.errors.length > 0)
    return error.errors.map(({ path, message }) => sayProblem(path, message)).join(' ');
  return SENTENCES[error.code] ?? inWords(error.message);
}

/** Returns why a file was not sent, with its size if it is too large. */
export function sayFileError(error: unknown, file: File): string {
  const isSize = error instanceof RoomsApiError && error.errors.some(({ path }) => path === 'size');
  return isSize ? (fileProblem(file) ?? `The file is too large (${fileSize(file.size)}).`) : sayError(error);
}

/** Returns the name for users of a field, from its path such as `participant_ids.0`. */
function fieldName(path: string): string {
  const user = /^participant_ids\.(\d+)$/.exec(path);
  if (user) return `user ID ${Number(user[1]) + 1}`;
  return FIELDS[path] ?? path.replaceAll(/[_.]/g, ' ');
}

/** Returns the sentence for a validation error, with the field's name for users and local times. */
export function sayProblem(path: string | undefined, message: string): string {
  const sentence = inWords(path ? `${fieldName(path)} ${message}` : message);
  return asSentence(`${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}`);
}

/** Replaces UTC times, names of fields and sizes in bytes by texts for users. */
const inWords = (message: string): string =>
  message
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z/g, (time) => moment(time))
    .replaceAll(/\b[a-z]+(?:_[a-z]+)+\b/g, (name) => FIELDS[name] ?? name.replaceAll('_', ' '))
    .replaceAll(/\b(\d{4,}) bytes\b/g, (_, bytes: string) => fileSize(Number(bytes)));
