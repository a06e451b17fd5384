import { readFileSync } from 'node:fs';
import { type ConversionConfig, type JsonSchema, toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import * as answers from '../../core/contract/answers.ts';
import { ERRORS } from '../../core/contract/errors.ts';
import { allRoutes } from '../../core/contract/index.ts';
import * as limits from '../../core/contract/limits.ts';
import { capital } from '../../core/contract/names.ts';
import { actions, DETACH_REASONS, events, FEEDS, joinedRoom, roomSeq } from '../../core/contract/realtime.ts';
import type { Route } from '../../core/contract/route.ts';
import { BEARER_SUB_PROTOCOL, SUB_PROTOCOL, SUB_PROTOCOL_V2 } from '../../core/contract/sub-protocols.ts';
import { ANY_OBJECT, isJsonObjectSchema } from './openapi.ts';
import { ANSWER_TEXTS, FIELDS } from './openapi-texts.ts';

/*
 * Generates the contract as TypeScript for the client SDK: the HTTP calls, the WebSocket frames and the events. The SDK is published
 * separately, so it cannot import the contract. The source is the schemas with which the service validates requests.
 */

type AnySchema = v.GenericSchema<unknown, unknown>;

const REALTIME = readFileSync(new URL('../../core/contract/realtime.ts', import.meta.url), 'utf8');

/** Returns the declaration of an interface of core/contract/realtime.ts, with its comments. */
function declarationOf(name: string): string {
  const [found] = new RegExp(`/\\*\\*[^\\n]*\\nexport interface ${name} \\{\\n[^}]*\\}\\n`).exec(REALTIME) ?? [];
  if (found === undefined)
    throw new Error(`core/contract/realtime.ts does not declare ${name} with a comment of one line.`);
  return (
    found
      .replace('DetachReason', union(DETACH_REASONS.map(quote)))
      // Allows callers with exactOptionalPropertyTypes to pass undefined.
      .replaceAll(/(\w+\?: )([^;]+);/g, '$1$2 | undefined;')
  );
}

const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
const key = (name: string): string => (/^[a-z_]\w*$/i.test(name) ? name : quote(name));
const comment = (text: string | undefined): string => (text ? `/** ${text.replaceAll('*/', '*\\/')} */\n` : '');

const definitions: Readonly<Record<string, AnySchema>> = {
  ...Object.fromEntries(Object.entries(answers).map(([name, schema]) => [capital(name), schema])),
  RoomSeq: roomSeq,
};
const answerNames = new Map<AnySchema, string>([
  ...Object.entries(definitions).map(([name, schema]): [AnySchema, string] => [schema, name]),
  [joinedRoom, 'JoinedRoom'],
]);

/** Ignores constraints that types cannot express, such as lengths and patterns. The service checks them. */
const CONVERSION: ConversionConfig = {
  target: 'draft-2020-12',
  errorMode: 'ignore',
  overrideRef: ({ referenceId }) => `#/$defs/${referenceId}`,
  overrideSchema: ({ valibotSchema }) => (isJsonObjectSchema(valibotSchema) ? ANY_OBJECT : undefined),
};

const jsonSchema = (schema: AnySchema, typeMode: 'input' | 'output'): JsonSchema =>
  toJsonSchema(schema, { ...CONVERSION, typeMode, ...(typeMode === 'output' && { definitions: { ...definitions } }) });

const union = (parts: readonly string[]): string => [...new Set(parts)].join(' | ');

/** Returns whether a record accepts any values. */
const isAny = (schema: JsonSchema['additionalProperties']): boolean =>
  schema === true || (typeof schema === 'object' && Object.keys(schema).length === 0);

/**
 * Returns the TypeScript type of a schema.
 *
 * @throws for a schema that is not supported, because the type would be wrong
 */
function printed(schema: JsonSchema | boolean, owner: string): string {
  if (typeof schema === 'boolean') throw new Error(`${owner} has a field without a type.`);
  if (schema.$ref) return schema.$ref.slice('#/$defs/'.length);
  if (schema.const !== undefined) return JSON.stringify(schema.const).replaceAll('"', "'");
  if (schema.enum) return union(schema.enum.map((value) => printed({ const: value }, owner)));
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return union(options.map((option) => printed(option, owner)));
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array': {
      if (Array.isArray(schema.items) || schema.items === undefined) break;
      const item = printed(schema.items, owner);
      return `readonly ${/\W/.test(item) ? `(${item})` : item}[]`;
    }
    case 'object':
      if (isAny(schema.additionalProperties)) return 'Readonly<Record<string, unknown>>';
      return typeof schema.additionalProperties === 'object'
        ? `Readonly<Record<string, ${printed(schema.additionalProperties, owner)}>>`
        : `{\n${fields(schema, owner)}}`;
  }
  throw new Error(`${owner}: cannot print ${JSON.stringify(schema)} as a type.`);
}

