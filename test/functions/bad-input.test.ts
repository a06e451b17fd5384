import { ulid } from 'ulid';
import { beforeAll, describe, expect, test } from 'vitest';
import { allRoutes } from '../../core/contract/index.ts';
import { MAX_BODY_BYTES } from '../../core/contract/limits.ts';
import type { Route } from '../../core/contract/route.ts';
import { appendMessage } from '../../core/store/messages.ts';
import { sampleRequest } from '../fixtures/samples.ts';
import { data, invoke, type Operation, type Request, refused, succeed } from '../support/invoke.ts';
import { type Sized, sampleRoomOf } from '../support/sample-room.ts';
import { newRoom, newUser, snapshot, type World } from '../support/world.ts';

type Body = Readonly<Record<string, unknown>>;

/** The ULID of a message from 2026-03-02. */
const A_MESSAGE = '01KJPWK0F03YV98J9N016TWRVK';

let world: Sized;
beforeAll(async () => {
  world = await sampleRoomOf(3);
});

/** Returns a valid request. Each case below makes one part of it invalid. */
const goodFor = (operation: Operation): Request => sampleRequest(operation, world);
const namesOf = (routes: readonly Route[]) => routes.map(({ operation }) => operation as Operation);
const every = namesOf(allRoutes);
const withBody = namesOf(allRoutes.filter(({ body }) => body));
const withoutBody = namesOf(allRoutes.filter(({ body }) => !body));
const needsBody = namesOf(allRoutes.filter(({ body, bodyOptional }) => body && !bodyOptional));
const lists = namesOf(allRoutes.filter(({ query }) => query && 'cursor' in query.entries));

/**
 * Expects that each request is rejected as `invalid_request` with an issue at the path, and that nothing is written.
 */
async function refuses(
  operation: Operation,
  requests: readonly Partial<Request>[],
  path?: string | RegExp,
): Promise<void> {
  const before = await snapshot();
  for (const request of requests) {
    const reply = await refused(operation, { ...goodFor(operation), ...request });
    const paths = reply.errors.map((error) => error.path ?? '');
    expect({ request: JSON.stringify(request).slice(0, 300), status: reply.status, code: reply.code }).toMatchObject({
      status: 400,
      code: 'invalid_request',
    });
    if (path !== undefined)
      expect(paths, JSON.stringify(request).slice(0, 300)).toContainEqual(expect.stringMatching(path));
  }
  expect(await snapshot()).toEqual(before);
}

test.each(every)('%s: the valid request succeeds', async (operation) => {
  await succeed(operation, goodFor(operation));
});

describe('the token', () => {
  test.each(every)('%s: is rejected if its sub is not a user ID', async (operation) => {
    const before = await snapshot();
    for (const as of [
      null,
      '',
      ' ',
      '.',
      '..',
      'a b',
      'ROOM#1',
      'a/b',
      'ü',
      '\0',
      'x'.repeat(129),
      'x'.repeat(10_000),
    ]) {
      const reply = await invoke(operation, { ...goodFor(operation), as });
      expect(reply).toMatchObject({ ok: false, status: 401, code: 'invalid_token' });
    }
    expect(await snapshot()).toEqual(before);
  });

  test.each(['a', 'x'.repeat(128), 'auth0|42', 'A.b_c:d@e-f', '6f0c1a52-7a0e-4a53-8f5c-0e6c4d1b2a3f'])(
    'accepts the sub %s as a user ID',
    async (as) => {
      const { room_id } = await data('createRoom', { as, body: { name: 'x' } });
      expect((await data('getRoom', { as, params: { room_id } })).created_by).toBe(as);
    },
  );
});

