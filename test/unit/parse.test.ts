import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { routes } from '../../core/contract/index.ts';
import { MAX_BODY_BYTES } from '../../core/contract/limits.ts';
import type { Route } from '../../core/contract/route.ts';
import { endpoint } from '../../core/http/endpoint.ts';
import type { HttpEvent } from '../../core/http/http-event.ts';
import { parseRequest } from '../../core/http/parse.ts';
import { rehearsalEvent } from '../../core/http/rehearsal.ts';
import { issuesOf } from '../../core/platform/issues.ts';
import { toRoomsError } from '../../core/platform/rooms-error.ts';
import { runningOut } from '../fixtures/event.ts';

const NOW = '2026-01-02T03:04:05.006Z';

const eventOf = (route: Route, more: Partial<HttpEvent>): HttpEvent => ({ ...rehearsalEvent(route), ...more });

describe('a body', () => {
  const { createRoom, getRoom, endRoom } = routes;
  /** A body with exactly this many bytes. */
  const padded = (bytes: number): string => '{"name":"R"}'.padStart(bytes);
  const parsed = (route: Route, body: string | undefined, isBase64Encoded = false) => {
    const { body: _, ...event } = eventOf(route, { isBase64Encoded });
    return parseRequest(route, body === undefined ? event : { ...event, body }, NOW);
  };

  test.each([
    ['text', (text: string) => ({ body: text, encoded: false })],
    ['base64', (text: string) => ({ body: Buffer.from(text).toString('base64'), encoded: true })],
  ])('of MAX_BODY_BYTES is accepted, and one byte more is rejected (as %s)', (_, form) => {
    const most = form(padded(MAX_BODY_BYTES));
    expect(parsed(createRoom, most.body, most.encoded)).toMatchObject({ body: { name: 'R' } });
    const more = form(padded(MAX_BODY_BYTES + 1));
    expect(() => parsed(createRoom, more.body, more.encoded)).toThrow(
      expect.objectContaining({ code: 'payload_too_large' }),
    );
  });

  test('that is missing, empty or white space is treated as no body', () => {
    for (const body of [undefined, '', ' \r\n\t']) {
      expect(parsed(getRoom, body)).toMatchObject({ body: {} });
      expect(parsed(endRoom, body)).toMatchObject({ body: {} });
    }
  });

  test('is rejected by a route without a body', () => {
    for (const body of ['{}', ' {} '])
      expect(() => parsed(getRoom, body)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test.each(['{', '[]', 'null', '"name"'])('that is not a JSON object is reported as such: %s', (body) => {
    const issues = [{ message: 'The body must be a JSON object.' }];
    for (const route of [createRoom, endRoom])
      expect(() => parsed(route, body)).toThrow(expect.objectContaining({ code: 'invalid_request', issues }));
  });
});

describe('an AWS error response without an error name', () => {
  const answered = (httpStatusCode: number) => Object.assign(new Error('m'), { $metadata: { httpStatusCode } });

  test.each([
    [499, 'internal'],
    [500, 'try_again'],
    [503, 'try_again'],
    [599, 'try_again'],
  ])('of status %i becomes %s', (status, code) => {
    expect(toRoomsError(answered(status))).toMatchObject({ code });
  });
});

test('the message about an unknown field says if the schema has no fields', () => {
  const schema = v.array(v.strictObject({}));
  const { issues = [] } = v.safeParse(schema, [{ x: 1 }]);
  expect(issuesOf(issues, schema)).toEqual([{ path: '0.x', message: 'is not a field of this request; it takes none' }]);
});

test('a query parameter of type string stays a string, even if it consists of digits', () => {
  const event = eventOf(routes.createUpload, { rawQueryString: 'name=2026&size=12&content_type=text/plain' });
  expect(parseRequest(routes.createUpload, event, NOW).query).toMatchObject({ name: '2026', size: 12 });
});

test.each([
  [[], 'it takes none'],
  [['a'], 'it takes a'],
  [['a', 'b'], 'it takes a, b'],
])('the message about an unknown field lists the known fields: %j', (names, fields) => {
  const schema = v.strictObject(Object.fromEntries(names.map((name) => [name, v.optional(v.string())])));
  const { issues = [] } = v.safeParse(schema, { x: 1 });
  expect(issuesOf(issues, schema)).toEqual([{ path: 'x', message: `is not a field of this request; ${fields}` }]);
});

test("a request that hangs gets try_again 500 ms before the function's time-out", async () => {
  const started = performance.now();
  const hanging = endpoint(routes.getRoom, () => new Promise(() => {}));
  const answer = await Promise.race([
    hanging(eventOf(routes.getRoom, {}), runningOut(1_200)).then(({ statusCode }) => statusCode),
    sleep(1_200, 'none'),
  ]);
  expect(answer).toBe(503);
  expect(performance.now() - started).toBeGreaterThan(600);
});
