import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERRORS } from '../../core/contract/errors.ts';
import { allRoutes, routes } from '../../core/contract/index.ts';
import { COMMON_ERRORS, type Route } from '../../core/contract/route.ts';
import { CONTRACT_VERSION } from '../../core/contract/version.ts';
import { docsRoutes } from '../../local/docs.ts';
import { openapi, openapi30Text, openapiText } from '../../tools/generate/openapi.ts';
import { openapi30 } from '../../tools/generate/openapi-30.ts';

const ROOT = resolve(import.meta.dirname, '../..');

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);
const node = (value: unknown): Node => (isNode(value) ? value : {});

/** The document as readers get it: parsed from its text. */
const document = node(JSON.parse(openapiText(allRoutes)));

const escaped = (key: string): string => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'));
const at = (pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .reduce<unknown>(
      (value, key) => node(value)[decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~')],
      document,
    );
const resolved = (value: unknown): Node => {
  const { $ref } = node(value);
  return typeof $ref === 'string' ? resolved(at($ref.slice(1))) : node(value);
};

/** Yields every object in the document with its pointer. */
function* walk(value: unknown, pointer = ''): Generator<[string, Node]> {
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* walk(item, `${pointer}/${i}`);
  if (!isNode(value)) return;
  yield [pointer, value];
  for (const [key, item] of Object.entries(value)) yield* walk(item, `${pointer}/${escaped(key)}`);
}

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
addFormats.default(ajv);
// The document itself is not a schema, but contains schemas.
ajv.addVocabulary([...Object.keys(document), 'x-extensible-enum']);
ajv.addSchema(document, 'document', undefined, false);
/** The validation error of a value for the schema at the pointer. Undefined if the value is valid. */
function faultsAt(pointer: string, value: unknown): string | undefined {
  const validate = ajv.getSchema(`document#${pointer}`);
  if (!validate) throw new Error(`There is no schema at ${pointer}.`);
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

const operationOf = (route: Route): Node => node(node(node(document.paths)[route.path])[route.method.toLowerCase()]);
const responsesOf = (route: Route): Node => node(operationOf(route).responses);
const jsonOf = (value: unknown): Node => node(node(resolved(value).content)['application/json']);

const byOperation = allRoutes.map((route) => [route.operation, route] as const);

describe('the OpenAPI document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  test('has the version, license, local server and bearer token', () => {
    expect(document.info).toMatchObject({ version: CONTRACT_VERSION, license: { identifier: 'Apache-2.0' } });
    expect(document.servers).toEqual([expect.objectContaining({ url: 'http://127.0.0.1:4000' })]);
    expect(document.security).toEqual([{ iams: [] }]);
    expect(at('/components/securitySchemes/iams')).toMatchObject({
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
    });
  });

  test('has every route of the contract and nothing else', () => {
    const found = Object.entries(node(document.paths)).flatMap(([path, methods]) =>
      Object.keys(node(methods)).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(found.sort()).toEqual(allRoutes.map(({ method, path }) => `${method} ${path}`).sort());
  });

  test('has unique operation ids, and each operation in its set of APIs', () => {
    const ids = allRoutes.map((route) => operationOf(route).operationId);
    expect(new Set(ids).size).toBe(allRoutes.length);
    expect(ids).toEqual(allRoutes.map(({ operation }) => operation));
    const tags = (document.tags as Node[]).map(({ name }) => String(name).toLowerCase());
    expect(tags.sort()).toEqual([...new Set(allRoutes.map(({ set }) => set))].sort());
    for (const route of allRoutes)
      expect((operationOf(route).tags as string[]).map((tag) => tag.toLowerCase())).toEqual([route.set]);
  });

  test('lists every error code with its status and meaning', () => {
    expect(at('/components/schemas/ErrorCode/x-extensible-enum')).toEqual(Object.keys(ERRORS));
    for (const [code, { status, message }] of Object.entries(ERRORS))
      expect(node(document.info).description).toContain(`| ${status} | \`${code}\` | ${message} |`);
  });

  test.each(byOperation)('%s has its success response and exactly its error codes', (_, route) => {
    const codes: string[] = [...route.errors, ...COMMON_ERRORS];
    const responses = responsesOf(route);
    const statuses = new Set([...codes.map((code) => Object.entries(ERRORS).find(([c]) => c === code)?.[1].status)]);
    expect(Object.keys(responses).map(Number).sort()).toEqual([route.status, ...statuses].sort());

    const found: string[] = [];
    for (const [status, response] of Object.entries(responses)) {
      if (Number(status) === route.status) continue;
      for (const [name, example] of Object.entries(node(jsonOf(response).examples))) {
        const value = node(resolved(example).value);
        if (name === 'gateway') {
          expect(Object.keys(value)).toEqual(['message']);
          continue;
        }
        found.push(name);
        expect(value.errors).toEqual(
          (value.errors as Node[]).map(() => expect.objectContaining({ code: name, message: expect.any(String) })),
        );
        expect(resolved(response).description).toContain(`\`${name}\``);
      }
      const own = Object.keys(node(jsonOf(response).examples)).filter((name) => name !== 'gateway');
      expect(resolved(response)['x-error-codes']).toEqual(own);
      expect(jsonOf(response).schema).toEqual({ $ref: '#/components/schemas/Error' });
    }
    expect(found.sort()).toEqual(codes.sort());
  });

  test.each([401, 413, 429, 500, 503])('has the response format of API Gateway itself for %i', (status) => {
    const route = routes.createRoom;
    const json = jsonOf(responsesOf(route)[status]);
    const messages: Record<number, string> = {
      401: 'Unauthorized',
      413: 'Request Entity Too Large',
      429: 'Too Many Requests',
      500: 'Internal Server Error',
      503: 'Service Unavailable',
    };
    expect(resolved(node(json.examples).gateway)).toMatchObject({ value: { message: messages[status] } });
  });

  test('declares Retry-After for 503', () => {
    for (const route of allRoutes)
      expect(node(resolved(responsesOf(route)[503]).headers)).toHaveProperty('Retry-After');
  });

  test('has examples that match their own schemas', () => {
    const seen = { single: 0, named: 0, inSchemas: 0 };
    const faults: string[] = [];
    const check = (pointer: string, value: unknown) => {
      const fault = faultsAt(pointer, value);
      if (fault) faults.push(`${pointer}: ${fault}`);
    };
    for (const [pointer, { schema, example, examples }] of walk(document)) {
      if (schema && example !== undefined) {
        seen.single++;
        check(`${pointer}/schema`, example);
      }
      if (schema && isNode(examples)) {
        for (const one of Object.values(examples)) {
          seen.named++;
          check(`${pointer}/schema`, resolved(one).value);
        }
      }
      if (Array.isArray(examples)) {
        for (const one of examples) {
          seen.inSchemas++;
          check(pointer, one);
        }
      }
    }
    expect(faults).toEqual([]);
    expect(seen.single).toBeGreaterThan(allRoutes.length);
    expect(seen.named).toBeGreaterThan(Object.keys(ERRORS).length);
    expect(seen.inSchemas).toBeGreaterThan(0);
  });

  test.each(byOperation)('%s has an example response, with only fields of the schema', (_, route) => {
    const { example, schema } = jsonOf(responsesOf(route)[route.status]);
    const { data, page } = node(example);
    const described = node(resolved(schema).properties).data;
    const of = resolved(route.list ? node(described).items : described);
    const items = route.list ? data : [data];
    expect(items).not.toEqual([]);
    for (const item of items as Node[])
      expect(Object.keys(item).sort()).toEqual(Object.keys(node(of.properties)).sort());
    if (route.list) expect(page).toEqual({ size: (items as Node[]).length, next_cursor: null });
    else expect(page).toBeUndefined();
  });

  test.each(byOperation)('%s has its parameters, each with a description, and an example', (_, route) => {
    const parameters = (operationOf(route).parameters ?? []) as Node[];
    const expected = [
      ...Object.keys(route.params?.entries ?? {}).map((name) => `path ${name}`),
      ...Object.keys(route.query?.entries ?? {}).map((name) => `query ${name}`),
      ...Object.keys(route.headers?.entries ?? {}).map((name) => `header ${name}`),
    ];
    expect(parameters.map((p) => `${p.in} ${String(p.name).toLowerCase()}`)).toEqual(expected);
    for (const { name, description, schema, example } of parameters) {
      expect(description, `describe ${name} in FIELDS of tools/generate/openapi-texts.ts`).toMatch(/^\S.*\.$/);
      const { examples, enum: choices } = resolved(schema);
      const has = example !== undefined || examples !== undefined || choices !== undefined;
      const isOptionalNumber = node(schema).default !== undefined;
      expect(has || isOptionalNumber, `give an example of ${name} in FIELDS of tools/generate/openapi-texts.ts`).toBe(
        true,
      );
    }
  });

  test('describes every field of every body and response', () => {
    const bare = Object.entries(node(at('/components/schemas'))).flatMap(([name, schema]) =>
      Object.entries(node(node(schema).properties))
        .filter(([, property]) => !resolved(property).description && !node(property).description)
        .map(([field]) => `${name}.${field}`),
    );
    expect(bare, 'describe these in FIELDS of tools/generate/openapi-texts.ts').toEqual([]);
  });

  test('declares the query parameter for several participants as repeated', () => {
    const parameters = operationOf(routes.removeParticipants).parameters as Node[];
    expect(parameters.find(({ in: where }) => where === 'query')).toMatchObject({
      name: 'participant_id',
      style: 'form',
      explode: true,
      schema: { type: 'array', minItems: 1, maxItems: 50, items: { maxLength: 128, pattern: expect.any(String) } },
    });
  });

  const long = (length: number): string => 'x'.repeat(length);
  const bodies: readonly (readonly [string, Route, readonly unknown[]])[] = [
    [
      'createRoom',
      routes.createRoom,
      [
        { name: 'a' },
        { name: '日本語 🚀' },
        {},
        { name: '' },
        { name: '   ' },
        { name: '\u200b\u200d' },
        { name: 'a\u0000b' },
        { name: 'a\nb' },
        { name: long(200) },
        { name: long(201) },
        { name: 1 },
        { name: null },
        { name: 'a', nmae: 'b' },
        { name: 'a', description: null },
        { name: 'a', description: 'one\ntwo' },
        { name: 'a', description: '\u0007' },
        { name: 'a', start_time: '2026-03-01T09:30:00.000Z' },
        { name: 'a', start_time: '2026-03-01T09:30:00+01:00' },
        { name: 'a', start_time: '2026-03-01' },
        { name: 'a', start_time: '2026-02-30T09:30:00Z' },
        { name: 'a', start_time: 'soon' },
        { name: 'a', start_time: 1 },
        { name: 'a', end_time: null },
        { name: 'a', participant_ids: [] },
        { name: 'a', participant_ids: Array.from({ length: 50 }, (_, i) => `u${i}`) },
        { name: 'a', participant_ids: Array.from({ length: 51 }, (_, i) => `u${i}`) },
        { name: 'a', participant_ids: ['ROOM#1'] },
        { name: 'a', participant_ids: [''] },
        { name: 'a', participant_ids: [long(129)] },
        { name: 'a', participant_ids: 'u1' },
        [],
        null,
        'text',
      ],
    ],
    [
      'changeRoom',
      routes.changeRoom,
      [
        {},
        { name: 'a' },
        { name: '\u200b' },
        { description: null },
        { start_time: null },
        { end_time: null },
        { reason: 'done' },
        { reason: long(501) },
        { time_left_in_seconds: 0 },
        { time_left_in_seconds: -1 },
        { time_left_in_seconds: 1.5 },
        { time_left_in_seconds: 31_536_001 },
        { time_left_in_seconds: '5' },
        { time_left_in_seconds: 5, reason: 'done' },
        { name: 'a', reason: 'done' },
        { end_time: null, time_left_in_seconds: 5 },
        { nmae: 'a' },
      ],
    ],
    ['endRoom', routes.endRoom, [{}, { reason: 'done' }, { name: 'a' }, { time_left_in_seconds: -1 }]],
    ['addParticipants', routes.addParticipants, [{ participant_ids: ['a'] }, { participant_ids: [] }, {}]],
    ['removeParticipants', routes.removeParticipants, [{ participant_ids: ['a'] }, { participant_ids: [] }, {}]],
    [
      'updateProfile',
      routes.updateProfile,
      [{}, { username: 'A' }, { username: null }, { archive_room: true }, { archive_room: null }, { archive_room: 1 }],
    ],
  ];
  test.each(bodies)('%s: the document and the service accept the same bodies', (_, route, samples) => {
    if (!route.body) throw new Error('This route has no body.');
    const pointer = `/paths/${escaped(route.path)}/${route.method.toLowerCase()}/requestBody/content/application~1json/schema`;
    const verdicts = samples.map((sample) => [sample, faultsAt(pointer, sample) === undefined] as const);
    const { body } = route;
    expect(verdicts).toEqual(samples.map((sample) => [sample, v.safeParse(body, sample).success]));
    expect(new Set(verdicts.map(([, good]) => good)).size, 'samples of both kinds').toBe(2);
  });

  test('rejects a schema that cannot be described', () => {
    const date = { ...routes.updateProfile, body: v.strictObject({ day: v.date() }) };
    expect(() => openapi([date])).toThrow('date');
    const flagged = { ...routes.updateProfile, body: v.strictObject({ day: v.pipe(v.string(), v.regex(/^a$/i)) }) };
    expect(() => openapi([flagged])).toThrow('flags');
  });
});

describe('the OpenAPI 3.0 document', () => {
  const old = node(JSON.parse(openapi30Text(allRoutes)));

  test('is valid OpenAPI 3.0', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(old))).toEqual({ valid: true });
    expect(validator.version).toBe('3.0');
  });

  test('has the same operations, parameters and schemas', () => {
    const shapeOf = (value: Node) =>
      [...walk(value.paths)].flatMap(([, { operationId, name, in: where }]) => operationId ?? (where ? [name] : []));
    expect(shapeOf(old)).toEqual(shapeOf(document));
    expect(Object.keys(node(node(old.components).schemas))).toEqual(Object.keys(node(at('/components/schemas'))));
  });

  test('allows null where the 3.1 document does', () => {
    const nullable = (schema: Node): boolean =>
      schema.nullable === true ||
      (Array.isArray(schema.type) && schema.type.includes('null')) ||
      (Array.isArray(schema.anyOf) && schema.anyOf.some((choice) => node(choice).type === 'null'));
    const nullableFields = (schemas: unknown) =>
      Object.entries(node(schemas)).flatMap(([name, schema]) =>
        Object.entries(node(node(schema).properties))
          .filter(([, property]) => nullable(node(property)))
          .map(([field]) => `${name}.${field}`),
      );
    const found = nullableFields(node(old.components).schemas);
    expect(found).toContain('Message.attachment');
    expect(found).toEqual(nullableFields(at('/components/schemas')));
  });

  test('rejects a schema that cannot be translated', () => {
    const odd = structuredClone(openapi(allRoutes));
    Object.assign(Object(odd.components.schemas.Room), { contains: {} });
    expect(() => openapi30(odd)).toThrow('"contains" has no translation to OpenAPI 3.0.');
  });
});