const optional = (type: string): string => `${type} | undefined`;

function fields(schema: JsonSchema, owner: string, skip: ReadonlySet<string> = new Set()): string {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {})
    .filter(([name]) => !skip.has(name))
    .map(([name, property]) => {
      const type = printed(property, `${owner}.${name}`);
      const doc = comment((FIELDS[`${owner}.${name}`] ?? FIELDS[name])?.description);
      // Allows callers with exactOptionalPropertyTypes to pass undefined.
      return `${doc}readonly ${key(name)}${required.has(name) ? `: ${type}` : `?: ${optional(type)}`};\n`;
    })
    .join('');
}

const hasFields = (schema: JsonSchema): boolean => Object.keys(schema.properties ?? {}).length > 0;

const declared = (name: string, schema: JsonSchema, doc: string | undefined, owner = name): string =>
  schema.type === 'object'
    ? `${comment(doc)}export interface ${name} {\n${fields(schema, owner)}}\n`
    : `${comment(doc)}export type ${name} = ${printed(schema, owner)};\n`;

const ROOM_SEQ = 'The sequence number of the last event of each feed of a room. Only with `rooms.v2`.';

const answerTypes = (): string =>
  Object.entries(definitions)
    .map(([name, schema]) => {
      // With its own definition, the result would be a reference to itself.
      const { [name]: _, ...others } = definitions;
      const json = toJsonSchema(schema, { ...CONVERSION, typeMode: 'output', definitions: others });
      return declared(name, json, name === 'RoomSeq' ? ROOM_SEQ : ANSWER_TEXTS[name]);
    })
    .join('\n');

const dataType = (schema: AnySchema, owner: string): string =>
  answerNames.get(schema) ?? printed(jsonSchema(schema, 'output'), owner);

function requestTypes({ operation, summary, query, body }: Route): string {
  const parts: readonly (readonly [string, AnySchema | undefined, string])[] = [
    ['Query', query, 'query parameters'],
    ['Body', body, 'body'],
  ];
  return parts
    .map(([suffix, schema, what]) => {
      const json = schema && jsonSchema(schema, 'input');
      return json && hasFields(json)
        ? `${declared(capital(operation) + suffix, json, `${summary}: ${what}.`, operation)}\n`
        : '';
    })
    .join('');
}

const nameOf = (operation: string, suffix: string, schema: AnySchema | undefined): string =>
  schema && hasFields(jsonSchema(schema, 'input')) ? capital(operation) + suffix : 'NoFields';

const operationType = ({ operation, summary, params, query, body, data, list }: Route): string => {
  const paramsJson = params && jsonSchema(params, 'input');
  return `${comment(summary)}readonly ${operation}: {
    readonly params: ${paramsJson && hasFields(paramsJson) ? `{ ${fields(paramsJson, operation).replaceAll(/\/\*\*.*?\*\/\n/g, '')} }` : 'NoFields'};
    readonly query: ${nameOf(operation, 'Query', query)};
    readonly body: ${nameOf(operation, 'Body', body)};
    readonly data: ${list ? `readonly ${dataType(data, operation)}[]` : dataType(data, operation)};
  };\n`;
};

const operationRow = ({ operation, method, path }: Route): string =>
  `${operation}: { method: ${quote(method)}, path: ${quote(path)} },\n`;

const ENVELOPE = new Set(['action', 'request_id']);

function frameType(action: string, frame: AnySchema): string {
  const own = fields(jsonSchema(frame, 'input'), action, ENVELOPE);
  return own ? `{\n${own}}` : 'NoFields';
}

