import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import * as answers from '../../core/contract/answers.ts';
import { ERRORS, type ErrorCode } from '../../core/contract/errors.ts';
import {
  FRAME_WINDOW_SECONDS,
  LARGE_ROOM_POSTS_PER_WINDOW,
  MAX_CONNECTIONS_PER_PARTICIPANT,
  MAX_FRAME_BYTES,
  MAX_FRAMES_PER_WINDOW,
  MAX_ROOM_MESSAGES_PER_SECOND,
  MAX_USER_FRAMES_PER_WINDOW,
  MAX_USER_MESSAGES_PER_WINDOW,
} from '../../core/contract/limits.ts';
import { capital } from '../../core/contract/names.ts';
import {
  type Action,
  type ActionName,
  actions,
  COMMON_ACTION_ERRORS,
  DETACH_REASONS,
  type EventName,
  type EventType,
  events,
  FEEDS,
  joinedRoom,
} from '../../core/contract/realtime.ts';
import { BEARER_SUB_PROTOCOL, SUB_PROTOCOL, SUB_PROTOCOL_V2 } from '../../core/contract/sub-protocols.ts';
import { CONTRACT_VERSION } from '../../core/contract/version.ts';
import { CONVERSION } from './openapi.ts';
import { ANSWER_FORMATS, FIELDS, SENT_AT } from './openapi-texts.ts';
import {
  BUS_INTRODUCTION,
  DETACHED_FRAME_EXAMPLE,
  EVENT_EXAMPLES,
  EVENTS_FRAME_EXAMPLE,
  FRAME_EXAMPLES,
  REALTIME_FIELDS,
  REPLY_EXAMPLES,
  SOCKET_INTRODUCTION,
  V2_INTRODUCTION,
} from './realtime-texts.ts';

/*
 * Generates the pages on the WebSocket API and the event bus, and their JSON Schemas, from core/contract/realtime.ts.
 */

type AnySchema = v.GenericSchema<unknown, unknown>;

const keysOf = <Key extends string>(table: Readonly<Record<Key, unknown>>): Key[] => Object.keys(table) as Key[];

const answerNames = new Map<AnySchema, string>([
  ...Object.entries(answers).map(([name, schema]): [AnySchema, string] => [schema, capital(name)]),
  [joinedRoom, 'MyRoom'],
]);

/* Schemas */

const textOf = (owner: string, field: string): string | undefined =>
  REALTIME_FIELDS[`${owner}.${field}`] ?? FIELDS[`${owner}.${field}`]?.description;

/**
 * Returns the schema with the descriptions of its fields. The fields of a named response schema have the same description
 * wherever it occurs.
 */
function described(owner: string, schema: JsonSchema): JsonSchema {
  if (!schema.properties) return schema;
  const properties = Object.entries(schema.properties).map(([field, property]): [string, JsonSchema | boolean] => {
    if (typeof property === 'boolean') return [field, property];
    const description = textOf(owner, field) ?? REALTIME_FIELDS[field] ?? FIELDS[field]?.description;
    if (description === undefined) throw new Error(`There is no description of ${owner}.${field}.`);
    return [field, { ...described(capital(field), property), ...ANSWER_FORMATS[field], description }];
  });
  return { ...schema, properties: Object.fromEntries(properties) };
}

function schemaOf(owner: string, schema: AnySchema, typeMode: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = toJsonSchema(schema, { ...CONVERSION, typeMode });
  return described(answerNames.get(schema) ?? owner, rest);
}

/** The format of an event on the bus. */
function detailSchema(name: EventName): JsonSchema {
  const { summary, data }: EventType = events[name];
  const detail: JsonSchema = {
    type: 'object',
    properties: {
      room_id: { type: 'string' },
      data: schemaOf(name, data, 'output'),
      sent_at: { type: 'string', format: 'date-time' },
    },
    required: ['room_id', 'data', 'sent_at'],
  };
  const { properties = {}, ...rest } = described(name, { ...detail, properties: { ...detail.properties, data: {} } });
  return {
    description: summary,
    ...rest,
    properties: { ...properties, data: { ...Object(detail.properties?.data), description: REALTIME_FIELDS.data } },
  };
}