describe('ids in the path', () => {
  const bad = [
    'x',
    'ROOM#1',
    '../x',
    '0199d3f45c1e7a809a6b2f1d6a4c8e01',
    '{room_id}',
    '1',
    ' ',
    '\0',
    'x'.repeat(10_000),
  ];

  test.each(namesOf(allRoutes.filter(({ path }) => path.includes('{room_id}'))))(
    '%s: rejects a room ID that is not a UUID',
    (operation) =>
      refuses(
        operation,
        bad.map((room_id) => ({ params: { ...goodFor(operation).params, room_id } })),
        /^room_id$/,
      ),
  );

  test.each(['editMessage', 'deleteMessage'] as const)('%s: rejects a message ID that is not a ULID', (operation) =>
    refuses(
      operation,
      ['x', 'MESSAGE#x', 'change', '8ZZZZZZZZZZZZZZZZZZZZZZZZZ', '01KJPWMX60DN4XCMTN3FJRJPHI', '.', '\0', ''].map(
        (id) => ({ params: { room_id: world.room_id, message_id: id } }),
      ),
      /^message_id$/,
    ),
  );

  test.each(['grantAdmin', 'revokeAdmin'] as const)('%s: rejects a participant ID that is not a user ID', (operation) =>
    refuses(
      operation,
      ['ROOM#1', 'PARTICIPANT#x', 'a b', 'a/b', 'ü', '\0', 'a\n', '.', '..', 'x'.repeat(129), ''].map(
        (participant_id) => ({
          params: { room_id: world.room_id, participant_id },
        }),
      ),
      /^participant_id$/,
    ),
  );
});

describe('the body', () => {
  test.each(withBody)('%s: rejects a body that is not JSON', (operation) =>
    refuses(
      operation,
      [
        ...[
          '{',
          '{"name":',
          "{'name':'x'}",
          '{"name":"x",}',
          '{"name":"x"}}',
          '{"name":NaN}',
          '{"n":Infinity}',
          'name=x',
        ],
        ...['undefined', '"x', '\0', '<name>x</name>', '{"name":"x"} // comment', '{"name":"a\nb"}', '['.repeat(5_000)],
      ].map((body) => ({ body })),
      '',
    ),
  );

  test.each(withBody)('%s: rejects JSON that is not an object', (operation) =>
    refuses(
      operation,
      ['null', '0', '1', '"name"', 'true', 'false', '[]', '[{"name":"x"}]'].map((body) => ({ body })),
      '',
    ),
  );

  test.each(withBody)('%s: rejects unknown fields with any name', (operation) => {
    const body = (goodFor(operation).body ?? {}) as Body;
    const fields = [
      'nmae',
      'Name',
      'PK',
      'SK',
      'admins',
      'room_id',
      'caller',
      'now',
      '',
      ' ',
      'constructor',
      'toString',
      'a.b',
    ];
    return Promise.all([
      ...fields.map((field) => refuses(operation, [{ body: { ...body, [field]: 'x' } }], field)),
      refuses(operation, [
        {
          body: `{"__proto__":{"name":"x"}${JSON.stringify(body).replace(/^\{(.)?/, (_, c) => (c === '}' ? '}' : `,${c}`))}`,
        },
      ]),
    ]).then(() => undefined);
  });

  test.each(withoutBody)('%s: rejects a body, because the route has none', (operation) =>
    refuses(
      operation,
      ['{}', '{', 'x', 'null', 'x'.repeat(MAX_BODY_BYTES + 1)].map((body) => ({ body })),
    ),
  );

  test.each(needsBody)('%s: rejects a request without a body', (operation) =>
    refuses(operation, [{ body: undefined }, { body: '' }, { body: ' \r\n\t' }, { body: {} }]),
  );

  test.each(withBody)('%s: rejects a body that is too large with 413', async (operation) => {
    const before = await snapshot();
    const [filler, wide] = ['x'.repeat(MAX_BODY_BYTES), '語'.repeat(MAX_BODY_BYTES / 3)];
    for (const body of [
      JSON.stringify({ name: filler }),
      JSON.stringify({ name: wide }),
      `${' '.repeat(MAX_BODY_BYTES)}{}`,
    ])
      for (const headers of [{}, { 'content-type': 'application/octet-stream' }])
        expect(await invoke(operation, { ...goodFor(operation), body, headers })).toMatchObject({
          ok: false,
          status: 413,
          code: 'payload_too_large',
        });
    expect(await snapshot()).toEqual(before);
  });

  test.each(withBody)('%s: rejects a body that is not UTF-8', (operation) =>
    refuses(
      operation,
      [
        [0x7b, 0xff, 0x7d],
        [0xc3, 0x28],
        [0xed, 0xa0, 0x80],
        [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00],
      ].map((bytes) => ({
        body: Buffer.from(bytes),
        headers: { 'content-type': 'application/octet-stream' },
      })),
    ),
  );

  test('with bytes that are not UTF-8 in a string is rejected, not repaired', () =>
    refuses(
      'createRoom',
      [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80]].map((bytes) => ({
        body: Buffer.concat([Buffer.from('{"name":"a'), Buffer.from(bytes), Buffer.from('"}')]),
        headers: { 'content-type': 'application/octet-stream' },
      })),
    ));

  test('may be sent as base64 or as text', async () => {
    const name = 'Zażółć 語 🚀';
    const headers = { 'content-type': 'application/octet-stream' };
    expect(await data('createRoom', { as: newUser(), body: { name }, headers })).toMatchObject({ name });
  });
});

