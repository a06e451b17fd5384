import { codeOf, RoomsApiError, type RoomsErrorCode } from './errors.ts';
import type { RoomClosed } from './room-types.ts';

/** Permanent errors, which are not retried. */
const FINAL: ReadonlySet<RoomsErrorCode | undefined> = new Set([
  'not_a_participant',
  'room_not_found',
  'room_not_started',
  'room_ended',
  'invalid_request',
]);

/** Returns whether an error is permanent for a room. */
export const isFinal = (error: unknown): boolean => FINAL.has(codeOf(error));

/** Returns the error of a call that needs an open room. */
export function closedError({ reason, error }: RoomClosed): RoomsApiError {
  if (reason === 'refused' && error) return error;
  if (reason === 'room_ended') return new RoomsApiError('room_ended', 'This room has ended.');
  if (reason === 'removed') return new RoomsApiError('not_a_participant', 'You were removed from this room.');
  if (reason === 'connection_closed') return new RoomsApiError('connection_closed', 'The connection was closed.');
  return new RoomsApiError('room_closed', 'You have left this room.');
}