/** The events that are published on the bus. */
export const busEvents: readonly EventName[] = keysOf(events).filter((name) => {
  const { bus }: EventType = events[name];
  return bus === true;
});

const SCHEMA: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $comment: `Contract ${CONTRACT_VERSION}`,
};

/** Returns the JSON Schema of bus events: EventBridge's envelope, and in `$defs` the `detail` of each event. */
export const busSchema = (): JsonSchema => ({
  ...SCHEMA,
  title: 'Events of rooms on EventBridge',
  anyOf: busEvents.map((name) => ({
    type: 'object',
    properties: { source: { const: 'rooms' }, 'detail-type': { const: name }, detail: { $ref: `#/$defs/${name}` } },
    required: ['source', 'detail-type', 'detail'],
  })),
  $defs: Object.fromEntries(busEvents.map((name) => [name, detailSchema(name)])),
});

const RETRY_AFTER = 'In how many seconds to try again; only where that is known.';

const object = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});

function frameSchema(name: ActionName): JsonSchema {
  const { properties = {}, ...rest } = schemaOf(name, actions[name].frame, 'input');
  return { ...rest, properties: { ...properties, action: { ...Object(properties.action), const: name } } };
}

/** The events in a frame of `rooms.v2`, without the fields that the frame has itself. */
const packedEvents = (): JsonSchema => ({
  type: 'array',
  description: REALTIME_FIELDS.events,
  items: {
    anyOf: keysOf(events).map((name) =>
      object({ type: { const: name }, data: schemaOf(name, events[name].data, 'output') }),
    ),
  },
});

const inRoom = (): Record<string, JsonSchema> => ({
  room_id: { type: 'string', format: 'uuid', description: FIELDS.room_id?.description },
});
const sentAt = (): JsonSchema => ({ type: 'string', format: 'date-time', description: REALTIME_FIELDS.sent_at });

const eventsFrameSchema = (): JsonSchema =>
  object({
    type: { const: 'events', description: 'Which frame.' },
    ...inRoom(),
    feed: { enum: [...FEEDS], description: REALTIME_FIELDS.feed },
    seq: { type: 'integer', minimum: 1, description: REALTIME_FIELDS.seq },
    sent_at: sentAt(),
    events: packedEvents(),
  });

const detachedFrameSchema = (): JsonSchema =>
  object({
    type: { const: 'detached', description: 'Which frame.' },
    ...inRoom(),
    reason: { enum: [...DETACH_REASONS], description: REALTIME_FIELDS.reason },
    joined_at: { type: 'string', format: 'date-time', description: REALTIME_FIELDS.joined_at },
    sent_at: sentAt(),
    events: packedEvents(),
  });

const ISSUES = 'One entry for each field that is wrong; only where some are.';

/**
 * Returns the JSON Schema of the WebSocket API, message by message: `frame.` are those that clients send, `reply.`
 * and `refusal.` the two responses to each, `event.` the events of rooms.
 */
