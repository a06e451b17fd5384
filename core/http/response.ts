import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { ERRORS, type RoomsError } from '../contract/errors.ts';

const HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };
/** DynamoDB adapts to a new load within seconds; the SDK has tried again for a good second by then. */
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

/** The envelope of what went well; `answer` is a page where the route is a list. */
export const success = (statusCode: number, body: { data: unknown; page?: object }) => json(statusCode, body);

/** The envelope of what did not: one entry an issue. A 500 says nothing but the id under which the logs say the rest. */
export function failure(
  { code, message, issues, retryAfter }: RoomsError,
  requestId: string,
): APIGatewayProxyStructuredResultV2 {
  const { status } = ERRORS[code];
  const errors =
    code === 'internal'
      ? [{ code, message: `${message} Quote request id ${requestId} when you report it.` }]
      : issues.map((issue) => ({ code, ...issue }));
  const seconds = retryAfter ?? (status === 503 ? RETRY_AFTER_SECONDS : undefined);
  return json(status, { message, errors }, seconds === undefined ? {} : { 'retry-after': String(seconds) });
}