const actionTypes = (): string =>
  Object.values(actions)
    .map(
      ({ action, summary, frame, data }) => `${comment(summary)}readonly ${action}: {
    readonly frame: ${frameType(action, frame)};
    readonly data: ${dataType(data, action)};
  };\n`,
    )
    .join('');

const eventTypes = (): string =>
  Object.entries(events)
    .map(([name, { summary, data }]) => `${comment(summary)}readonly ${name}: ${dataType(data, name)};\n`)
    .join('');

/** Returns `client/src/contract.ts` before formatting. */
export const clientContract = (): string => `/*
 * Generated from the contract of the service by "npm run client:generate". Do not edit.
 */

/** All error codes of the service, with their HTTP statuses. */
export const ERROR_STATUS = {
${Object.entries(ERRORS)
  .map(([code, { status, message }]) => `${comment(message)}${code}: ${status},\n`)
  .join('')}} as const;

/** An error code of the service. Codes are stable. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/** Maximum number of items in a page of a list. */
export const MAX_PAGE_SIZE = ${limits.MAX_PAGE_SIZE};
/** Maximum number of users that one call can add or remove. */
export const MAX_PARTICIPANTS_PER_CALL = ${limits.MAX_PARTICIPANTS_PER_CALL};
/** Maximum length of a message's text, in UTF-16 code units. */
export const MAX_MESSAGE_LENGTH = ${limits.MAX_MESSAGE_LENGTH};
/** Maximum length of a message's \`type\`, in UTF-16 code units. */
export const MAX_MESSAGE_TYPE_LENGTH = ${limits.MAX_MESSAGE_TYPE_LENGTH};
/** Maximum size of a message's \`data\` and of a room's \`metadata\` as JSON, in UTF-8 bytes. */
export const MAX_JSON_BYTES = ${limits.MAX_JSON_BYTES};
/** Maximum number of files in a message. */
export const MAX_ATTACHMENTS = ${limits.MAX_ATTACHMENTS};
/** Maximum size of a WebSocket frame, in UTF-8 bytes. */
export const MAX_FRAME_BYTES = ${limits.MAX_FRAME_BYTES};

/** The WebSocket sub-protocols, one for each version, and the prefix of the sub-protocol that contains the access token. */
export const SUB_PROTOCOL = ${quote(SUB_PROTOCOL)};
export const SUB_PROTOCOL_V2 = ${quote(SUB_PROTOCOL_V2)};
export const BEARER_SUB_PROTOCOL = ${quote(BEARER_SUB_PROTOCOL)};

${answerTypes()}
${allRoutes.map(requestTypes).join('')}
export type NoFields = Readonly<Record<never, never>>;

/** The parameters, body and response data of each HTTP operation. */
export interface Operations {
${allRoutes.map(operationType).join('')}}

export type OperationName = keyof Operations;

/** Method and path of each HTTP operation. */
export const OPERATIONS: { readonly [Name in OperationName]: { readonly method: string; readonly path: string } } = {
${allRoutes.map(operationRow).join('')}};

/** A joined room. It has \`seq\` and \`joined_at\` only if the connection uses \`rooms.v2\`. */
export interface JoinedRoom extends MyRoom {
  readonly seq?: RoomSeq | undefined;
  /** When this connection joined. A detached frame contains the same time, to identify the join that has ended. */
  readonly joined_at?: string | undefined;
  /** The number of the room's last edit or deletion of a message, or 0 if there was none. Older services omit it. */
  readonly last_change?: number | undefined;
}

/** The fields of each client frame, in addition to \`action\` and \`request_id\`, and the data of its reply. */
export interface Actions {
${actionTypes()}}

export type ActionName = keyof Actions;

/** The data of each event. */
export interface EventData {
${eventTypes()}}

export type EventName = keyof EventData;

/** The feeds, each with its own sequence numbers. */
export type Feed = ${union(FEEDS.map(quote))};

/** An event within a frame of \`rooms.v2\`. */
export type PackedEvent = { readonly [Name in EventName]: { readonly type: Name; readonly data: EventData[Name] } }[EventName];

${declarationOf('EventsFrame')}
${declarationOf('DetachedFrame')}
/** The names of all events. */
export const EVENT_NAMES = [${Object.keys(events).map(quote).join(', ')}] as const satisfies readonly EventName[];
`;
