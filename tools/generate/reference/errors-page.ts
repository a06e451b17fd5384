import { ERRORS, type ErrorCode } from '../../../core/contract/errors.ts';
import { allRoutes } from '../../../core/contract/index.ts';
import { actions, COMMON_ACTION_ERRORS } from '../../../core/contract/realtime.ts';
import { COMMON_ERRORS } from '../../../core/contract/route.ts';
import { code, page, table } from './markdown.ts';

/** The recommended reaction to each error. */
const ACTIONS: Readonly<Record<ErrorCode, string>> = {
  invalid_request: 'Correct the fields that `errors[].path` names. The same request fails again.',
  invalid_token: 'Get a token whose `sub` is a valid user ID. See [Connect Keycloak](../guides/keycloak.md).',
  token_expired: 'Connect again with a new token.',
  not_a_participant: 'Ask an admin of the room to add the user.',
  not_an_admin: 'Ask an admin of the room to grant the right.',
  read_only: 'Hide what posts. `role` and `posting` say why. An admin can change either.',
  not_the_sender: 'Let only the sender edit a message; only the sender and admins may delete it.',
  room_not_found: 'Check the room ID.',
  participant_not_found: 'Add the user to the room first.',
  file_not_found: 'Check the ID. A file that no message uses is deleted after 24 hours.',
  message_not_found: 'Check the message ID and the room.',
  last_admin: 'Grant admin to another participant first.',
  too_many_admins: 'Revoke the admin right of another participant first.',
  participant_is_admin: 'Revoke the admin right first.',
  message_deleted: 'Show the message as deleted.',
  room_ended: 'Treat the room as read-only.',
  room_not_started: 'Wait until `start_time`, or for the event `room_started`.',
  file_not_uploaded: 'Finish the upload, then send the message again.',
  idempotency_conflict: 'Use a new key, or a new `client_message_id`, for a new request.',
  payload_too_large: 'Send a smaller request.',
  too_many_requests: 'Wait for the seconds in `Retry-After` (WebSocket: `error.retry_after`), then retry.',
  internal: 'Retry once. If it fails again, report the request ID in the message to the operators.',
  try_again: 'Wait for the seconds in `Retry-After` (WebSocket: `error.retry_after`), then retry.',
};

function usersOf(error: ErrorCode): string {
  const has = (codes: readonly string[]) => codes.includes(error);
  const routes = has(COMMON_ERRORS)
    ? ['every operation']
    : allRoutes
        .filter(({ errors }) => has(errors))
        .map(({ operation }) => code(operation))
        .toSorted();
  const frames = has(COMMON_ACTION_ERRORS)
    ? ['every WebSocket action']
    : Object.values(actions)
        .filter(({ errors }) => has(errors))
        .map(({ action }) => `WebSocket ${code(action)}`);
  return [...routes, ...frames].join(', ');
}

/** Returns docs/reference/errors.md. */
export const errorsPage = (): string =>
  page(
    '# Error reference',
    'For developers of clients: every error code, where it occurs, and what to do about it.',
    'Codes are stable. Messages can change. Later versions may add codes, so treat an unknown code by its HTTP status. In a WebSocket reply, the ' +
      'same codes are in `error.code`, without a status.',
    table(
      ['Code', 'Status', 'Message', 'What to do'],
      Object.entries(ACTIONS).map(([name, action]) => {
        const { status, message } = ERRORS[name as ErrorCode];
        return [code(name), String(status), message, action];
      }),
    ),
    '## Where each error occurs',
    table(
      ['Code', 'Operations and actions'],
      Object.keys(ACTIONS).map((name) => [code(name), usersOf(name as ErrorCode)]),
    ),
    '## Errors without a code',
    'API Gateway rejects some requests before the service receives them. The response has only `message`.',
    table(
      ['Status', 'Message', 'Cause', 'What to do'],
      [
        ['401', '`Unauthorized`', 'The token is missing, expired, or not valid for this API.', 'Get a new token.'],
        ['404', '`Not Found`', 'The API has no such route.', 'Check the method and the path.'],
        [
          '413',
          '`Request Entity Too Large`',
          'The request is larger than API Gateway allows.',
          'Send a smaller request.',
        ],
        [
          '429',
          '`Too Many Requests`',
          'The throttle of the API or of the route was exceeded.',
          'Retry with increasing waits.',
        ],
        [
          '500',
          '`Internal Server Error`',
          'The function crashed or could not be invoked.',
          'Retry once, then report it.',
        ],
        ['503', '`Service Unavailable`', 'The function timed out or was throttled.', 'Retry with increasing waits.'],
      ],
    ),
  );
