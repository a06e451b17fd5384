import type { IncomingMessage, ServerResponse } from 'node:http';

/*
 * Common functions of the local AWS endpoints to read an SDK's request and to respond.
 */

/** An error response in the format of AWS. The SDK throws an exception with the same name. */
export class AwsError extends Error {
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** Returns whether a request has a signature; any key is accepted. Web pages cannot send this header without a preflight. */
export const isSigned = ({ headers }: IncomingMessage): boolean =>
  headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') ?? false;

/**
 * Returns the body, or undefined if it is larger than `limit` bytes. Reads to the end, because the client might
 * otherwise miss the response.
 */
export async function bytesOf(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length <= limit) chunks.push(bytes);
  }
  return length <= limit ? Buffer.concat(chunks) : undefined;
}

/** Larger than the limits of all services. */
const MAX_JSON_BYTES = 1024 * 1024;

/** Returns the body as JSON; `{}` if there is none. */
export async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const bytes = await bytesOf(request, MAX_JSON_BYTES);
  try {
    if (!bytes) throw new Error('too large');
    return bytes.length > 0 ? JSON.parse(bytes.toString('utf8')) : {};
  } catch {
    throw new AwsError(400, 'SerializationException', 'The body is not JSON.');
  }
}

/** Responds with JSON or, without a body, with nothing. */
export function answer(response: ServerResponse, status: number, body?: object): void {
  if (body === undefined) {
    response.writeHead(status, { 'content-length': 0 }).end();
    return;
  }
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
}

/** Responds with an error: that of an AwsError, otherwise a failure of the service. */
export function answerError(response: ServerResponse, error: unknown): void {
  const { status, type, message } =
    error instanceof AwsError ? error : { status: 500, type: 'InternalServerException', message: String(error) };
  response.setHeader('x-amzn-errortype', type);
  answer(response, status, { __type: type, message, Message: message });
}
