import { type ConversionConfig, type JsonSchema, toJsonSchema, toJsonSchemaDefs } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import * as answers from '../../core/contract/answers.ts';
import { ERRORS, type ErrorCode } from '../../core/contract/errors.ts';
import { capital } from '../../core/contract/names.ts';
import { COMMON_ERRORS, type Route } from '../../core/contract/route.ts';
import { CONTRACT_VERSION } from '../../core/contract/version.ts';
import { isJsonObject } from '../../core/rules/json.ts';
import { isIsoTime } from '../../core/rules/time.ts';
import { openapi30 } from './openapi-30.ts';
import type { OpenApiDocument, Operation } from './openapi-document.ts';
import {
  ANSWER_EXAMPLES,
  ANSWER_FORMATS,
  ANSWER_TEXTS,
  BODY_EXAMPLES,
  DATA_EXAMPLES,
  FIELDS,
  INTRODUCTION,
  ISSUE_EXAMPLES,
  SECURITY,
  SENT_AT,
  TAGS,
} from './openapi-texts.ts';

type Json = Readonly<Record<string, unknown>>;
type AnySchema = v.GenericSchema<unknown, unknown>;

const ref = (kind: 'examples' | 'headers' | 'schemas', name: string) => ({ $ref: `#/components/${kind}/${name}` });
const keysOf = <Key extends string>(table: Readonly<Record<Key, unknown>>): Key[] => Object.keys(table) as Key[];
/** Compares by code units, so that the document does not depend on the locale. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/* Schemas */

/** Valibot actions that are not converted to JSON Schema, because the texts describe them. All others must be convertible. */
const UNDOCUMENTED_ACTIONS = new Set([
  'partial_check',
  'check',
  'check_items',
  'to_lower_case',
  'to_upper_case',
  'transform',
]);

const nullable = (schema: JsonSchema): JsonSchema | undefined => {
  const [of, none] = schema.anyOf ?? [];
  if (typeof of !== 'object' || typeof of.type !== 'string' || of.enum || typeof none !== 'object') return undefined;
  const { anyOf: _, ...rest } = schema;
  return none.type === 'null' ? { ...rest, ...of, type: [of.type, 'null'] } : undefined;
};

/** Whether a schema is `jsonObject`, which valibot cannot convert because it is a function. */
export const isJsonObjectSchema = (schema: object): boolean => 'check' in schema && schema.check === isJsonObject;
/** An object with any fields. */
export const ANY_OBJECT: JsonSchema = { type: 'object', additionalProperties: {} };

export const CONVERSION: ConversionConfig = {
  target: 'draft-2020-12',
  errorMode: 'throw',
  overrideRef: ({ referenceId }) => ref('schemas', referenceId).$ref,
  overrideSchema: ({ valibotSchema, jsonSchema }) => {
    if (isJsonObjectSchema(valibotSchema)) return ANY_OBJECT;
    return valibotSchema.type === 'nullable' || valibotSchema.type === 'nullish' ? nullable(jsonSchema) : undefined;
  },
  overrideAction: ({ valibotAction, jsonSchema }) => {
    if ('requirement' in valibotAction && valibotAction.requirement === isIsoTime)
      return { ...jsonSchema, format: 'date-time' };
    if (UNDOCUMENTED_ACTIONS.has(valibotAction.type)) return jsonSchema;
    if (valibotAction.type !== 'regex' || !('requirement' in valibotAction)) return undefined;
    const pattern: unknown = valibotAction.requirement;
    // JSON Schema has no flags for patterns, which are always Unicode patterns.
    if (!(pattern instanceof RegExp) || !['', 'u'].includes(pattern.flags)) return undefined;
    if (!jsonSchema.pattern || jsonSchema.pattern === pattern.source) return { ...jsonSchema, pattern: pattern.source };
    return { ...jsonSchema, allOf: [...(jsonSchema.allOf ?? []), { pattern: pattern.source }] };
  },
};

