import type { IncomingMessage, ServerResponse } from 'node:http';

/*
 * What the local AWS endpoints have in common: reading a request of an SDK, and answering it.
 */

/** An error as the services write it; the SDK makes an exception of that name. */
export class AwsError extends Error {
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** Requests of the SDK are signed; the key does not matter here. Web pages cannot send such a header unasked. */
export const isSigned = ({ headers }: IncomingMessage): boolean =>
  headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') ?? false;

/** The body, or undefined where it is larger than `limit` bytes. It is read to its end, or the client might miss the answer. */
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

/** Far above what a service takes. */
const MAX_JSON_BYTES = 1024 * 1024;

/** The body as JSON; `{}` where there is none. */
export async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const bytes = await bytesOf(request, MAX_JSON_BYTES);
  try {
    if (!bytes) throw new Error('too large');
    return bytes.length > 0 ? JSON.parse(bytes.toString('utf8')) : {};
  } catch {
    throw new AwsError(400, 'SerializationException', 'The body is no JSON.');
  }
}

/** Answers with JSON or, without a body, with nothing. */
export function answer(response: ServerResponse, status: number, body?: object): void {
  if (body === undefined) {
    response.writeHead(status, { 'content-length': 0 }).end();
    return;
  }
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
}

/** Answers with an error: with what it says where it is an AwsError, else with a failure of the service. */
export function answerError(response: ServerResponse, error: unknown): void {
  const { status, type, message } =
    error instanceof AwsError ? error : { status: 500, type: 'InternalServerException', message: String(error) };
  response.setHeader('x-amzn-errortype', type);
  answer(response, status, { __type: type, message, Message: message });
}
