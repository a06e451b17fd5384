import type { Access } from '../core/contract/route.ts';

/*
 * The functions that are not rows of the contract: those of the table's stream, queues and schedules, the fan-out of large rooms,
 * and those of the WebSocket API itself. Bundles, permissions, memory, time-outs, alarms, the outputs for `npm run redrive` and the
 * tests of permissions are derived from these rows.
 */

/** What invokes a function. */
export type Source = 'websocket' | 'stream' | 'queue' | 'schedule' | 'function';

export interface EventFunctionRow {
  readonly source: Source;
  readonly description: string;
  readonly access: Access;
  /** Memory in megabytes, as determined by `npm run bench:memory`. */
  readonly memory: number;
  /** Time-out in seconds. */
  readonly timeout: number;
  readonly alarms?: {
    /** Maximum wait of events in the stream or queue, in seconds. */
    readonly behind?: number;
    /** Maximum p99 of the time from storing a change to its delivery, in milliseconds. */
    readonly late?: number;
  };
}

/** Access to remove closed connections from a room. */
const dropping = { UpdateItem: ['ROOM'], DeleteItem: ['ROOM'] } as const;
/** Access to also mark connections that cannot be closed. */
const disconnecting = { ...dropping, PutItem: ['ROOM'] } as const;
/** Access to also read the connections of a room. */
const broadcasting = { ...disconnecting, Query: ['ROOM'] } as const;

/** Memory for posting to many connections, in megabytes. The TLS and JSON work needs a whole processor. */
const POSTING_MB = 1_769;
/**
 * Time-out of deliveries. 10 of these seconds are reserved for marking connections (core/platform/deadline.ts). There is no time for two
 * rounds of slow fan-out invocations of 35 s each. At the deadline, the connections of the second round are disconnected or marked.
 */
const DELIVERY_SECONDS = 60;

/** The rows, by the name of the entry. */
export const eventFunctions = {
  authorizer: {
    source: 'websocket',
    description: 'WebSocket authorizer: verifies access tokens.',
    access: { table: {} },
    memory: 1_024,
    timeout: 10,
  },
  connect: {
    source: 'websocket',
    description: 'WebSocket $connect: negotiates the sub-protocol.',
    access: { table: {} },
    memory: 256,
    timeout: 10,
  },
  disconnect: {
    source: 'websocket',
    description: 'WebSocket $disconnect: removes a connection from its rooms.',
    access: { table: { ...dropping, DeleteItem: ['ROOM', 'USER'] }, index: ['CONNECTION'] },
    memory: 256,
    // API Gateway's limit for an integration. Work that is not finished is found only when the next event cannot be delivered.
    timeout: 29,
  },
  'deliver-messages': {
    source: 'stream',
    description: 'Table stream: sends new, edited and deleted messages to all connections that have joined their room.',
    // To read messages again, because a message that was deleted after its record must not be sent.
    access: { table: { ...broadcasting, BatchGetItem: ['CHAT'] } },
    memory: POSTING_MB,
    timeout: DELIVERY_SECONDS,
    alarms: { behind: 60, late: 2_000 },
  },
  'room-changes': {
    source: 'stream',
    description: 'Table stream: sends changes of rooms to clients and back ends.',
    access: {
      table: {
        ...broadcasting,
        BatchGetItem: ['ROOM'],
        GetItem: ['ROOM'],
        // To find the connections that have subscribed to their user.
        Query: ['ROOM', 'USER'],
        DeleteItem: ['ROOM', 'USER'],
        // To number the events for these connections.
        UpdateItem: ['ROOM', 'USER'],
      },
      bucket: ['DeleteObject'],
    },
    memory: POSTING_MB,
    timeout: DELIVERY_SECONDS,
    // The stream has times of changes in whole seconds.
    alarms: { behind: 60, late: 3_000 },
  },
  'fan-out': {
    source: 'function',
    description: 'Invoked by functions that send to a large room: delivers a batch of its connections.',
    access: { table: disconnecting },
    memory: POSTING_MB,
    // 10 of these seconds are reserved for marking connections (core/platform/deadline.ts). If none of 500 connections responds,
    // 100 at a time and 3 s each, the batch takes 15 s. The invokers wait a little longer (core/realtime/fan-out-invoke.ts).
    timeout: 30,
    alarms: {},
  },
  lane: {
    source: 'queue',
    description: 'Lane queue: delivers to large and busy rooms, each in order.',
    // To read messages again, like `deliver-messages`.
    access: { table: { ...broadcasting, BatchGetItem: ['CHAT'] } },
    memory: POSTING_MB,
    timeout: DELIVERY_SECONDS,
    // A room of 10,000 connections takes 4 s with the default quota.
    alarms: { behind: 60, late: 5_000 },
  },
  presence: {
    source: 'queue',
    description: 'Presence queue: marks participants offline, checks connections, and retries failed effects.',
    access: { table: { ...broadcasting, BatchGetItem: ['ROOM'], GetItem: ['ROOM'], Query: ['ROOM', 'USER'] } },
    memory: 1_024,
    // A batch is ten conditional writes in parallel; the rest of the time is for closing connections.
    timeout: 10,
    // The grace period of 10 seconds, and one time-out of the queue (60 s) after a lost batch, are normal.
    alarms: { behind: 120 },
  },
  announce: {
    source: 'schedule',
    description: 'Invoked by schedules: announces starts and ends of rooms, warns of the end, and sends announcements.',
    access: {
      table: {
        ...broadcasting,
        GetItem: ['ROOM'],
        // To record warnings and announcements.
        BatchGetItem: ['ROOM'],
        ConditionCheckItem: ['ROOM', 'CHAT'],
        PutItem: ['ROOM', 'CHAT'],
      },
    },
    memory: POSTING_MB,
    timeout: DELIVERY_SECONDS,
    alarms: {},
  },
} as const satisfies Record<string, EventFunctionRow>;

export type EventFunctionName = keyof typeof eventFunctions;

/** Returns the names of the rows with one of these sources. */
type NameWith<S extends Source> = {
  [Name in EventFunctionName]: (typeof eventFunctions)[Name]['source'] extends S ? Name : never;
}[EventFunctionName];

/** Functions whose failed events go to a dead-letter queue. A failed frame or invocation is reported to its caller instead. */
export type WithDeadLetters = NameWith<'stream' | 'queue' | 'schedule'>;

/** Functions that no client waits for, each with alarms of its own. */
export type BackgroundFunction = Exclude<EventFunctionName, NameWith<'websocket'>>;

const named = <Name extends EventFunctionName>(...sources: readonly Source[]): Name[] =>
  // The type parameter repeats the sources.
  (Object.keys(eventFunctions) as Name[]).filter((name) => sources.includes(eventFunctions[name].source));

export const withDeadLetters: readonly WithDeadLetters[] = named('stream', 'queue', 'schedule');
export const backgroundFunctions: readonly BackgroundFunction[] = named('stream', 'function', 'queue', 'schedule');

/** Returns the row of a function by the name of its entry; undefined for functions that are rows of the contract. */
export const eventFunctionOf = (name: string): EventFunctionRow | undefined =>
  Object.entries(eventFunctions).find(([key]) => key === name)?.[1];