/** Returns the text of a field. A text for this owner takes precedence over the general one. */
const textOf = (owner: string, field: string) => FIELDS[`${owner}.${field}`] ?? FIELDS[field];

const described = (owner: string, schema: JsonSchema, extra: Readonly<Record<string, object>> = {}): JsonSchema => ({
  ...schema,
  ...(schema.properties && {
    properties: Object.fromEntries(
      Object.entries(schema.properties).map(([field, property]) => {
        if (typeof property === 'boolean') return [field, property];
        const text = textOf(owner, field)?.description;
        return [field, { ...property, ...extra[field], ...(text && { description: text }) }];
      }),
    ),
  }),
});

/** Names of enums that occur in several places, so that generated clients have one type for each. */
const NAMED_ENUMS: Readonly<Record<string, JsonSchema>> = {
  RoomStatus: {
    type: 'string',
    enum: ['booked', 'started', 'ended'],
    description: 'Status of a room: follows from `start_time`, `end_time` and the current time.',
  },
};

function namedEnum({ enum: values, type: _, ...rest }: JsonSchema): JsonSchema | undefined {
  const found = Object.entries(NAMED_ENUMS).find(([, named]) => String(named.enum) === String(values));
  return found && values ? { ...ref('schemas', found[0]), ...rest } : undefined;
}

const withNamedEnums = (schema: JsonSchema): JsonSchema => ({
  ...schema,
  ...(schema.properties && {
    properties: Object.fromEntries(
      Object.entries(schema.properties).map(([field, property]) => [
        field,
        typeof property === 'boolean' ? property : (namedEnum(property) ?? property),
      ]),
    ),
  }),
});

function requestSchema(owner: string, schema: AnySchema): JsonSchema {
  const { $schema: _, ...rest } = toJsonSchema(schema, { ...CONVERSION, typeMode: 'input' });
  return described(owner, withNamedEnums(rest.required?.length === 0 ? omit(rest, 'required') : rest));
}

function omit<T extends object, K extends keyof T>(object: T, key: K): Omit<T, K> {
  const { [key]: _, ...rest } = object;
  return rest;
}

/** The name of each response schema that `answers.ts` exports, such as `MyRoom` for `myRoom`. */
const answerNames = new Map<AnySchema, string>(Object.entries(answers).map(([name, schema]) => [schema, name]));

function answerSchemas(): Record<string, JsonSchema> {
  const byName = [...answerNames].map(([schema, name]) => [capital(name), schema] as const);
  const named = Object.fromEntries(byName.sort(([a], [b]) => compare(a, b)));
  const schemas = toJsonSchemaDefs(named, { ...CONVERSION, typeMode: 'output' });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      described(name, { description: ANSWER_TEXTS[name], ...withNamedEnums(schema) }, ANSWER_FORMATS),
    ]),
  );
}

const SENT_AT_SCHEMA: JsonSchema = {
  type: 'string',
  format: 'date-time',
  description: 'When the service sent the response.',
};

const ENVELOPE_SCHEMAS: Readonly<Record<string, JsonSchema & Json>> = {
  Page: {
    type: 'object',
    description: 'Position of a page in its list.',
    required: ['size', 'next_cursor'],
    properties: {
      size: { type: 'integer', minimum: 0, description: 'Number of items in this page.' },
      next_cursor: {
        type: ['string', 'null'],
        description: 'Send it as `cursor` to get the next page. `null` on the last page.',
      },
    },
  },
  ErrorCode: {
    type: 'string',
    // Not an `enum`, because generated clients would reject the codes of later versions.
    'x-extensible-enum': Object.keys(ERRORS),
    description: 'Stable, machine-readable reason. Later versions may add codes.',
  },
  Issue: {
    type: 'object',
    description: 'One problem with a request.',
    required: ['code', 'message'],
    properties: {
      code: ref('schemas', 'ErrorCode'),
      message: { type: 'string', description: 'Explanation for people. It may change.' },
      path: {
        type: 'string',
        description: 'The field, parameter or header that is invalid, such as `participant_ids.3`.',
      },
    },
  },
  Error: {
    type: 'object',
    description:
      'A failure. The service always sends `errors` and `sent_at`. Responses that API Gateway makes itself, such as the 401 for an ' +
      'expired token, have only `message`.',
    required: ['message'],
    properties: {
      message: { type: 'string', description: 'Explanation for people. It may change.' },
      errors: { type: 'array', minItems: 1, items: ref('schemas', 'Issue'), description: 'One entry per problem.' },
      sent_at: SENT_AT_SCHEMA,
    },
  },
};

