import type * as v from 'valibot';
import type { Page } from './answers.ts';
import type { ErrorCode } from './errors.ts';
import type { UserLimit } from './user-limits.ts';

/** Which of the three sets of APIs a route belongs to: the folder its handler is in, and what its callers must be. */
export type ApiSet = 'unrestricted' | 'admin' | 'participant';

export type TableAction =
  | 'BatchGetItem'
  | 'ConditionCheckItem'
  | 'DeleteItem'
  | 'GetItem'
  | 'PutItem'
  | 'Query'
  | 'UpdateItem';

/** The kinds of partitions, by what their keys begin with, in the table or its index (see core/store/keys.ts). */
export type Partition = 'ROOM' | 'CHAT' | 'USER' | 'CONNECTION';

export type TableAccess = { readonly [Action in TableAction]?: readonly Partition[] };

/** What a route's function may do: the only source of its IAM policy. A transaction needs the actions it is made of. */
export interface Access {
  /** DynamoDB actions on items of the table, each with the partitions in which it may be done, and nowhere else. */
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
  /** Without one, a request that has a body is refused. */
  readonly body?: BodySchema;
  /** True where a request without a body is as good as one with `{}`. Default: false. */
  readonly bodyOptional?: boolean;
  readonly status: 200 | 201;
  /** What `data` is in the answer; of a list, what each of its items is. */
  readonly data: v.GenericSchema<unknown, unknown>;
  /** True where `data` is an array and a `page` stands beside it. Default: false. */
  readonly list?: boolean;
  /** What can go wrong beside what can go wrong everywhere (see COMMON_ERRORS). */
  readonly errors: readonly ErrorCode[];
  readonly access: Access;
  /** The limits per user that it counts towards. */
  readonly counts?: readonly UserLimit[];
  /** A request that works, for the documents. */
  readonly example: {
    readonly params?: object;
    readonly query?: object;
    readonly headers?: object;
    readonly body?: object;
  };
}

/** Failures that any route can answer with. */
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

/** What a route's handler answers with. */
export type Answer<R extends Route> = R['list'] extends true ? Page<OutputOf<R['data']>> : OutputOf<R['data']>;
