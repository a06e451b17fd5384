/** Every error code that a caller can receive, with its HTTP status and meaning. Codes are stable: never rename one. */
export const ERRORS = {
  invalid_request: { status: 400, message: 'The request is not valid.' },
  invalid_token: { status: 401, message: 'The access token does not name a user this service can serve.' },
  token_expired: { status: 401, message: 'The access token has expired. Connect again with a new one.' },
  not_a_participant: { status: 403, message: 'You are not a participant of this room.' },
  not_an_admin: { status: 403, message: 'You are not an admin of this room.' },
  read_only: {
    status: 403,
    message: 'You may read in this room, but not post: you are an observer, or only admins may post.',
  },
  not_the_sender: { status: 403, message: 'Only the sender of a message may do this.' },
  room_not_found: { status: 404, message: 'There is no such room.' },
  participant_not_found: { status: 404, message: 'There is no such participant in this room.' },
  file_not_found: { status: 404, message: 'There is no such file in this room.' },
  message_not_found: { status: 404, message: 'There is no such message in this room.' },
  last_admin: { status: 409, message: 'A room must keep at least one admin. Grant admin to someone else first.' },
  too_many_admins: { status: 409, message: 'This room has as many admins as a room can have. Revoke one first.' },
  participant_is_admin: { status: 409, message: 'An admin cannot be an observer. Revoke admin first.' },
  message_deleted: { status: 409, message: 'This message was deleted.' },
  room_ended: { status: 409, message: 'This room has ended.' },
  room_not_started: { status: 409, message: 'This room has not started yet.' },
  file_not_uploaded: {
    status: 409,
    message: 'The upload of this file has not finished. Finish it, then send the message.',
  },
  idempotency_conflict: {
    status: 409,
    message: 'This Idempotency-Key or client_message_id was already used for a different request. Use a new one.',
  },
  payload_too_large: { status: 413, message: 'The request body is too large.' },
  too_many_requests: { status: 429, message: 'Too many requests. Wait, then try again.' },
  internal: { status: 500, message: 'Something went wrong on our side.' },
  try_again: { status: 503, message: 'The service is busy. Wait, then try again.' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** One issue of a request. `path` is the field, parameter or header (`participant_ids.3`). */
export interface Issue {
  readonly message: string;
  readonly path?: string;
}

/**
 * An error that the caller receives. Its code determines status and message. `issues` give details, one entry each.
 * Without any, the only entry is the code's own message.
 */
export class RoomsError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  /** The number of seconds until a retry, if it is known. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ErrorCode,
    issues: readonly Issue[] = [],
    options?: ErrorOptions & { readonly retryAfter?: number },
  ) {
    super(ERRORS[code].message, options);
    this.name = 'RoomsError';
    this.code = code;
    this.retryAfter = options?.retryAfter;
    this.issues = issues.length > 0 ? issues : [{ message: ERRORS[code].message }];
  }
}

/** Returns `invalid_request` with one entry for each issue. */
export const invalid = (...issues: Issue[]): RoomsError => new RoomsError('invalid_request', issues);