/* Requests */

type ParameterLocation = 'path' | 'query' | 'header';

function parameters(route: Route): Json[] {
  const groups: readonly (readonly [ParameterLocation, AnySchema | undefined, object | undefined])[] = [
    ['path', route.params, route.example.params],
    ['query', route.query, route.example.query],
    ['header', route.headers, route.example.headers],
  ];
  return groups.flatMap(([where, schema, examples]) => {
    if (!schema) return [];
    const { properties = {}, required = [] } = requestSchema(route.operation, schema);
    const given: Json = { ...examples };
    return Object.entries(properties).map(([name, property]) => {
      if (typeof property === 'boolean') throw new Error(`${route.operation}: parameter ${name} has no schema.`);
      const { description, ...rest } = property;
      const isArray = rest.type === 'array';
      const example = textOf(route.operation, name)?.example;
      return {
        // HTTP header names are case-insensitive; this is the usual spelling.
        name: where === 'header' ? name.split('-').map(capital).join('-') : name,
        in: where,
        required: where === 'path' || required.includes(name),
        description,
        ...(isArray && { style: 'form', explode: true }),
        // Reference pages put `example` into the request. So examples of optional parameters are in another field.
        schema: name in given || example === undefined ? rest : { ...rest, examples: [example] },
        ...(name in given && { example: given[name] }),
      };
    });
  });
}

const bodyName = (operation: string): string => `${capital(operation)}Body`;
const fieldsOf = (schema: JsonSchema): string[] => Object.keys(schema.properties ?? {});

/** Returns the body of a route, unless it has none or only an empty one. */
function bodySchema({ operation, body }: Route): JsonSchema | undefined {
  const schema = body && requestSchema(operation, body);
  return schema && fieldsOf(schema).length > 0 ? schema : undefined;
}

const isProperPart = (part: JsonSchema, whole: JsonSchema): boolean =>
  fieldsOf(part).length < fieldsOf(whole).length && fieldsOf(part).every((field) => fieldsOf(whole).includes(field));

/**
 * Returns the schemas of request bodies by name. If a body has all fields of another body of the same path and more, it is a `oneOf`: either
 * the other body, or the remaining fields. The service rejects both at once.
 */
function bodySchemas(routes: readonly Route[]): Record<string, JsonSchema> {
  const bodies = routes.flatMap((route) => {
    const schema = bodySchema(route);
    return schema ? [{ ...route, schema }] : [];
  });
  const named = bodies.flatMap(({ operation, path, schema }): [string, JsonSchema][] => {
    const name = bodyName(operation);
    const part = bodies.find((other) => other.path === path && isProperPart(other.schema, schema));
    // A body with a required field has only one meaning.
    if (!part || schema.required?.length) return [[name, schema]];
    const theirs = fieldsOf(part.schema);
    const rest = Object.entries(schema.properties ?? {}).filter(([field]) => !theirs.includes(field));
    return [
      [`${name}Fields`, { ...schema, properties: Object.fromEntries(rest), minProperties: 1 }],
      [name, { oneOf: [ref('schemas', `${name}Fields`), ref('schemas', bodyName(part.operation))] }],
    ];
  });
  return Object.fromEntries(named);
}

