import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { CONTRACT_VERSION } from '../../core/contract/version.ts';
import { breaks, requiredStep } from '../../tools/compatibility/schema.ts';
import { openapi } from '../../tools/generate/openapi.ts';
import { busSchema, socketSchema } from '../../tools/generate/realtime-docs.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const read = (path: string): unknown => JSON.parse(readFileSync(resolve(ROOT, path), 'utf8'));
const [major = 0, minor = 0, patch = 0] = CONTRACT_VERSION.split('.').map(Number);

/** The documents of the contract. Each release has a copy of each. */
const DOCUMENTS = ['openapi', 'events.schema', 'websocket.schema'];

/** The versions that have been released, oldest first. */
const releases = globSync('docs/releases/openapi-*.json', { cwd: ROOT })
  .map((path) => /openapi-(\d+\.\d+\.\d+)\.json$/.exec(path)?.[1] ?? '')
  .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
const latest = releases.at(-1) ?? 'there is none';

/** Patterns that have become wider since the last release. */
const wider = v.parse(
  v.array(v.strictObject({ before: v.string(), now: v.string(), because: v.string() })),
  read('docs/releases/wider-patterns.json'),
);

/**
 * Response fields of failures that the document no longer requires since the last release. The service still sends
 * them.
 */
const looser = v.parse(
  v.array(v.strictObject({ field: v.string(), because: v.string() })),
  read('docs/releases/looser-fields.json'),
);

const contract = DOCUMENTS.map((name) => ({
  name,
  released: read(`docs/releases/${name}-${latest}.json`),
  now: read(`docs/${name}.json`),
}));