export function socketSchema(): JsonSchema {
  const each = (kind: string, names: readonly string[], schemas: readonly JsonSchema[]) =>
    names.map((name, n): [string, JsonSchema] => [`${kind}.${name}`, schemas[n] ?? {}]);
  const [sent, told] = [keysOf(actions), keysOf(events)];
  const reply = sent.map((name) =>
    object({
      type: { const: 'reply' },
      request_id: { type: 'string' },
      ok: { const: true },
      data: schemaOf(name, actions[name].data, 'output'),
    }),
  );
  const refusal = sent.map((name) => {
    const { errors }: Action = actions[name];
    const code: JsonSchema = { enum: [...COMMON_ACTION_ERRORS, ...errors] };
    const known = object({ code, message: { type: 'string' } });
    const issue: JsonSchema = { ...known, properties: { ...known.properties, path: { type: 'string' } } };
    const issues: JsonSchema = { type: 'array', items: issue, description: ISSUES };
    const retry_after: JsonSchema = { type: 'integer', description: RETRY_AFTER };
    const error: JsonSchema = { ...known, properties: { ...known.properties, errors: issues, retry_after } };
    const request_id: JsonSchema = { type: ['string', 'null'] };
    return object({ type: { const: 'reply' }, request_id, ok: { const: false }, error });
  });
  const event = told.map((name) =>
    object({
      type: { const: name },
      room_id: { type: 'string', format: 'uuid' },
      data: schemaOf(name, events[name].data, 'output'),
      sent_at: { type: 'string', format: 'date-time' },
    }),
  );
  return {
    ...SCHEMA,
    title: 'Messages of the WebSocket API of rooms',
    $defs: {
      subprotocol: { const: SUB_PROTOCOL },
      ...Object.fromEntries([
        ...each('frame', sent, sent.map(frameSchema)),
        ...each('reply', sent, reply),
        ...each('refusal', sent, refusal),
        ...each('event', told, event),
      ]),
      'v2.subprotocol': { const: SUB_PROTOCOL_V2 },
      'v2.events': eventsFrameSchema(),
      'v2.detached': detachedFrameSchema(),
    },
  };
}

/** Returns an example of an event as a target of a rule receives it. */
export const busExample = (name: EventName) => ({
  version: '0',
  id: '6a7e8feb-b491-4cf7-a9f1-bf3703467718',
  'detail-type': name,
  source: 'rooms',
  account: '111122223333',
  time: '2026-03-02T09:05:00Z',
  region: 'eu-central-1',
  resources: [],
  detail: { room_id: ROOM_ID, data: EVENT_EXAMPLES[name], sent_at: SENT_AT },
});
const ROOM_ID = EVENT_EXAMPLES.room_created.room_id;

/** Returns an example of an event as a WebSocket client receives it. */
export const eventExample = (type: EventName) => ({
  type,
  room_id: ROOM_ID,
  data: EVENT_EXAMPLES[type],
  sent_at: SENT_AT,
});

/* Pages */

const cell = (text: string): string => text.replaceAll('|', '\\|');
const json = (value: unknown): string => `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;

const FORMATS: Readonly<Record<string, string>> = { uuid: 'UUID', 'date-time': 'time' };

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  const named = [schema.type ?? 'any'].flat().map((type) => FORMATS[schema.format ?? ''] ?? type);
  const types = [...new Set(named)].filter((type) => type !== 'null');
  const longest = schema.maxLength ? `, at most ${schema.maxLength.toLocaleString('en')} characters` : '';
  return `${types.join(', ')}${longest}${[schema.type].flat().includes('null') ? ' or `null`' : ''}`;
}

function rows(schema: JsonSchema, path = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([field, property]) => {
    if (typeof property === 'boolean') return [];
    const optional = schema.required?.includes(field) ? '' : ' (may be missing)';
    const name = `${path}${field}`;
    return [
      `| \`${name}\` | ${cell(typeOf(property))}${optional} | ${cell(property.description ?? '')} |`,
      ...rows(property, `${name}.`),
    ];
  });
}

const fieldTable = (schema: JsonSchema, path = ''): string =>
  ['| Field | Type | Meaning |', '|---|---|---|', ...rows(schema, path)].join('\n');

const page = (...parts: readonly string[]): string =>
  ['<!-- Written by "npm run events:docs" from core/contract: change it there. -->', ...parts]
    .join('\n\n')
    .concat('\n');

/** Returns docs/reference/events.md. */
export const busPage = (): string =>
  page(
    BUS_INTRODUCTION,
    ...busEvents.flatMap((name) => [
      `## \`${name}\``,
      events[name].summary,
      `Event pattern: \`${JSON.stringify({ source: ['rooms'], 'detail-type': [name] })}\``,
      fieldTable(detailSchema(name), 'detail.'),
      json(busExample(name)),
    ]),
  );