const lookUp = <T>(table: Readonly<Partial<Record<string, T>>>, key: string): T | undefined => table[key];

function requestBody(route: Route): Json | undefined {
  if (!bodySchema(route)) return undefined;
  return {
    required: !route.bodyOptional,
    content: {
      'application/json': {
        schema: ref('schemas', bodyName(route.operation)),
        examples: {
          ...(route.example.body && {
            example: { summary: 'Request of the example response', value: route.example.body },
          }),
          ...lookUp(BODY_EXAMPLES, route.operation),
        },
      },
    },
  };
}

/* Answers */

function dataName({ operation, data }: Route): string {
  const name = answerNames.get(data);
  if (name === undefined) throw new Error(`${operation}: name its data in answers.ts.`);
  return capital(name);
}

const envelopeName = (route: Route): string => `${dataName(route)}${route.list ? 'List' : 'Result'}`;

function envelope(route: Route): JsonSchema {
  const one = ref('schemas', dataName(route));
  return {
    type: 'object',
    required: route.list ? ['data', 'page', 'sent_at'] : ['data', 'sent_at'],
    properties: {
      data: route.list ? { type: 'array', items: one, description: 'The items of this page.' } : one,
      ...(route.list && { page: ref('schemas', 'Page') }),
      sent_at: SENT_AT_SCHEMA,
    },
  };
}

function envelopes(routes: readonly Route[]): Record<string, JsonSchema> {
  const named = routes.map((route) => [envelopeName(route), envelope(route)] as const);
  return Object.fromEntries(named.toSorted(([a], [b]) => compare(a, b)));
}

function dataExample(route: Route): unknown {
  const own = lookUp<unknown>(DATA_EXAMPLES, route.operation);
  if (own !== undefined) return own;
  const name = answerNames.get(route.data);
  const one: unknown = name && lookUp<unknown>(ANSWER_EXAMPLES, name);
  return route.list && one !== undefined ? [one] : one;
}

function success(route: Route): Json {
  const data = dataExample(route);
  const size = Array.isArray(data) ? data.length : 0;
  return {
    description: route.status === 201 ? 'Created.' : 'Success.',
    content: {
      'application/json': {
        schema: ref('schemas', envelopeName(route)),
        example: { data, ...(route.list && { page: { size, next_cursor: null } }), sent_at: SENT_AT },
      },
    },
  };
}

/* Failures */

/** Messages of API Gateway for requests that it rejects itself, or for which the service returns no response. */
const GATEWAY_MESSAGES: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  413: 'Request Entity Too Large',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** Returns the error codes of a route by status, in the order of ERRORS. */
function codesByStatus(route: Route): Map<number, ErrorCode[]> {
  const possible = new Set<string>([...route.errors, ...COMMON_ERRORS]);
  const codes = keysOf(ERRORS).filter((code) => possible.has(code));
  return Map.groupBy(codes, (code) => ERRORS[code].status);
}

function failureExample(code: ErrorCode): Json {
  const { message } = ERRORS[code];
  const issues = ISSUE_EXAMPLES[code] ?? [{ message }];
  return { message, errors: issues.map((issue) => ({ code, ...issue })), sent_at: SENT_AT };
}

const gatewayExample = (status: number): string => `gateway_${status}`;

/** An example of each failure: those of the service by code, those of API Gateway by status. */
const failureExamples = (): Record<string, Json> => ({
  ...Object.fromEntries(
    keysOf(ERRORS).map((code) => [code, { summary: ERRORS[code].message, value: failureExample(code) }]),
  ),
  ...Object.fromEntries(
    Object.entries(GATEWAY_MESSAGES).map(([status, message]) => [
      gatewayExample(Number(status)),
      { summary: 'From API Gateway itself', value: { message } },
    ]),
  ),
});

