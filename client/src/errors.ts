import { ERROR_STATUS, type ErrorCode } from './contract.ts';

/** Errors that occur before or without a response of the service. */
export type ClientErrorCode =
  /** The network failed, and so did the retries. */
  | 'network_error'
  /** No response arrived in time. */
  | 'timeout'
  /** The response does not come from the service, but for example from a proxy. */
  | 'unexpected_answer'
  /** The storage rejected the upload. `message` contains its reason. */
  | 'upload_refused'
  /** The storage rejected the download. Usually, the upload was never finished. */
  | 'download_refused'
  /** The socket was lost before the reply. The client sends the frame again, so applications never see this code. */
  | 'connection_lost'
  /** The application closed the connection. */
  | 'connection_closed'
  /** The room was left or has ended, or the user was removed from it. */
  | 'room_closed';

export type RoomsErrorCode = ErrorCode | ClientErrorCode;

/** One issue of a request. */
export interface Issue {
  readonly code: RoomsErrorCode;
  /** A human-readable description. */
  readonly message: string;
  /** The invalid field, parameter or header, if there is one: `participant_ids.3`. */
  readonly path?: string;
}

/** @deprecated The former name of {@link Issue}. */
export type Fault = Issue;

export interface RoomsApiErrorOptions extends ErrorOptions {
  /** HTTP status. For a WebSocket reply, the HTTP status of the code; 0 without a response. */
  readonly status?: number;
  readonly errors?: readonly Issue[];
  readonly requestId?: string | undefined;
  /** In milliseconds. */
  readonly retryAfter?: number | undefined;
  /** Default: depends on the code. */
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

/** The only error of this package. Every failure throws it, except an abort, which throws the signal's own reason. */
export class RoomsApiError extends Error {
  /** The error code. Codes are stable, but `message` is human-readable text and may change. */
  readonly code: RoomsErrorCode;
  /** HTTP status. For a WebSocket reply, the HTTP status of the code; 0 without a response. */
  readonly status: number;
  /** One entry for each issue; for `invalid_request`, each has the `path` of the field. At least one. */
  readonly errors: readonly Issue[];
  /** The ID under which the service logged the request, if the response contained one. */
  readonly requestId: string | undefined;
  /** Whether the same request may succeed later. The client has already retried several times. */
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

/** Returns the error for a request that is invalid before it is sent, with the message of the service. */
export const invalidRequest = (path: string, message: string): RoomsApiError =>
  new RoomsApiError('invalid_request', `${path} ${message}`, {
    errors: [{ code: 'invalid_request', message, path }],
  });

export const isRetryable = (error: unknown): boolean => error instanceof RoomsApiError && error.retryable;

/** Returns how long the service asked to wait before a retry, in milliseconds. */
export const retryAfterOf = (error: unknown): number => (error instanceof RoomsApiError && error.retryAfter) || 0;

export const codeOf = (error: unknown): RoomsErrorCode | undefined =>
  error instanceof RoomsApiError ? error.code : undefined;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
