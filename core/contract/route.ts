import type * as v from 'valibot';
import type { Page } from './answers.ts';
import type { ErrorCode } from './errors.ts';
import type { UserLimit } from './user-limits.ts';

/** The three sets of APIs. The set determines the folder of the handler and the permission that its callers need. */
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

/** What a route's function may do: the only source of its IAM policy. A transaction needs the actions of its parts. */
export interface Access {
  /** DynamoDB actions on items of the table, each with the partitions in which it is allowed. */
  readonly table: TableAccess;
  /** The partitions of the table's index that it may query. */
  readonly index?: readonly Partition[];
  /** S3 actions on the objects of rooms. */
  readonly bucket?: readonly ('GetObject' | 'PutObject' | 'DeleteObject')[];
}

type ObjectSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;
type BodySchema = v.GenericSchema<unknown, unknown>;

export interface Route {
  /** Lower camel case; in kebab case it names the handler's file, and in OpenAPI it is the operation's id. */
  readonly operation: string;
  readonly set: ApiSet;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With `{name}` for each path parameter, as API Gateway and OpenAPI both write it. */
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  readonly params?: ObjectSchema;
  readonly query?: ObjectSchema;
  /** Names in lower case. Headers that are not named here are ignored. */
  readonly headers?: ObjectSchema;
  /** Without one, a request with a body is rejected. */
  readonly body?: BodySchema;
  /** True if a request without a body is the same as one with `{}`. Default: false. */
  readonly bodyOptional?: boolean;
  readonly status: 200 | 201;
  /** `data` of the response; for a list, one of its items. */
  readonly data: v.GenericSchema<unknown, unknown>;
  /** True if `data` is an array, with a `page` next to it. Default: false. */
  readonly list?: boolean;
  /** Errors of this route, in addition to those of all routes (see COMMON_ERRORS). */
  readonly errors: readonly ErrorCode[];
  readonly access: Access;
  /** The limits per user that the request counts towards. */
  readonly counts?: readonly UserLimit[];
  /** A valid request, for the documents. */
  readonly example: {
    readonly params?: object;
    readonly query?: object;
    readonly headers?: object;
    readonly body?: object;
  };
}

/** Errors that any route can respond with. */
export const COMMON_ERRORS = [
  'invalid_request',
  'invalid_token',
  'too_many_requests',
  'internal',
  'try_again',
] as const satisfies readonly ErrorCode[];

type OutputOf<Schema> = Schema extends v.GenericSchema<unknown, infer Output> ? Output : Record<never, never>;

/** Who calls, and when. */
export interface RequestContext {
  /** The calling user: the `sub` of the access token. */
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