const long = 'x'.repeat(10_000);
const NOT_TEXT = [1, 0, true, [], {}, ['x']];
const CONTROLS = ['nul\0', 'bell\u0007', 'esc\u001b[0m', 'del\u007f', 'c1\u0085'];
const SURROGATES = ['\ud800', 'a\udc00b', '\udc00\ud800'];
const INVISIBLE = [
  ...['', ' ', '\u200b', '\u200d\u2060\ufeff', '\u00a0\u3000', '\u202e', '\u2800', '\u3164', '\u{1d159}'],
  // Default-ignorable marks of the category Mn: neither white space nor formatting characters.
  ...['\ufe0f', '\u034f', '\u17b4', '\u17b5', '\u180b', '\u{e0100}', ' \ufe0f\u034f ', '\u200b\u{e01ef}'],
];
/** Embeddings, overrides and isolates, which change the order in which the following text is displayed. */
const BIDI_CONTROLS = [...'\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'].map((c) => `a${c}gnp.exe`);
const year = new Date().getUTCFullYear() + 1;
const NOT_TIME = [
  ...['', 'now', 'tomorrow', `${year}`, `${year}-01-01`, `${year}-01-01T00:00:00`, `01/01/${year}`, long],
  ...[`${year}-02-30T00:00:00Z`, `${year}-13-01T00:00:00Z`, `${year}-00-10T00:00:00Z`, `${year}-04-31T00:00:00.000Z`],
  ...[`${year}-01-01T24:00:00Z`, `${year}-01-01T00:60:00Z`, `${year}-01-01T00:00:61Z`, `${year}-01-01T00:00:00+99:00`],
  ...['0000-00-00T00:00:00Z', '9999-12-31T23:59:59.999Z', '+010000-01-01T00:00:00Z', '10000-01-01T00:00:00Z'],
  ...['2020-01-01T00:00:00Z', '1969-12-31T23:59:59Z', Date.now(), 0, -1, true, [], {}],
];
const NOT_IDS = [
  'ROOM#1',
  'PARTICIPANT#x',
  'a b',
  'a/b',
  '.',
  '..',
  '',
  'ü',
  '😀',
  'a\0',
  '\u200b',
  '\ud800',
  'x'.repeat(129),
  long,
];

const NOT_A_CHOICE = ['', 'Member', 'admin', 'Admins', ' everyone', '__proto__', 1, true, null, [], ['member'], {}];