describe('the contract', () => {
  const [wasMajor = 0, wasMinor = 0, wasPatch = 0] = latest.split('.').map(Number);

  test('states its version', () => {
    expect(CONTRACT_VERSION).toMatch(/^\d+\.\d+\.\d+$/);
    expect(read('docs/openapi.json')).toMatchObject({ info: { version: CONTRACT_VERSION } });
    for (const name of ['events.schema', 'websocket.schema'])
      expect(read(`docs/${name}.json`)).toMatchObject({ $comment: `Contract ${CONTRACT_VERSION}` });
    for (const version of releases)
      expect(read(`docs/releases/openapi-${version}.json`)).toMatchObject({ info: { version } });
  });

  test.each(wider)(
    'has a pattern that still matches every text that $before matched',
    ({ before, now: after, because }) => {
      expect(because).toMatch(/\w/);
      // Not a proof: random texts, half of them short, so that a mistake is very likely to be found.
      const fitting = fc.oneof(
        fc.stringMatching(new RegExp(before, 'u'), { size: 'xsmall' }),
        fc.stringMatching(new RegExp(before, 'u')),
      );
      fc.assert(
        fc.property(fitting, (text) => new RegExp(after, 'u').test(text)),
        { numRuns: 5_000 },
      );
      // The entry is removed when a release contains the wider pattern.
      const others = wider.filter((one) => one.before !== before);
      expect(contract.flatMap(({ released, now }) => breaks(released, now, others, looser))).toContainEqual(
        expect.stringContaining('pattern was'),
      );
    },
  );

  test.each(looser)(
    'no longer requires $field of failures in the document, although the service sends it',
    ({ field, because }) => {
      expect(because).toMatch(/\w/);
      const others = looser.filter((one) => one.field !== field);
      // Only failures may lose required fields, and each entry must still be necessary.
      const found = contract.flatMap(({ released, now }) => breaks(released, now, wider, others));
      expect(found.length).toBeGreaterThan(0);
      for (const each of found) expect(each).toMatch(new RegExp(`: [45]\\d\\d\\.${field}: may be missing$`));
    },
  );

  test.each(contract)(
    'has a new major version if $name breaks callers of the last release, and a new minor version if it offers more',
    ({ released, now }) => {
      const step = requiredStep(released, now, wider, looser);
      const grown =
        major > wasMajor
          ? 'major'
          : major === wasMajor && minor > wasMinor
            ? 'minor'
            : major === wasMajor && minor === wasMinor && patch >= wasPatch
              ? 'none'
              : 'back';
      const enough = { major: ['major'], minor: ['major', 'minor'], none: ['major', 'minor', 'none'] }[step];
      expect(
        enough,
        `${latest} → ${CONTRACT_VERSION} (core/contract/version.ts) is no ${step} step:\n` +
          [...breaks(released, now, wider, looser), ...breaks(now, released).map((each) => `before: ${each}`)].join(
            '\n',
          ),
      ).toContain(grown);
    },
  );

  test('is in the changelog, with all releases', () => {
    const changelog = readFileSync(resolve(ROOT, 'CHANGELOG.md'), 'utf8');
    for (const version of [...releases, CONTRACT_VERSION])
      expect(changelog).toMatch(new RegExp(`\\bcontract ${version.replaceAll('.', '\\.')}\\b`, 'i'));
    const product = read('package.json');
    expect(product).toEqual(expect.objectContaining({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) }));
    const { version } = product as { version: string };
    expect(changelog).toMatch(new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`, 'm'));
  });
});

/* Changes that break callers. Each case makes one change to the real document. */

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;
/** Returns the object at a path in the document. */
function at(document: unknown, ...path: string[]): Node {
  const found = path.reduce<unknown>((value, key) => (isNode(value) ? value[key] : undefined), document);
  if (!isNode(found)) throw new Error(`There is no object at ${path.join(' ')}.`);
  return found;
}
const document = (): unknown => JSON.parse(JSON.stringify(openapi(allRoutes)));
const changed = (change: (document: unknown) => void): unknown => {
  const copy = document();
  change(copy);
  return copy;
};

const operation = (d: unknown, path: string, method: string) => at(d, 'paths', path, method);
const schema = (d: unknown, name: string) => at(d, 'components', 'schemas', name);
const property = (d: unknown, name: string, field: string) => at(schema(d, name), 'properties', field);
function parameter(d: unknown, path: string, name: string): Node {
  const all = operation(d, path, 'get').parameters;
  const found = Array.isArray(all) ? all.find((each) => isNode(each) && each.name === name) : undefined;
  if (!isNode(found)) throw new Error(`There is no parameter ${name}.`);
  return found;
}
const without = (all: unknown, value: unknown): unknown[] =>
  Array.isArray(all) ? all.filter((each) => each !== value) : [];
const ROOMS = '/participant/room';
const UPLOAD = '/participant/room/{room_id}/upload';

describe('changes that break callers:', () => {
  test.each<[string, (d: unknown) => void, string]>([
    ['a route is removed', (d) => void delete at(d, 'paths')[ROOMS], 'GET /participant/room is gone'],
    [
      'a method is removed',
      (d) => void delete at(d, 'paths', '/admin/room/{room_id}').delete,
      'DELETE /admin/room/{room_id} is gone',
    ],
    [
      'an operation has another name',
      (d) => Object.assign(operation(d, '/room', 'post'), { operationId: 'makeRoom' }),
      'POST /room: the operation ID was createRoom, and is makeRoom, which generated clients use as a name',
    ],
    [
      'tokens are sent in another way',
      (d) => Object.assign(at(d), { security: [{ key: [] }] }),
      'Callers must authenticate in another way',
    ],
    [
      'a field of a request becomes required',
      (d) => Object.assign(schema(d, 'CreateRoomBody'), { required: ['name', 'description'] }),
      'POST /room: body.description: is required',
    ],
    [
      'a new field of a request is required',
      (d) => {
        Object.assign(at(schema(d, 'CreateRoomBody'), 'properties'), { colour: { type: 'string' } });
        Object.assign(schema(d, 'CreateRoomBody'), { required: ['name', 'colour'] });
      },
      'POST /room: body.colour: is required',
    ],
    [
      'a field of a request is no longer accepted',
      (d) => void delete at(schema(d, 'CreateRoomBody'), 'properties').description,
      'POST /room: body.description: is no longer accepted',
    ],
    [
      'a field of one of two kinds of body is no longer accepted',
      (d) => void delete at(schema(d, 'EndRoomBody'), 'properties').reason,
      'POST /admin/room/{room_id}: body.reason: is no longer accepted',
    ],
    [
      'a body becomes required',
      (d) => Object.assign(at(operation(d, '/admin/room/{room_id}', 'delete'), 'requestBody'), { required: true }),
      'DELETE /admin/room/{room_id}: a body is required',
    ],
    [
      'a body is no longer accepted',
      (d) => void delete operation(d, '/room', 'post').requestBody,
      'POST /room: a body is no longer accepted',
    ],
    [
      'a new parameter is required',
      (d) => {
        const all = operation(d, ROOMS, 'get').parameters;
        if (Array.isArray(all)) all.push({ name: 'team', in: 'query', required: true, schema: { type: 'string' } });
      },
      'GET /participant/room: query team is required',
    ],
    [
      'a parameter becomes required',
      (d) => Object.assign(parameter(d, ROOMS, 'limit'), { required: true }),
      'GET /participant/room: query limit is required',
    ],
    [
      'a parameter is no longer accepted',
      (d) => Object.assign(parameter(d, ROOMS, 'limit'), { name: 'size' }),
      'GET /participant/room: query limit is no longer accepted',
    ],
    [
      'a request accepts one value less',
      (d) => {
        Object.assign(parameter(d, ROOMS, 'status'), { schema: { type: 'string', enum: ['started', 'ended'] } });
      },
      'GET /participant/room: query status: no longer accepts "booked"',
    ],
    [
      'a request accepts only certain values',
      (d) => Object.assign(property(d, 'UpdateProfileBody', 'username'), { enum: ['Alice', 'Bob'] }),
      'PATCH /participant/room/{room_id}/userprofile: body.username: now accepts only "Alice","Bob"',
    ],
    [
      'a limit of a request is lower',
      (d) => Object.assign(property(d, 'CreateRoomBody', 'name'), { maxLength: 100 }),
      'POST /room: body.name: maxLength was 200, and is 100',
    ],
    [
      'a request has a limit where it had none',
      (d) => Object.assign(property(d, 'CreateRoomBody', 'description'), { minLength: 1 }),
      'POST /room: body.description: minLength was nothing, and is 1',
    ],
    [
      'an item of a request has a lower limit',
      (d) => Object.assign(at(property(d, 'AddParticipantsBody', 'participant_ids'), 'items'), { maxLength: 36 }),
      'POST /admin/room/{room_id}/participant: body.participant_ids[]: maxLength was 128, and is 36',
    ],
    [
      'a number of a request has a higher minimum',
      (d) => Object.assign(at(parameter(d, UPLOAD, 'size'), 'schema'), { minimum: 10 }),
      `GET ${UPLOAD}: query size: minimum was 0, and is 10`,
    ],
    [
      'a field of a request has another type',
      (d) => Object.assign(property(d, 'CreateRoomBody', 'description'), { type: 'string' }),
      'POST /room: body.description: type was ["string","null"], and is ["string"]',
    ],
    [
      'a field of a request has another pattern',
      (d) => Object.assign(property(d, 'CreateRoomBody', 'description'), { pattern: '^[a-z]+$' }),
      'POST /room: body.description: pattern was ["^[^\\\\u0000-\\\\u0008\\\\u000b\\\\u000c\\\\u000e-\\\\u001f\\\\u007f-\\\\u009f]*$"], and is ["^[a-z]+$"]',
    ],
    [
      'a field of a request has another format',
      (d) => Object.assign(property(d, 'CreateRoomBody', 'start_time'), { format: 'date' }),
      'POST /room: body.start_time: format was "date-time", and is "date"',
    ],
    [
      'the default of a field changes',
      (d) => Object.assign(at(parameter(d, ROOMS, 'limit'), 'schema'), { default: 10 }),
      'GET /participant/room: query limit: default was 50, and is 10',
    ],
    [
      'a field of a response is removed',
      (d) => {
        const room = schema(d, 'Room');
        delete at(room, 'properties').status;
        room.required = without(room.required, 'status');
      },
      'POST /room: 201.data.status: is gone',
    ],
    [
      'a field of a response may be missing',
      (d) => {
        const room = schema(d, 'MyRoom');
        room.required = without(room.required, 'name');
      },
      'GET /participant/room: 200.data[].name: may be missing',
    ],
    [
      'a field of a response may be null',
      (d) => Object.assign(property(d, 'Room', 'name'), { type: ['string', 'null'] }),
      'POST /room: 201.data.name: type was ["string"], and is ["string","null"]',
    ],
    [
      'a response may have a new value',
      (d) => Object.assign(schema(d, 'RoomStatus'), { enum: ['booked', 'started', 'paused', 'ended'] }),
      'POST /room: 201.data.status: can now be "paused"',
    ],
    [
      'a time has another format',
      (d) => Object.assign(property(d, 'RoomResult', 'sent_at'), { format: 'date' }),
      'POST /room: 201.sent_at: format was "date-time", and is "date"',
    ],
    [
      'an optional object of a response loses a field',
      (d) => {
        const attachment = schema(d, 'Attachment');
        delete at(attachment, 'properties').size;
        attachment.required = without(attachment.required, 'size');
      },
      'GET /participant/room/{room_id}/chat: 200.data[].attachment.size: is gone',
    ],
    [
      'a success has another status',
      (d) => {
        const responses = at(operation(d, '/room', 'post'), 'responses');
        responses['200'] = responses['201'];
        delete responses['201'];
      },
      'POST /room: 201 is no longer returned',
    ],
    [
      'an error code is removed',
      (d) => {
        const response = at(operation(d, '/admin/room/{room_id}/participant', 'delete'), 'responses', '409');
        response['x-error-codes'] = without(response['x-error-codes'], 'last_admin');
      },
      'DELETE /admin/room/{room_id}/participant: 409.errors[].code: is no longer "last_admin"',
    ],
    [
      'all codes of a status are removed',
      (d) => void delete at(operation(d, '/room', 'post'), 'responses')['409'],
      'POST /room: 409 is no longer returned as an error',
    ],
    [
      'a field of an error is removed',
      (d) => void delete at(schema(d, 'Issue'), 'properties').path,
      'POST /room: 400.errors[].path: is gone',
    ],
    [
      'a header of a response is removed',
      (d) => void delete at(operation(d, '/room', 'post'), 'responses', '503').headers,
      'POST /room: 503: header Retry-After is gone',
    ],
  ])('%s', (_, change, sentence) => {
    const now = changed(change);
    expect(breaks(document(), now)).toContain(sentence);
    expect(requiredStep(document(), now)).toBe('major');
  });
});

describe('changes that do not break callers:', () => {
  test.each<[string, (d: unknown) => void, 'minor' | 'none']>([
    ['nothing changes', () => {}, 'none'],
    [
      'descriptions and examples change',
      (d) => {
        Object.assign(at(d, 'info'), { description: 'x', version: '9.9.9' });
        Object.assign(operation(d, '/room', 'post'), { summary: 'x', description: 'x' });
        Object.assign(property(d, 'Room', 'name'), { description: 'x' });
        Object.assign(at(d), { servers: [{ url: 'https://rooms.example.com' }] });
      },
      'none',
    ],
    ['there is a new route', (d) => Object.assign(at(d, 'paths'), { '/x': at(d, 'paths', '/room') }), 'minor'],
    [
      'a request accepts a new field',
      (d) => Object.assign(at(schema(d, 'CreateRoomBody'), 'properties'), { colour: { type: 'string' } }),
      'minor',
    ],
    ['a field of a request becomes optional', (d) => void delete schema(d, 'CreateRoomBody').required, 'minor'],
    ['a limit is higher', (d) => Object.assign(property(d, 'CreateRoomBody', 'name'), { maxLength: 300 }), 'minor'],
    [
      'a new parameter is optional',
      (d) => {
        const all = operation(d, ROOMS, 'get').parameters;
        if (Array.isArray(all)) all.push({ name: 'team', in: 'query', required: false, schema: { type: 'string' } });
      },
      'minor',
    ],
    [
      'a response has a new field',
      (d) => Object.assign(at(schema(d, 'Room'), 'properties'), { colour: { type: 'string' } }),
      'minor',
    ],
    [
      'a response no longer has one of its values',
      (d) => Object.assign(property(d, 'Room', 'description'), { type: 'string' }),
      'minor',
    ],
    [
      'there is a new error code',
      (d) => {
        const response = at(operation(d, '/admin/room/{room_id}/participant', 'delete'), 'responses', '409');
        response['x-error-codes'] = [...without(response['x-error-codes'], ''), 'too_late'];
      },
      'minor',
    ],
    [
      'there is a new status of errors',
      (d) => {
        const responses = at(operation(d, '/room', 'post'), 'responses');
        responses['404'] = at(operation(d, '/admin/room/{room_id}', 'delete'), 'responses', '404');
      },
      'minor',
    ],
  ])('%s', (_, change, step) => {
    const now = changed(change);
    expect(breaks(document(), now)).toEqual([]);
    expect(requiredStep(document(), now)).toBe(step);
  });
});

/* Changes that break receivers of messages. Each case makes one change to the real schemas. */

const copy = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const bus = (): unknown => copy(busSchema());
const socket = (): unknown => copy(socketSchema());
/** A field of a definition, at any depth. */
const field = (d: unknown, name: string, ...path: string[]) =>
  at(d, '$defs', name, ...path.flatMap((key) => ['properties', key]));
const list = (d: unknown, key: string): unknown[] => {
  const found = at(d)[key];
  return Array.isArray(found) ? found : [];
};
const drop = (d: Node, name: string) => {
  delete at(d, 'properties')[name];
  d.required = without(d.required, name);
};

describe('changes that break receivers of messages:', () => {
  test.each<[string, () => unknown, (d: unknown) => void, string]>([
    ['an event on the bus is removed', bus, (d) => void list(d, 'anyOf').pop(), 'rooms room_ended is gone'],
    [
      'events have another source',
      bus,
      (d) => Object.assign(at(list(d, 'anyOf')[0], 'properties', 'source'), { const: 'ucs.rooms' }),
      'rooms room_created is gone',
    ],
    [
      'an event has another name',
      bus,
      (d) => Object.assign(at(list(d, 'anyOf')[0], 'properties', 'detail-type'), { const: 'RoomCreated' }),
      'rooms room_created is gone',
    ],
    [
      'a field of an event is removed',
      bus,
      (d) => drop(field(d, 'room_updated', 'data'), 'end_time'),
      'rooms room_updated.detail.data.end_time: is gone',
    ],
    [
      'a field of an event may be missing',
      bus,
      (d) => {
        const data = field(d, 'room_updated', 'data');
        data.required = without(data.required, 'name');
      },
      'rooms room_updated.detail.data.name: may be missing',
    ],
    [
      'a field of an event has another type',
      bus,
      (d) => Object.assign(field(d, 'participant_updated', 'data', 'is_admin'), { type: 'string' }),
      'rooms participant_updated.detail.data.is_admin: type was ["boolean"], and is ["string"]',
    ],
    [
      'a field of an event may be null',
      bus,
      (d) => Object.assign(field(d, 'room_created', 'data', 'name'), { type: ['string', 'null'] }),
      'rooms room_created.detail.data.name: type was ["string"], and is ["string","null"]',
    ],
    [
      'an event may have a new value',
      bus,
      (d) =>
        Object.assign(field(d, 'room_ended', 'data', 'status'), { enum: ['booked', 'started', 'paused', 'ended'] }),
      'rooms room_ended.detail.data.status: can now be "paused"',
    ],
    [
      'a time of an event has another format',
      bus,
      (d) => Object.assign(field(d, 'room_ended', 'sent_at'), { format: 'date' }),
      'rooms room_ended.detail.sent_at: format was "date-time", and is "date"',
    ],
    ['an action is removed', socket, (d) => void delete at(d, '$defs')['frame.leave'], 'frame.leave is gone'],
    [
      'an action has another name',
      socket,
      (d) => Object.assign(field(d, 'frame.leave', 'action'), { const: 'exit' }),
      'frame.leave.action: no longer accepts "leave"',
    ],
    [
      'a field of a frame is no longer accepted',
      socket,
      (d) => drop(field(d, 'frame.message'), 'attachment'),
      'frame.message.attachment: is no longer accepted',
    ],
    [
      'a field of a frame becomes required',
      socket,
      (d) =>
        Object.assign(field(d, 'frame.message'), {
          required: Object.keys(at(field(d, 'frame.message'), 'properties')),
        }),
      'frame.message.text: is required',
    ],
    [
      'a frame has a lower limit',
      socket,
      (d) => Object.assign(field(d, 'frame.message', 'text'), { maxLength: 100 }),
      'frame.message.text: maxLength was 8000, and is 100',
    ],
    [
      'a field of a reply is removed',
      socket,
      (d) => drop(field(d, 'reply.message', 'data'), 'sent_at'),
      'reply.message.data.sent_at: is gone',
    ],
    [
      'an error code of a reply is removed',
      socket,
      (d) => {
        const code = field(d, 'refusal.join', 'error', 'code');
        code.enum = without(code.enum, 'room_ended');
      },
      'refusal.join.error.code: is no longer "room_ended"',
    ],
    [
      'an event on the WebSocket is removed',
      socket,
      (d) => void delete at(d, '$defs')['event.peer_left'],
      'event.peer_left is gone',
    ],
    [
      'a field of an attachment is removed',
      socket,
      (d) => drop(field(d, 'event.message', 'data', 'attachment'), 'file_id'),
      'event.message.data.attachment.file_id: is gone',
    ],
    [
      'the sub-protocol changes',
      socket,
      (d) => Object.assign(at(d, '$defs', 'subprotocol'), { const: 'rooms.v2' }),
      'subprotocol: can now be "rooms.v2"',
    ],
  ])('%s', (_, made, change, sentence) => {
    const now = made();
    change(now);
    expect(breaks(made(), now)).toContain(sentence);
    expect(requiredStep(made(), now)).toBe('major');
  });
});

describe('changes that do not break receivers of messages:', () => {
  test.each<[string, () => unknown, (d: unknown) => void, 'minor' | 'none']>([
    ['nothing changes on the bus', bus, () => {}, 'none'],
    ['nothing changes on the WebSocket', socket, () => {}, 'none'],
    [
      'descriptions change',
      bus,
      (d) => {
        Object.assign(at(d), { title: 'x', $comment: 'Contract 9.9.9' });
        Object.assign(field(d, 'room_ended', 'data', 'name'), { description: 'x' });
      },
      'none',
    ],
    [
      'there is a new event on the bus',
      bus,
      (d) => {
        const [first] = list(copy(d), 'anyOf');
        Object.assign(at(first, 'properties', 'detail-type'), { const: 'room_renamed' });
        list(d, 'anyOf').push(first);
      },
      'minor',
    ],
    [
      'an event has a new field',
      bus,
      (d) => Object.assign(at(field(d, 'room_ended', 'data'), 'properties'), { ended_by: { type: 'string' } }),
      'minor',
    ],
    [
      'there is a new action',
      socket,
      (d) => Object.assign(at(d, '$defs'), { 'frame.mute': at(d, '$defs', 'frame.leave') }),
      'minor',
    ],
    [
      'a frame accepts a new field',
      socket,
      (d) => Object.assign(at(field(d, 'frame.message'), 'properties'), { reply_to: { type: 'string' } }),
      'minor',
    ],
    [
      'there is a new event on the WebSocket',
      socket,
      (d) => Object.assign(at(d, '$defs'), { 'event.applauded': at(d, '$defs', 'event.peer_left') }),
      'minor',
    ],
    [
      'a reply has a new error code',
      socket,
      (d) => {
        const code = field(d, 'refusal.join', 'error', 'code');
        code.enum = [...without(code.enum, ''), 'room_full'];
      },
      'minor',
    ],
  ])('%s', (_, made, change, step) => {
    const now = made();
    change(now);
    expect(breaks(made(), now)).toEqual([]);
    expect(requiredStep(made(), now)).toBe(step);
  });
});

describe('a pattern', () => {
  const now = changed((d) => Object.assign(property(d, 'CreateRoomBody', 'name'), { pattern: '^x' }));
  const { pattern: before } = property(document(), 'CreateRoomBody', 'name');
  const declared = { before: String(before), now: '^x', because: 'It is a test.' };

  test('that is declared as wider is compatible, and counts as an addition', () => {
    expect(requiredStep(document(), now)).toBe('major');
    expect(breaks(document(), now, [declared])).toEqual([]);
    expect(requiredStep(document(), now, [declared])).toBe('minor');
  });

  test('is accepted only instead of that one pattern, and not in reverse', () => {
    for (const other of [
      { ...declared, before: '^y' },
      { ...declared, now: '^y' },
      { ...declared, before: declared.now, now: declared.before },
    ])
      expect(requiredStep(document(), now, [other])).toBe('major');
    expect(requiredStep(now, document(), [declared])).toBe('major');
  });
});

test('the comparison rejects an unknown keyword', () => {
  const odd = changed((d) => Object.assign(property(d, 'Room', 'name'), { multipleOf: 2 }));
  expect(() => breaks(document(), odd)).toThrow('The comparison of contracts does not support "multipleOf".');
  const dangling = changed((d) => void delete at(d, 'components', 'schemas').Page);
  expect(() => breaks({}, {})).toThrow('The released document has no messages.');
  expect(() => breaks(document(), dangling)).toThrow(
    'The reference #/components/schemas/Page has no target in the document.',
  );
});
