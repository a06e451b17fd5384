import type { RequestListener } from 'node:http';
import { AwsError, bytesOf } from '../aws/aws-request.ts';
import { type LocalFunction, MAX_PAYLOAD_BYTES } from './lambda.ts';

export interface LambdaApi {
  /** Handles Invoke and waits for the result. */
  readonly handle: (request: Parameters<RequestListener>[0], response: Parameters<RequestListener>[1]) => Promise<void>;
}

/** Matches the path of an invocation, with the function's name or ARN. */
const INVOCATIONS = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/** Returns whether a request is for Lambda. */
export const isForLambda = (path: string): boolean => path.startsWith('/2015-03-31/functions/');

/**
 * Creates the handler of Lambda's API.
 *
 * @param functions the functions that can be invoked, by ARN
 */
export const createLambdaApi = (functions: ReadonlyMap<string, LocalFunction>): LambdaApi => ({
  async handle(request, response) {
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    const [, called] = INVOCATIONS.exec(pathname) ?? [];
    const type = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
    if (request.method !== 'POST' || called === undefined || type !== 'RequestResponse')
      throw new AwsError(
        400,
        'UnknownOperationException',
        `The local stack does not support ${request.method} ${pathname}.`,
      );
    const name = decodeURIComponent(called);
    const fn = functions.get(name) ?? [...functions.values()].find(({ config }) => config.name === name);
    if (!fn) throw new AwsError(404, 'ResourceNotFoundException', `Function not found: ${name}`);
    const event = await bytesOf(request, MAX_PAYLOAD_BYTES);
    if (!event)
      throw new AwsError(413, 'RequestTooLargeException', `The event is larger than ${MAX_PAYLOAD_BYTES} bytes.`);
    const { ok, payload } = await fn.invoke(event.length > 0 ? event.toString('utf8') : '{}');
    const bytes = Buffer.from(payload);
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': bytes.length,
      'x-amz-executed-version': '$LATEST',
      ...(!ok && { 'x-amz-function-error': 'Unhandled' }),
    });
    response.end(bytes);
  },
});