const nested = (levels: number): object => {
  let value: object = {};
  for (let n = 1; n < levels; n++) value = n % 2 ? { a: value } : [value];
  return { a: value };
};
/** An object whose JSON has this many bytes. */
const ofBytes = (bytes: number, text = 'x') => {
  const frame = Buffer.byteLength(JSON.stringify({ a: '' }));
  return { a: text.repeat((bytes - frame) / Buffer.byteLength(text)) };
};
const NOT_METADATA = [
  ...['', '{}', 1, true, []],
  ofBytes(4_097),
  // Fewer than 4,096 characters, but 4,097 bytes.
  { a: `${'é'.repeat(2_044)}x` },
  nested(1_000),
  JSON.parse('{"__proto__":1}'),
  JSON.parse('{"a":[{"__proto__":{"admin":true}}]}'),
];

describe('fields of the body', () => {
  test.each<[Operation, string, readonly unknown[]]>([
    ...(['createRoom', 'changeRoom'] as const).flatMap((operation): [Operation, string, readonly unknown[]][] => [
      [
        operation,
        'name',
        [
          ...INVISIBLE,
          ...BIDI_CONTROLS,
          ...CONTROLS,
          ...SURROGATES,
          'x'.repeat(201),
          long,
          'a\nb',
          'a\u2028b',
          null,
          ...NOT_TEXT,
        ],
      ],
      [operation, 'description', [...CONTROLS, ...SURROGATES, 'x'.repeat(2_001), long, ...NOT_TEXT]],
      [operation, 'start_time', operation === 'createRoom' ? NOT_TIME : [...NOT_TIME, null]],
      [operation, 'end_time', NOT_TIME],
      [operation, 'posting', NOT_A_CHOICE],
      [operation, 'metadata', NOT_METADATA],
    ]),
    ['addParticipants', 'role', NOT_A_CHOICE],
    ['setRole', 'role', NOT_A_CHOICE],
    ['createRoom', 'participant_ids', ['x', 1, true, {}, null, { length: 1 }, Array(51).fill('x')]],
    ['addParticipants', 'participant_ids', ['x', 1, true, {}, null, [], Array(51).fill('x')]],
    ['removeParticipants', 'participant_ids', ['x', 1, true, {}, null, [], Array(51).fill('x')]],
    ...(['changeRoom', 'endRoom'] as const).flatMap((operation): [Operation, string, readonly unknown[]][] => [
      [operation, 'reason', [...CONTROLS, ...SURROGATES, 'x'.repeat(501), long, null, ...NOT_TEXT]],
      [operation, 'time_left_in_seconds', [-1, -0.5, 0.5, 1e21, 1e308, 31_536_001, '1', '', 'NaN', null, true, [], {}]],
    ]),
    [
      'updateProfile',
      'username',
      [...INVISIBLE, ...BIDI_CONTROLS, ...CONTROLS, ...SURROGATES, 'x'.repeat(101), long, 'a\nb', ...NOT_TEXT],
    ],
    [
      'markRead',
      'message_id',
      [
        ...['', 'x', A_MESSAGE.slice(1), `${A_MESSAGE}0`, `8${A_MESSAGE.slice(1)}`, A_MESSAGE.replace('K', 'U'), long],
        ...[`${A_MESSAGE}\n`, `MESSAGE#${A_MESSAGE}`, null, ...NOT_TEXT],
        // In the future: beyond the allowed clock difference, and the last possible ULID.
        ...[ulid(Date.now() + 6 * 60_000), '7ZZZZZZZZZZZZZZZZZZZZZZZZZ'],
      ],
    ],
    ['editMessage', 'text', [...INVISIBLE, ...CONTROLS, ...SURROGATES, 'x'.repeat(8_001), long, null, ...NOT_TEXT]],
    ['updateProfile', 'archive_room', [0, 1, 'true', '', null, [], {}]],
  ])('%s: rejects an invalid %s with its path', (operation, field, values) => {
    const { name, ...rest } = (goodFor(operation).body ?? {}) as Body;
    // The body of endRoom has no other fields. An update of a room accepts only its own fields.
    const base =
      operation === 'createRoom' || operation === 'addParticipants'
        ? { ...(name !== undefined && { name }), ...rest }
        : {};
    return refuses(
      operation,
      values.map((value) => ({ body: { ...base, [field]: value } })),
      new RegExp(`^${field}`),
    );
  });

  test.each(['createRoom', 'addParticipants', 'removeParticipants'] as const)(
    '%s: rejects one invalid user ID among valid ones with its position',
    (operation) =>
      refuses(
        operation,
        [...NOT_IDS, 1, null, {}, []].map((id) => ({
          body: { ...(operation === 'createRoom' && { name: 'x' }), participant_ids: ['good', id, 'fine'] },
        })),
        /^participant_ids\.1$/,
      ),
  );

  test('rejects a number that JSON cannot represent', () =>
    refuses('endRoom', [{ body: '{"time_left_in_seconds": 1e999}' }, { body: '{"time_left_in_seconds": -1e999}' }]));

  test('lists every issue with its path', async () => {
    const body = { name: '', start_time: 'x', extra: 1, participant_ids: ['ok', 'ROOM#1'] };
    const { errors } = await refused('createRoom', { as: world.admin, body });
    expect(errors.map(({ path }) => path).sort()).toEqual(['extra', 'name', 'participant_ids.1', 'start_time']);
  });

  test('lists at most 20 issues, and repeats nothing that was sent', async () => {
    const ids = Array.from({ length: 50 }, () => '<script>SECRET</script>');
    const reply = await refused('createRoom', { as: world.admin, body: { name: 'x', participant_ids: ids } });
    expect(reply.errors).toHaveLength(20);
    expect(JSON.stringify(reply.errors)).not.toContain('SECRET');
  });
});