/** One schema for every failure. The description and `x-error-codes` list the codes of a route. */
function failure(status: number, codes: readonly ErrorCode[]): Json {
  const gateway = GATEWAY_MESSAGES[status];
  const said = codes.map((code) => `\`${code}\`: ${ERRORS[code].message}`);
  const gatewaySaid = `API Gateway itself responds with \`{"message": "${gateway}"}\`.`;
  return {
    description: [...said, ...(gateway ? [gatewaySaid] : [])].join('\n\n'),
    'x-error-codes': codes,
    ...((status === 429 || status === 503) && { headers: { 'Retry-After': ref('headers', 'RetryAfter') } }),
    content: {
      'application/json': {
        schema: ref('schemas', 'Error'),
        examples: {
          ...Object.fromEntries(codes.map((code) => [code, ref('examples', code)])),
          ...(gateway && { gateway: ref('examples', gatewayExample(status)) }),
        },
      },
    },
  };
}

/* The document */

function operation(route: Route): Operation {
  const params = parameters(route);
  const body = requestBody(route);
  const failures = [...codesByStatus(route)].map(
    ([status, codes]) => [String(status), failure(status, codes)] as const,
  );
  return {
    operationId: route.operation,
    tags: [TAGS[route.set].name],
    summary: route.summary,
    description: route.description,
    ...(params.length > 0 && { parameters: params }),
    ...(body && { requestBody: body }),
    responses: { [route.status]: success(route), ...Object.fromEntries(failures) },
  };
}

function paths(routes: readonly Route[]): Record<string, Record<string, Operation>> {
  const all: Record<string, Record<string, Operation>> = {};
  for (const route of routes) all[route.path] = { ...all[route.path], [route.method.toLowerCase()]: operation(route) };
  return all;
}

const METHODS: readonly Route['method'][] = ['GET', 'POST', 'PATCH', 'DELETE'];
const SETS = Object.keys(TAGS);

/** Sorts by set of APIs, then path, then method, whatever the order of the table. */
const sortedRoutes = (routes: readonly Route[]): Route[] =>
  routes.toSorted(
    (a, b) =>
      SETS.indexOf(a.set) - SETS.indexOf(b.set) ||
      compare(a.path, b.path) ||
      METHODS.indexOf(a.method) - METHODS.indexOf(b.method),
  );

const errorTable = (): string =>
  [
    '| Status | Code | Meaning |',
    '|---|---|---|',
    ...Object.entries(ERRORS).map(([code, { status, message }]) => `| ${status} | \`${code}\` | ${message} |`),
  ].join('\n');

/**
 * Returns the OpenAPI 3.1 document of a route table.
 *
 * @throws if JSON Schema cannot express a schema
 */
export function openapi(table: readonly Route[]): OpenApiDocument {
  const routes = sortedRoutes(table);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Rooms',
      version: CONTRACT_VERSION,
      summary: 'Room management for real-time collaboration.',
      description: INTRODUCTION.replace('__ERROR_TABLE__', errorTable()),
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:4000', description: 'The local stack (npm start)' }],
    tags: Object.values(TAGS).map((tag) => ({ ...tag })),
    security: [{ iams: [] }],
    paths: paths(routes),
    components: {
      schemas: {
        ...answerSchemas(),
        ...envelopes(routes),
        ...bodySchemas(routes),
        ...NAMED_ENUMS,
        ...ENVELOPE_SCHEMAS,
      },
      examples: failureExamples(),
      headers: {
        RetryAfter: {
          description: 'Seconds to wait before the next attempt. API Gateway itself does not send this header.',
          schema: { type: 'integer', minimum: 1 },
          example: 2,
        },
      },
      securitySchemes: { iams: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: SECURITY } },
    },
  };
}

/** Returns the OpenAPI 3.0 document as the text of a file. */
export const openapi30Text = (routes: readonly Route[]): string =>
  `${JSON.stringify(openapi30(openapi(routes)), null, 2)}\n`;

/** Returns the document as the text of a file. */
export const openapiText = (routes: readonly Route[]): string => `${JSON.stringify(openapi(routes), null, 2)}\n`;
