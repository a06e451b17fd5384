import {
  ConditionalCheckFailedException,
  ProvisionedThroughputExceededException,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { RoomsError } from '../../core/contract/errors.ts';
import { queryOrBody } from '../../core/http/query-or-body.ts';
import { failure, success } from '../../core/http/response.ts';
import { issuesOf } from '../../core/platform/issues.ts';
import { toRoomsError } from '../../core/platform/rooms-error.ts';

const meta = { $metadata: {}, message: 'm' };
const named = (name: string): Error => Object.assign(new Error('m'), { name });
const canceled = (...codes: readonly string[]) =>
  new TransactionCanceledException({ ...meta, CancellationReasons: codes.map((Code) => ({ Code })) });

describe('an error becomes', () => {
  test('the same error if it is a RoomsError', () => {
    const error = new RoomsError('last_admin');
    expect(toRoomsError(error)).toBe(error);
  });

  test.each([
    ['try_again', new ProvisionedThroughputExceededException(meta)],
    ['try_again', new TransactionConflictException(meta)],
    ['try_again', named('ThrottlingException')],
    ['try_again', named('RequestLimitExceeded')],
    ['try_again', named('InternalServerError')],
    ['try_again', named('TimeoutError')],
    ['try_again', canceled('None', 'TransactionConflict')],
    ['try_again', canceled('ThrottlingError')],
    ['try_again', canceled('None', 'None', 'ProvisionedThroughputExceeded')],
    ['internal', canceled('None', 'ValidationError')],
    ['internal', new ConditionalCheckFailedException(meta)],
    ['internal', named('AccessDeniedException')],
    ['internal', named('ResourceNotFoundException')],
    ['internal', new TypeError('x is not a function')],
    ['internal', 'a text that was thrown'],
    ['internal', undefined],
    ['internal', null],
    ['internal', { name: 'ThrottlingException' }],
  ])('%s for %o, with the original error as its cause', (code, cause) => {
    const error = toRoomsError(cause);
    expect(error).toMatchObject({ code });
    expect(error.cause).toBe(cause);
  });
});

describe('issues', () => {
  const schema = v.strictObject({
    name: v.string(),
    count: v.optional(v.pipe(v.number(), v.minValue(1, 'must be at least 1'))),
    tags: v.optional(v.array(v.string())),
    kind: v.optional(v.picklist(['a', 'b'], 'must be a or b')),
    flag: v.optional(v.boolean()),
  });
  const faults = (input: unknown) => {
    const { issues = [] } = v.safeParse(schema, input);
    return issuesOf(issues, schema);
  };

  test.each([
    [{ name: 1 }, [{ path: 'name', message: 'must be a string, not a number' }]],
    [{ name: null }, [{ path: 'name', message: 'must be a string, not null' }]],
    [{ name: [] }, [{ path: 'name', message: 'must be a string, not an array' }]],
    [{}, [{ path: 'name', message: 'is required' }]],
    [{ name: 'x', count: 0 }, [{ path: 'count', message: 'must be at least 1' }]],
    [{ name: 'x', tags: ['a', 1] }, [{ path: 'tags.1', message: 'must be a string, not a number' }]],
    [{ name: 'x', tags: {} }, [{ path: 'tags', message: 'must be an array, not an object' }]],
    [{ name: 'x', kind: 'c' }, [{ path: 'kind', message: 'must be a or b' }]],
    [{ name: 'x', flag: 'true' }, [{ path: 'flag', message: 'must be a boolean, not a string' }]],
    [
      { name: 'x', nmae: 'y' },
      [{ path: 'nmae', message: 'is not a field of this request; it takes name, count, tags, kind, flag' }],
    ],
    [null, [{ message: 'The request must be an object, not null.' }]],
  ])('of %j say what is invalid and what is expected', (input, expected) => {
    expect(faults(input)).toEqual(expected);
  });

  test('of a request without fields say so', () => {
    const none = v.strictObject({});
    const { issues = [] } = v.safeParse(none, { x: 1 });
    expect(issuesOf(issues, none)).toEqual([{ path: 'x', message: 'is not a field of this request; it takes none' }]);
  });

  test('do not repeat the input, and have a path of limited length', () => {
    const all = faults({ name: 'x', ['SECRET'.repeat(100)]: 'SECRET VALUE' });
    expect(all.map(({ path }) => path?.length)).toEqual([200]);
    expect(JSON.stringify(all)).not.toContain('SECRET VALUE');
  });

  test('are limited to 20', () => {
    const tags = (count: number) => faults({ name: 'x', tags: Array(count).fill(1) }).length;
    expect([19, 20, 21, 50].map(tags)).toEqual([19, 20, 20, 20]);
  });
});

test('a value must be in exactly one of query and body', () => {
  expect(queryOrBody('a', undefined, 'p')).toBe('a');
  expect(queryOrBody(undefined, 'b', 'p')).toBe('b');
  for (const [query, body] of [
    ['a', 'b'],
    [undefined, undefined],
  ])
    expect(() => queryOrBody(query, body, 'p')).toThrow(
      expect.objectContaining({ code: 'invalid_request', issues: [expect.objectContaining({ path: 'p' })] }),
    );
});

describe('responses', () => {
  const parsed = (result: { body?: string | undefined }) => JSON.parse(result.body ?? '');

  test('contain the time, and are not cached', () => {
    const result = success(200, { data: { a: 1 }, page: { size: 1, next_cursor: null } });
    expect(result.headers).toEqual({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    expect(parsed(result)).toEqual({
      data: { a: 1 },
      page: { size: 1, next_cursor: null },
      sent_at: expect.stringMatching(/Z$/),
    });
  });

  test('of a failure have one entry for each issue', () => {
    const error = new RoomsError('invalid_request', [{ path: 'a', message: 'b' }, { message: 'c' }]);
    const result = failure(error, 'request-1');
    expect(result.statusCode).toBe(400);
    expect(parsed(result)).toMatchObject({
      errors: [
        { code: 'invalid_request', path: 'a', message: 'b' },
        { code: 'invalid_request', message: 'c' },
      ],
    });
    expect(result.headers).not.toHaveProperty('retry-after');
  });

  test('of a 500 contain the request ID, and no details of the cause', () => {
    const result = failure(
      new RoomsError('internal', [{ message: 'SECRET' }], { cause: new Error('SECRET') }),
      'request-1',
    );
    expect(result.body).toContain('request-1');
    expect(result.body).not.toContain('SECRET');
  });

  test('of a 503 say when to retry', () => {
    expect(failure(new RoomsError('try_again'), 'r').headers).toMatchObject({
      'retry-after': expect.stringMatching(/^\d+$/),
    });
  });
});