describe('unusual but valid input', () => {
  test.each([
    ['of 4,096 bytes', ofBytes(4_096)],
    ['of 4,096 bytes, with 2 bytes per character', ofBytes(4_096, 'é')],
    ['with keys of Object.prototype', { toString: null, hasOwnProperty: [], '': {} }],
  ])('stores metadata %s unchanged', async (_, metadata) => {
    const { room_id, admin } = await newRoom({ body: { metadata } });
    const params = { room_id };
    expect((await data('getRoom', { as: admin, params })).metadata).toEqual(metadata);
    expect((await data('changeRoom', { as: admin, params, body: { metadata } })).metadata).toEqual(metadata);
  });

  test.each([
    '😀 🏳️‍🌈 👩‍👩‍👧‍👦',
    'مرحبا بالعالم',
    'שלום \u200f!',
    'a\u200bb\u200dc',
    'e\u0301 stays decomposed',
    '\u200fשלום (\u061c2)\u200e',
    '❤️ 1️⃣',
    '語'.repeat(200),
    '  spaces stay  ',
    '"quoted" \\ / <b>',
    '{{name}} %s \\u0000',
    "Robert'); DROP TABLE rooms;--",
    'ROOM#1',
    'null',
    '__proto__',
  ])('stores the text %j unchanged', async (text) => {
    const { room_id, admin } = await newRoom({ body: { name: text, description: `${text}\n\t${text}` } });
    const params = { room_id };
    await data('updateProfile', { as: admin, params, body: { username: text.slice(0, 100) } });
    await data('endRoom', { as: admin, params, body: { reason: text } });
    const kept = {
      name: text,
      description: `${text}\n\t${text}`,
      username: text.slice(0, 100),
      end_reason: text,
    };
    expect(await data('getRoom', { as: admin, params })).toMatchObject(kept);
    expect(await data('listRooms', { as: admin })).toMatchObject([kept]);
  });
});

