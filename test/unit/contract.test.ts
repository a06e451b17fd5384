import { existsSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { ERRORS, RoomsError } from '../../core/contract/errors.ts';
import * as fields from '../../core/contract/fields.ts';
import { allRoutes, handlerFile, kebab, routes } from '../../core/contract/index.ts';
import * as limits from '../../core/contract/limits.ts';
import { COMMON_ERRORS, type Route } from '../../core/contract/route.ts';

describe('the route table', () => {
  test('has the expected rows, of which one is both update and end', () => {
    expect(allRoutes.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
      [
        'POST /room',
        'POST /admin/room/{room_id}',
        'DELETE /admin/room/{room_id}',
        'POST /admin/room/{room_id}/participant',
        'DELETE /admin/room/{room_id}/participant',
        'POST /admin/room/{room_id}/participant/{participant_id}/admin',
        'DELETE /admin/room/{room_id}/participant/{participant_id}/admin',
        'GET /participant/room',
        'GET /participant/room/{room_id}',
        'DELETE /participant/room/{room_id}',
        'PATCH /admin/room/{room_id}/participant/{participant_id}',
        'GET /participant/room/{room_id}/participant',
        'PATCH /participant/room/{room_id}/userprofile',
        'PUT /participant/room/{room_id}/read',
        'GET /participant/room/{room_id}/chat',
        'PATCH /participant/room/{room_id}/chat/{message_id}',
        'DELETE /participant/room/{room_id}/chat/{message_id}',
        'GET /participant/room/{room_id}/chat/change',
        'GET /participant/room/{room_id}/upload',
        'GET /participant/room/{room_id}/download',
      ].sort(),
    );
  });

  describe.each(allRoutes.map((route) => [route.operation, route] as const))('%s', (operation, route: Route) => {
    test('has the name of its key in the table, and a handler file', () => {
      expect(Object.entries(routes).find(([, each]) => each === route)?.[0]).toBe(operation);
      expect(existsSync(handlerFile(route)), handlerFile(route)).toBe(true);
    });

    test('is under the path of its set', () => {
      expect(route.path.split('/')[1]).toBe(route.set === 'unrestricted' ? 'room' : route.set);
    });

    test('has a schema for each parameter of its path', () => {
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(Object.keys(route.params?.entries ?? {})).toEqual(inPath);
    });

    test('accepts a body only if its method may have one, and declares payload_too_large', () => {
      if (route.method === 'GET') expect(route.body).toBeUndefined();
      expect(route.errors.includes('payload_too_large')).toBe(route.body !== undefined);
    });

    test('lists no error twice, and none of the common errors', () => {
      expect(new Set(route.errors).size).toBe(route.errors.length);
      expect(route.errors.filter((code) => COMMON_ERRORS.some((common) => common === code))).toEqual([]);
    });

    test('declares not_a_participant on routes about a room, and not_an_admin on admin routes', () => {
      const aboutRoom = route.path.includes('{room_id}');
      expect(route.errors.includes('not_a_participant')).toBe(aboutRoom);
      expect(route.errors.includes('room_not_found')).toBe(aboutRoom);
      expect(route.errors.includes('not_an_admin')).toBe(route.set === 'admin');
    });

    test('has a valid example', () => {
      const { params = {}, query = {}, headers = {}, body = {} } = route.example;
      if (route.params) v.parse(route.params, params);
      if (route.query) v.parse(route.query, query);
      if (route.headers) v.parse(route.headers, headers);
      if (route.body) v.parse(route.body, body);
    });
  });

  test('kebab', () => {
    expect(['grantAdmin', 'createRoom', 'list', 'aBC'].map(kebab)).toEqual([
      'grant-admin',
      'create-room',
      'list',
      'a-b-c',
    ]);
    expect(handlerFile(routes.grantAdmin)).toBe('functions/http/admin/grant-admin.ts');
  });
});

describe('errors', () => {
  test('have a code in lower snake case, an error status, and a message of one sentence', () => {
    for (const [code, { status, message }] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(status >= 400 && status < 600).toBe(true);
      expect(message).toMatch(/^[A-Z].*\.$/);
    }
  });

  test("have at least one issue, by default with the error's own message", () => {
    expect(new RoomsError('last_admin').issues).toEqual([{ message: ERRORS.last_admin.message }]);
    expect(new RoomsError('invalid_request', [{ path: 'a', message: 'b' }]).issues).toEqual([
      { path: 'a', message: 'b' },
    ]);
  });
});

describe('limits', () => {
  const TRANSACTION_ITEMS = 100;
  test('a call and its extra writes fit in one transaction', () => {
    // Creating writes the room, its creator, the participants, and the idempotency record. Adding and removing write
    // the room and the participants.
    expect(1 + 1 + limits.MAX_PARTICIPANTS_PER_CALL + 1).toBeLessThanOrEqual(TRANSACTION_ITEMS);
    // Adding also reads the participants and the room in one BatchGetItem.
    expect(1 + limits.MAX_PARTICIPANTS_PER_CALL).toBeLessThanOrEqual(100);
  });

  test('the largest valid bodies are within the size limit, even if every character is escaped', () => {
    const escaped = (length: number): string => '\\u8a9e'.repeat(length);
    const ids = Array(limits.MAX_PARTICIPANTS_PER_CALL).fill('x'.repeat(limits.MAX_USER_ID_LENGTH));
    const create =
      `{"name":"${escaped(limits.MAX_ROOM_NAME_LENGTH)}","description":"${escaped(limits.MAX_DESCRIPTION_LENGTH)}",` +
      `"start_time":"2026-03-01T09:30:00.000+01:00","participant_ids":${JSON.stringify(ids)}}`;
    const { body } = routes.createRoom;
    expect(v.safeParse(body ?? v.never(), JSON.parse(create)).success).toBe(true);
    expect(Buffer.byteLength(create)).toBeLessThan(limits.MAX_BODY_BYTES);
  });

  test('the longest message fits in a frame, in any script', () => {
    const frame = (text: string): string =>
      JSON.stringify({
        action: 'message',
        request_id: 'x'.repeat(128),
        room_id: 'x'.repeat(36),
        client_message_id: 'x'.repeat(128),
        text,
        attachment: { file_id: 'x'.repeat(36) },
      });
    for (const text of [
      'x'.repeat(limits.MAX_MESSAGE_LENGTH),
      '語'.repeat(limits.MAX_MESSAGE_LENGTH),
      '😀'.repeat(limits.MAX_MESSAGE_LENGTH / 2),
    ]) {
      expect(v.safeParse(fields.messageText, text).success).toBe(true);
      expect(Buffer.byteLength(frame(text))).toBeLessThanOrEqual(limits.MAX_FRAME_BYTES);
    }
  });

  test('keys stay within the limits of DynamoDB', () => {
    const sort = `SENT#${'x'.repeat(limits.MAX_USER_ID_LENGTH)}#${'x'.repeat(128)}`;
    expect(Buffer.byteLength(sort)).toBeLessThanOrEqual(1_024);
    expect(limits.MAX_IDEMPOTENCY_KEY_LENGTH + 'IDEMPOTENCY#'.length).toBeLessThanOrEqual(1_024);
  });

  test("the admins of a full room take little of its item, with Keycloak's IDs", () => {
    expect(limits.MAX_ADMINS * 36).toBeLessThan(5 * 1_024);
  });
});

describe('fields', () => {
  const good = (schema: v.GenericSchema<unknown, unknown>, ...values: readonly unknown[]) =>
    values.map((value) => v.safeParse(schema, value)).map(({ success, output }) => (success ? output : undefined));

  test('times are converted to UTC with milliseconds', () => {
    expect(
      good(
        fields.time,
        '2026-03-01T09:30:00Z',
        '2026-03-01T10:30:00+01:00',
        '2026-03-01T09:30:00.5Z',
        '2026-02-28T23:30:00-10:00',
        '2028-02-29T00:00:00Z',
      ),
    ).toEqual([
      '2026-03-01T09:30:00.000Z',
      '2026-03-01T09:30:00.000Z',
      '2026-03-01T09:30:00.500Z',
      '2026-03-01T09:30:00.000Z',
      '2028-02-29T00:00:00.000Z',
    ]);
    expect(good(fields.time, '2027-02-29T00:00:00Z', '2026-03-01', '2026-03-01T09:30:00')).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('IDs of rooms and files are converted to lower case, IDs of messages to upper case', () => {
    expect(good(fields.roomId, '0199D3F4-5C1E-7A80-9A6B-2F1D6A4C8E01')).toEqual([
      '0199d3f4-5c1e-7a80-9a6b-2f1d6a4c8e01',
    ]);
    expect(
      good(fields.messageId, '01arz3ndektsv4rrffq69g5fav', '81ARZ3NDEKTSV4RRFFQ69G5FAV', '01ARZ3NDEKTSV4RRFFQ69G5FAU'),
    ).toEqual(['01ARZ3NDEKTSV4RRFFQ69G5FAV', undefined, undefined]);
  });

  test('user IDs do not contain the separator of keys', () => {
    expect(v.safeParse(fields.userId, 'a#b').success).toBe(false);
    expect(v.safeParse(fields.clientMessageId, 'a#b').success).toBe(false);
  });
});
