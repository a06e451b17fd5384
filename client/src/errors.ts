import { ERROR_STATUS, type ErrorCode } from './contract.ts';

/** What went wrong before or without an answer of the service. */
export type ClientErrorCode =
  /** The network failed, and so did trying again. */
  | 'network_error'
  /** No answer came in time. */
  | 'timeout'
  /** The answer is none that the service gives: a proxy's page, say. */
  | 'unexpected_answer'
  /** The storage refused the upload. `message` has its reason. */
  | 'upload_refused'
  /** The storage refused the download: most likely, the upload was never finished. */
  | 'download_refused'
  /** The socket was lost while a reply was due. Never seen by applications: the client sends again. */
  | 'connection_lost'
  /** The connection was closed by the application. */
  | 'connection_closed'
  /** The room was left, or it has ended, or the user was removed from it. */
  | 'room_closed';

export type RoomsErrorCode = ErrorCode | ClientErrorCode;

/** One thing that is wrong with a request. */
export interface Issue {
  readonly code: RoomsErrorCode;
  /** What is wrong, for people. */
  readonly message: string;
  /** The field, parameter or header that is at fault, where it is one: `participant_ids.3`. */
  readonly path?: string;
}

/** @deprecated The former name of {@link Issue}. */
export type Fault = Issue;

export interface RoomsApiErrorOptions extends ErrorOptions {
  /** HTTP status; of a WebSocket reply, the one that HTTP has for the code; 0 where there was no answer. */
  readonly status?: number;
  readonly errors?: readonly Issue[];
  readonly requestId?: string | undefined;
  /** In milliseconds. */
  readonly retryAfter?: number | undefined;
  /** Default: what the code says. */
  readonly retryable?: boolean | undefined;
}

const RETRYABLE: ReadonlySet<RoomsErrorCode> = new Set([
  'too_many_requests',
  'internal',
  'try_again',
  'network_error',
  'timeout',
  'connection_lost',
]);

const statusOf = (code: string): number => (ERROR_STATUS as Readonly<Record<string, number>>)[code] ?? 0;

/** The one error of this package: every failure but an abort, which throws the signal's own reason. */
export class RoomsApiError extends Error {
  /** What went wrong. Codes are stable; `message` is for people and may change. */
  readonly code: RoomsErrorCode;
  /** HTTP status; of a WebSocket reply, the one that HTTP has for the code; 0 where there was no answer. */
  readonly status: number;
  /** One entry a fault; for `invalid_request` each has the `path` of the field. At least one. */
  readonly errors: readonly Issue[];
  /** The id under which the service logged the request, where it told. */
  readonly requestId: string | undefined;
  /** Whether the same request may succeed later. The client has tried several times already. */
  readonly retryable: boolean;
  /** How long the service asked to wait, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(code: RoomsErrorCode, message: string, options: RoomsApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RoomsApiError';
    this.code = code;
    this.status = options.status ?? statusOf(code);
    this.errors = options.errors ?? [{ code, message }];
    this.requestId = options.requestId;
    this.retryAfter = options.retryAfter;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
  }
}

/** A request that is wrong before it is sent, as the service would put it. */
export const invalidRequest = (path: string, message: string): RoomsApiError =>
  new RoomsApiError('invalid_request', `${path} ${message}`, {
    errors: [{ code: 'invalid_request', message, path }],
  });

export const isRetryable = (error: unknown): boolean => error instanceof RoomsApiError && error.retryable;

/** How long the service asked to wait before a retry, in milliseconds. */
export const retryAfterOf = (error: unknown): number => (error instanceof RoomsApiError && error.retryAfter) || 0;

export const codeOf = (error: unknown): RoomsErrorCode | undefined =>
  error instanceof RoomsApiError ? error.code : undefined;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
