import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { ERRORS, type RoomsError } from '../contract/errors.ts';
import { errorEntries } from '../platform/rooms-error.ts';

const HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };
/** DynamoDB adapts to higher load within seconds, and the SDK has already retried for more than one second. */
const RETRY_AFTER_SECONDS = 2;

const json = (
  statusCode: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): APIGatewayProxyStructuredResultV2 => ({
  statusCode,
  headers: { ...HEADERS, ...headers },
  body: JSON.stringify({ ...body, sent_at: new Date().toISOString() }),
});

/** Returns the envelope of a success. For a list, `answer` is a page. */
export const success = (statusCode: number, body: { data: unknown; page?: object }) => json(statusCode, body);

/** Returns the envelope of an error, with one entry per issue. */
export function failure(error: RoomsError, requestId: string): APIGatewayProxyStructuredResultV2 {
  const { status } = ERRORS[error.code];
  const seconds = error.retryAfter ?? (status === 503 ? RETRY_AFTER_SECONDS : undefined);
  return json(
    status,
    { message: error.message, errors: errorEntries(error, requestId) },
    seconds === undefined ? {} : { 'retry-after': String(seconds) },
  );
}
