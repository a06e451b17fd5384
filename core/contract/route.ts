import type * as v from 'valibot';
import type { Page } from './answers.ts';
import type { ErrorCode } from './errors.ts';
import type { UserLimit } from './user-limits.ts';

/** The three sets of APIs. A set determines the folder of the handler, and the permission that callers need. */
export type ApiSet = 'unrestricted' | 'admin' | 'participant';

export type TableAction =
  | 'BatchGetItem'
  | 'ConditionCheckItem'
  | 'DeleteItem'
  | 'GetItem'
  | 'PutItem'
  | 'Query'
  | 'UpdateItem';

/** The kinds of partitions, by the prefix of their keys, in the table or its index (see core/store/keys.ts). */
export type Partition = 'ROOM' | 'CHAT' | 'USER' | 'CONNECTION';

export type TableAccess = { readonly [Action in TableAction]?: readonly Partition[] };

/**
 * The access of a route's function, from which its IAM policy is generated. A transaction needs the actions of its
 * parts.
 */
export interface Access {
  /** DynamoDB actions on items of the table, each with the partitions in which it is allowed. */
  readonly table: TableAccess;
  /** The partitions of the table's index that the function may query. */
  readonly index?: readonly Partition[];
  /** S3 actions on the objects of rooms. */
  readonly bucket?: readonly ('GetObject' | 'PutObject' | 'DeleteObject')[];
}

type ObjectSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;
type BodySchema = v.GenericSchema<unknown, unknown>;

export interface Route {
  /** In lower camel case. It is the operation ID in OpenAPI, and in kebab case the file name of the handler. */
  readonly operation: string;
  readonly set: ApiSet;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With `{name}` for each path parameter, like in API Gateway and OpenAPI. */
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  readonly params?: ObjectSchema;
  readonly query?: ObjectSchema;
  /** Names in lower case. Other headers are ignored. */
  readonly headers?: ObjectSchema;
  /** If undefined, a request with a body is rejected. */
  readonly body?: BodySchema;
  /** Whether a request without a body is treated like one with `{}`. Default: false. */
  readonly bodyOptional?: boolean;
  readonly status: 200 | 201;
  /** `data` of the response. For a list, one of its items. */
  readonly data: v.GenericSchema<unknown, unknown>;
  /** Whether `data` is an array, with a `page` next to it. Default: false. */
  readonly list?: boolean;
  /** Errors of this route, in addition to those of all routes (see COMMON_ERRORS). */
  readonly errors: readonly ErrorCode[];
  readonly access: Access;
  /** The limits per user for which the request counts. */
  readonly counts?: readonly UserLimit[];
  /** A valid request, for the documents. */
  readonly example: {
    readonly params?: object;
    readonly query?: object;
    readonly headers?: object;
    readonly body?: object;
  };
}

/** Errors of all routes. */
export const COMMON_ERRORS = [
  'invalid_request',
  'invalid_token',
  'too_many_requests',
  'internal',
  'try_again',
] as const satisfies readonly ErrorCode[];

type OutputOf<Schema> = Schema extends v.GenericSchema<unknown, infer Output> ? Output : Record<never, never>;

/** The caller and the time of a request. */
export interface RequestContext {
  /** The calling user, from the `sub` of the access token. */
  readonly caller: string;
  /** The time of the request, as ISO 8601. All checks of one request use this time. */
  readonly now: string;
}

/** The input of a route's handler, after validation. */
export interface Call<R extends Route> extends RequestContext {
  readonly params: OutputOf<R['params']>;
  readonly query: OutputOf<R['query']>;
  readonly headers: OutputOf<R['headers']>;
  readonly body: OutputOf<R['body']>;
}

/** The result of a route's handler. */
export type Answer<R extends Route> = R['list'] extends true ? Page<OutputOf<R['data']>> : OutputOf<R['data']>;