describe('the files in docs', () => {
  test.each([
    ['openapi.json', openapiText],
    ['openapi-3.0.json', openapi30Text],
  ])('%s matches the contract', async (file, text) => {
    const found = await readFile(join(ROOT, 'docs', file), 'utf8');
    expect(found === text(allRoutes), `docs/${file} is stale: run "npm run openapi" and commit it`).toBe(true);
  });
});

describe('npm run openapi', () => {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rooms-openapi-'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  const run = async (...args: string[]) => {
    try {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [join(ROOT, 'tools/generate/commands/openapi.ts'), ...args],
        {
          cwd: dir,
        },
      );
      return { code: 0, output: stdout };
    } catch (error) {
      const { code, stderr } = node(error);
      return { code, output: stderr };
    }
  };

  test('writes the document, and reports a missing or stale one', async () => {
    expect(await run('--check', 'api.json')).toEqual({
      code: 1,
      output: 'Out of date: api.json (missing), api-3.0.json (missing). Run "npm run openapi" and commit the output.\n',
    });
    expect(await run('api.json')).toEqual({ code: 0, output: 'Wrote api.json, api-3.0.json.\n' });
    expect(await readFile(join(dir, 'api.json'), 'utf8')).toBe(openapiText(allRoutes));
    expect(await run('--check', 'api.json')).toEqual({ code: 0, output: 'Up to date.\n' });
    await writeFile(join(dir, 'api.json'), '{}');
    expect(await run('--check', 'api.json')).toEqual({
      code: 1,
      output: 'Out of date: api.json. Run "npm run openapi" and commit the output.\n',
    });
    expect(await readFile(join(dir, 'api.json'), 'utf8')).toBe('{}');
  });

  test('has --help, and rejects unknown options', async () => {
    expect(await run('--help')).toMatchObject({ code: 0, output: expect.stringContaining('--check') });
    expect(await run('--chekc')).toMatchObject({
      code: 2,
      output: expect.stringContaining("Unknown option '--chekc'"),
    });
    expect(await run('a', 'b')).toMatchObject({ code: 1, output: expect.stringContaining('one file') });
  });
});