describe('the query', () => {
  test.each(every)('%s: rejects unknown parameters', (operation) => {
    const { query } = goodFor(operation);
    const base = typeof query === 'string' ? query : new URLSearchParams(query as Record<string, string>).toString();
    return refuses(
      operation,
      [
        'x=1',
        'Limit=1',
        '__proto__=1',
        'constructor=1',
        'toString=1',
        'room_id=1',
        '=1',
        '%00=1',
        'limit[]=1',
        '%ff=1',
      ].map((extra) => ({ query: base ? `${base}&${extra}` : extra })),
    );
  });

  test.each(lists)('%s: rejects an invalid limit', (operation) =>
    refuses(
      operation,
      [
        ...[
          '',
          '0',
          '-1',
          '201',
          '1.5',
          'abc',
          'NaN',
          'Infinity',
          '-Infinity',
          '1e2',
          '0x10',
          ' 5',
          '%2B5',
          '5%00',
          'null',
        ],
        ...['9'.repeat(30), '5,5', '[5]', '٥', long],
      ].map((limit) => ({ query: `limit=${limit}` })),
      'limit',
    ),
  );

  test.each(lists)('%s: rejects a parameter that is given twice', (operation) =>
    refuses(operation, [{ query: 'limit=1&limit=1' }, { query: 'limit=1&limit=' }], 'limit'),
  );

  test.each([
    ['listRooms', 'status', ['', 'ENDED', 'over', 'ended,booked', 'ended ', '%00', long]],
    ['listMessages', 'order', ['', 'ASC', 'up', 'asc,desc', '%00', long]],
    [
      'listMessageChanges',
      'after',
      ['', '-1', '1.5', '1e3', 'NaN', '0x10', '1000000000000', '9'.repeat(30), ' 1', long],
    ],
    ['createUpload', 'size', ['', '-1', '1.5', '1e3', 'NaN', 'Infinity', '0x10', '9'.repeat(20), '9'.repeat(30), '1 ']],
    [
      'createUpload',
      'content_type',
      [
        '',
        'png',
        '/',
        'a/',
        '/b',
        'a/b/c',
        'a b/c',
        'a/b,c/d',
        'a/b;x=%09',
        'a/b;x=,c/d',
        'a/b%0d%0ax: y',
        'ü/b',
        long,
      ],
    ],
    [
      'createUpload',
      'name',
      [
        ...['%00', 'a%0d%0ab', '%E2%80%8B', 'x'.repeat(256), long],
        ...[...INVISIBLE, ...BIDI_CONTROLS].map(encodeURIComponent),
      ],
    ],
  ] as const)('%s: rejects an invalid %s', (operation, name, values) =>
    refuses(
      operation,
      values.map((value) => {
        const others = Object.entries({ ...(goodFor(operation).query as Body) }).filter(([key]) => key !== name);
        const rest = new URLSearchParams(others as [string, string][]).toString();
        return { query: `${name}=${value.replaceAll(' ', '%20')}&${rest}`.replace(/&$/, '') };
      }),
      name,
    ),
  );

  test.each([20, 30, 300])('rejects a number of %i digits as too large', async (digits) => {
    const { errors } = await refused('listMessages', {
      ...goodFor('listMessages'),
      query: `limit=${'9'.repeat(digits)}`,
    });
    expect(errors).toEqual([{ code: 'invalid_request', path: 'limit', message: 'must be at most 200' }]);
  });

  test('removeParticipants: rejects an invalid participant_id with its position', () =>
    refuses(
      'removeParticipants',
      NOT_IDS.filter((id) => id.isWellFormed()).map((id) => ({
        body: undefined,
        query: { participant_id: ['good', id] },
      })),
      'participant_id.1',
    ));

  test('createDownload: rejects malformed IDs', async () => {
    const bad = ['x', 'FILE#1', '../x', '{}', 'x'.repeat(10_000)];
    await refuses(
      'createDownload',
      bad.map((id) => ({ query: { file_id: id } })),
      'file_id',
    );
    await refuses(
      'createDownload',
      [...bad, '8ZZZZZZZZZZZZZZZZZZZZZZZZZ'].map((id) => ({ query: { message_id: id } })),
      'message_id',
    );
  });
});