const errorTable = (codes: readonly ErrorCode[]): string =>
  ['| Code | Meaning |', '|---|---|', ...codes.map((code) => `| \`${code}\` | ${ERRORS[code].message} |`)].join('\n');

function actionSection(name: ActionName): string[] {
  const { summary, data, errors }: Action = actions[name];
  return [
    `### \`${name}\``,
    summary,
    fieldTable(frameSchema(name)),
    json(FRAME_EXAMPLES[name]),
    '`data` of the reply:',
    fieldTable(schemaOf(name, data, 'output')),
    json({ type: 'reply', request_id: Object(FRAME_EXAMPLES[name]).request_id, ok: true, data: REPLY_EXAMPLES[name] }),
    ...(errors.length > 0 ? ['Errors, in addition to those of every action:', errorTable(errors)] : []),
  ];
}

function eventSection(name: EventName): string[] {
  const { summary, data }: EventType = events[name];
  return [
    `### \`${name}\`${busEvents.includes(name) ? ' (also on the event bus)' : ''}`,
    summary,
    fieldTable(schemaOf(name, data, 'output'), 'data.'),
    json(eventExample(name)),
  ];
}

/** Returns docs/reference/websocket.md. */
export const socketPage = (): string =>
  page(
    SOCKET_INTRODUCTION.replaceAll('__SUB_PROTOCOL__', SUB_PROTOCOL)
      .replaceAll('__SUB_PROTOCOL_V2__', SUB_PROTOCOL_V2)
      .replaceAll('__BEARER__', BEARER_SUB_PROTOCOL)
      .replaceAll('__FRAME_BYTES__', MAX_FRAME_BYTES.toLocaleString('en'))
      .replaceAll('__FRAMES__', String(MAX_FRAMES_PER_WINDOW))
      .replaceAll('__USER_FRAMES__', String(MAX_USER_FRAMES_PER_WINDOW))
      .replaceAll('__USER_MESSAGES__', String(MAX_USER_MESSAGES_PER_WINDOW))
      .replaceAll('__LARGE_ROOM_POSTS__', LARGE_ROOM_POSTS_PER_WINDOW.toLocaleString('en'))
      .replaceAll('__ROOM_MESSAGES__', String(MAX_ROOM_MESSAGES_PER_SECOND))
      .replaceAll('__CONNECTIONS__', String(MAX_CONNECTIONS_PER_PARTICIPANT))
      .replaceAll('__WINDOW__', String(FRAME_WINDOW_SECONDS)),
    '## Actions',
    'Every action can fail with these errors. A frame with an unknown action gets `invalid_request`.',
    errorTable(COMMON_ACTION_ERRORS),
    ...keysOf(actions).flatMap(actionSection),
    '## Events',
    'Joined connections receive the events of the room. Chat messages arrive in stored order, and other events in the order of the changes. There is ' +
      'no order between messages and other events. After an internal failure, an event can arrive twice: identify messages by `message_id`. Other ' +
      'events describe the current state, so processing them twice is harmless.',
    ...keysOf(events).flatMap(eventSection),
    V2_INTRODUCTION,
    '### The frame `events`',
    'New events of one feed of a room, or of the feed `user`.',
    fieldTable(eventsFrameSchema()),
    json(EVENTS_FRAME_EXAMPLE),
    '### The frame `detached`',
    'The connection is no longer in the room. It is the last frame about it; join again if you may.',
    fieldTable(detachedFrameSchema()),
    json(DETACHED_FRAME_EXAMPLE),
  );

/** Returns the files by name. */
export const realtimeDocs = (): Readonly<Record<string, string>> => ({
  'reference/events.md': busPage(),
  'events.schema.json': `${JSON.stringify(busSchema(), null, 2)}\n`,
  'reference/websocket.md': socketPage(),
  'websocket.schema.json': `${JSON.stringify(socketSchema(), null, 2)}\n`,
});