describe('the API reference of the local stack', () => {
  const handlers = docsRoutes();
  const server = createServer((req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://localhost');
    const handler = handlers[pathname];
    if (handler) handler(req, res);
    else res.writeHead(404).end();
  });
  let origin = '';
  beforeAll(async () => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test.each([
    ['/openapi.json', 'application/json'],
    ['/docs', 'text/html; charset=utf-8'],
    ['/docs/', 'text/html; charset=utf-8'],
    ['/docs/start.js', 'text/javascript; charset=utf-8'],
    ['/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
    ['/docs/swagger-ui.css', 'text/css; charset=utf-8'],
    ['/docs/favicon-32x32.png', 'image/png'],
  ])('serves %s as %s', async (path, type) => {
    const answer = await fetch(origin + path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe(type);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect((await answer.arrayBuffer()).byteLength).toBe(Number(answer.headers.get('content-length')));
  });

  test('serves the document with its own address as the server', async () => {
    const served = await (await fetch(`${origin}/openapi.json`)).json();
    expect(served).toEqual({ ...document, servers: [{ url: '/', description: expect.any(String) }] });
  });

  test('links only to files that it serves', async () => {
    const text =
      (await (await fetch(`${origin}/docs`)).text()) + (await (await fetch(`${origin}/docs/start.js`)).text());
    const references = [...text.matchAll(/(?:src|href)="([^"]*)"|url: '([^']*)'/g)].map(([, a, b]) => a ?? b ?? '');
    expect(references.length).toBeGreaterThan(3);
    for (const path of references) expect(handlers).toHaveProperty([path]);
  });

  test('responds to HEAD without a body', async () => {
    const head = await fetch(`${origin}/docs`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test.each(['/docs/..%2f..%2fpackage.json', '/docs/%2e%2e/package.json', '/docs/package.json', '/docs/index.html'])(
    'does not serve %s',
    async (path) => {
      expect((await fetch(origin + path)).status).toBe(404);
    },
  );
});