describe('a cursor', () => {
  /** A cursor from each list, as a response contained it. */
  const cursors = new Map<Operation, string>();
  let other: World;

  /** Returns a cursor for the second page of a list. */
  async function cursorOf(operation: Operation, { room_id, admin }: World): Promise<string> {
    const params = operation === 'listRooms' ? {} : { room_id };
    const reply = await invoke(operation, { as: admin, params, query: { limit: 1 } });
    const next = reply.ok ? reply.page?.next_cursor : undefined;
    if (!next) throw new Error(`${operation} has no second page.`);
    return next;
  }

  beforeAll(async () => {
    other = await newRoom();
    for (const { room_id, admin } of [world, other]) {
      const now = new Date().toISOString();
      for (const n of [1, 2])
        await appendMessage({ room_id, sender_id: admin, client_message_id: `c${n}`, text: 'x', now });
      await data('createRoom', { as: admin, body: { name: 'second' } });
      for (const n of [1, 2]) {
        const edited = await appendMessage({ room_id, sender_id: admin, client_message_id: `e${n}`, text: 'x', now });
        const params = { room_id, message_id: edited.message_id };
        await data('editMessage', { as: admin, params, body: { text: 'y' } });
      }
    }
    for (const operation of lists) cursors.set(operation, await cursorOf(operation, world));
    expect(cursors.size).toBe(4);
  });

  test.each(lists)('%s: continues from the same position each time it is used', async (operation) => {
    const cursor = cursors.get(operation) ?? '';
    const request = { ...goodFor(operation), query: { cursor, limit: 1 } };
    const first = await succeed(operation, request);
    expect((await succeed(operation, request)).data).toEqual(first.data);
  });

  test('listMessageChanges: accepts either `after` or a cursor', () =>
    refuses('listMessageChanges', [{ query: { after: 0, cursor: cursors.get('listMessageChanges') ?? '' } }]));

  test.each(lists)('%s: is rejected if it belongs to another list, room or user', async (operation) => {
    const foreign = [...cursors].filter(([of]) => of !== operation).map(([, cursor]) => cursor);
    await refuses(
      operation,
      [...foreign, await cursorOf(operation, other)].map((cursor) => ({ query: { cursor } })),
      'cursor',
    );
  });

  test.each(lists)('%s: is rejected if it was cut, re-encoded, padded or forged', (operation) => {
    const cursor = cursors.get(operation) ?? '';
    const bytes = Buffer.from(cursor, 'base64url');
    const position = bytes.subarray(16);
    const flipped = Buffer.from(bytes);
    flipped[0] = (flipped[0] ?? 0) ^ 1;
    const moved = Buffer.from(bytes);
    moved[moved.length - 1] = (moved.at(-1) ?? 0) ^ 1;
    const forged = [
      ...[cursor.slice(0, -1), cursor.slice(0, -4), cursor.slice(1), cursor.slice(0, 22), cursor.slice(0, 5), ''],
      ...[`${cursor}A`, `${cursor}=`, `${cursor}==`, ` ${cursor}`, `${cursor}\n`, `${cursor}.x`, `${cursor}${cursor}`],
      ...[bytes.toString('hex'), `${bytes.toString('base64')}==`, `${encodeURIComponent(cursor)}%3D`],
      ...[flipped.toString('base64url'), moved.toString('base64url')],
      Buffer.concat([Buffer.alloc(16), position]).toString('base64url'),
      Buffer.concat([bytes.subarray(0, 16), Buffer.from('x')]).toString('base64url'),
      ...[position.toString(), position.toString('base64url'), 'null', '0', 'eyJQSyI6IlJPT00jMSJ9', '\0', '語', long],
      Buffer.from(JSON.stringify({ PK: `ROOM#${world.room_id}`, SK: 'ROOM' })).toString('base64url'),
    ];
    return refuses(
      operation,
      forged.filter((text) => text !== cursor).map((text) => ({ query: { cursor: text } })),
      'cursor',
    );
  });
});
