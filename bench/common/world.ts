import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { ulid } from 'ulid';
import { allRoutes, routes } from '../../core/contract/index.ts';
import type { ActionName } from '../../core/contract/realtime.ts';
import { DEFAULT_USER_LIMITS } from '../../core/contract/user-limits.ts';
import type { Variable } from '../../core/platform/env.ts';
import type { SocketHandler } from '../../core/realtime/socket-event.ts';
import { createTable, startDynamoDb } from '../../local/dynamodb/dynamodb-local.ts';
import { dataTemplate } from '../../test/fixtures/data-template.ts';
import type { Operation, Request } from '../../test/fixtures/event.ts';
import { newSocket, type Socket, socketEvent } from '../../test/fixtures/socket-event.ts';

/*
 * The shared environment of endpoint benchmarks: DynamoDB Local with the table of the template, a room, and a
 * repeatable successful request for each endpoint.
 */

export const TABLE = 'rooms-bench';

/** The environment variables of a function that uses the benchmark's table. */
export const environment = (dynamodbUrl: string): Record<string, string> =>
  ({
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_ENDPOINT_URL_DYNAMODB: dynamodbUrl,
    TABLE_NAME: TABLE,
    BUCKET_NAME: TABLE,
    MAX_UPLOAD_BYTES: '1000000',
    USER_LIMITS: JSON.stringify(DEFAULT_USER_LIMITS),
    CURSOR_KEY: randomUUID(),
  }) satisfies Partial<Record<Variable, string>> & Record<string, string>;

/**
 * Starts DynamoDB Local with an empty table, runs `work`, and stops it. Sets the environment variables of this process,
 * so `work` must import code that reads them, such as core/store, dynamically.
 */
export async function withTable<T>(
  work: (environment: Readonly<Record<string, string>>, client: DynamoDBClient) => Promise<T>,
): Promise<T> {
  const local = await startDynamoDb({ port: 0 });
  try {
    const variables = environment(local.url);
    Object.assign(process.env, variables);
    const client = new DynamoDBClient();
    await createTable(client, TABLE, dataTemplate().table);
    return await work(variables, client);
  } finally {
    await local.close();
  }
}

/** Runs `work` without the log lines of handlers. */
export async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { info } = console;
  console.info = () => {};
  try {
    return await work();
  } finally {
    console.info = info;
  }
}

/** Invokes a handler and returns `data`. @throws if it does not succeed */
export async function send(operation: Operation, request: Request): Promise<Record<string, unknown>> {
  const { context, handlerOf, httpEvent } = await import('../../test/fixtures/event.ts');
  const route = routes[operation];
  const { statusCode, body } = await (await handlerOf(route))(httpEvent(route, request), context);
  if (statusCode !== route.status) throw new Error(`${operation} answered ${statusCode}: ${body}`);
  return JSON.parse(body ?? '').data;
}

export interface Room {
  readonly room_id: string;
  /** Created the room. */
  readonly admin: string;
  /** A participant without the admin right. */
  readonly member: string;
  /** Another participant, for the benchmark of leaving. */
  readonly leaver: string;
  /** A file of the member whose upload was created. */
  readonly file_id: string;
  /** IDs of two messages of the member: one to edit, and one to delete. */
  readonly message_id: string;
  readonly deleted_id: string;
}

const FILE = { name: 'plan.pdf', size: 48_213, content_type: 'application/pdf' };

const ANNOUNCEMENT = {
  announcement_id: 'handover',
  message: 'Hand over to the night shift.',
  relative_from: 'start',
  relative_time_in_seconds: 36_000,
};

/** The text of a message, with the length that all models assume. */
const TEXT = 'x'.repeat(100);

/** Creates a room with three participants, a file and two messages. */
export async function newRoom(): Promise<Room> {
  const [admin, member, leaver] = [randomUUID(), randomUUID(), randomUUID()];
  const { room_id } = await send('createRoom', {
    as: admin,
    body: { name: 'Stand-up', participant_ids: [member, leaver] },
  });
  const params = { room_id: String(room_id) };
  const { file_id } = await send('createUpload', { as: member, params, query: FILE });
  const connection = newSocket(member);
  const post = async (text: string) => {
    const fields = { ...params, client_message_id: randomUUID(), text };
    return String((await sendFrame({ action: 'message', connection, fields })).message_id);
  };
  const [message_id, deleted_id] = [await post(TEXT), await post(TEXT)];
  return { ...params, admin, member, leaver, file_id: String(file_id), message_id, deleted_id };
}

export interface Call {
  readonly operation: Operation;
  /** The special condition of this call. */
  readonly note?: string;
  readonly request: Request;
}

/** Successful requests of all endpoints, which can be repeated in this order. */
export function calls({ room_id, admin, member, leaver, file_id, message_id, deleted_id }: Room): readonly Call[] {
  const params = { room_id };
  const ofMember = { ...params, participant_id: member };
  const [ten, observers] = [0, 1].map(() => Array.from({ length: 10 }, () => randomUUID()));
  const all: readonly Call[] = [
    { operation: 'createRoom', request: { as: admin, body: { name: 'x' } } },
    {
      operation: 'createRoom',
      note: 'with 10 others and a key',
      request: { as: admin, body: { name: 'x', participant_ids: ten }, headers: { 'Idempotency-Key': randomUUID() } },
    },
    { operation: 'changeRoom', request: { as: admin, params, body: { name: 'Stand-up, team Blue' } } },
    {
      operation: 'changeRoom',
      note: 'posting',
      request: { as: admin, params, body: { posting: 'everyone' } },
    },
    {
      operation: 'changeRoom',
      note: 'with an announcement',
      request: { as: admin, params, body: { announcements: [ANNOUNCEMENT] } },
    },
    { operation: 'addParticipants', note: '10', request: { as: admin, params, body: { participant_ids: ten } } },
    {
      operation: 'addParticipants',
      note: '10 observers',
      request: { as: admin, params, body: { participant_ids: observers, role: 'observer' } },
    },
    { operation: 'removeParticipants', note: '10', request: { as: admin, params, body: { participant_ids: ten } } },
    { operation: 'setRole', request: { as: admin, params: ofMember, body: { role: 'member' } } },
    { operation: 'grantAdmin', request: { as: admin, params: ofMember } },
    { operation: 'revokeAdmin', request: { as: admin, params: ofMember } },
    { operation: 'listRooms', note: 'page of 50', request: { as: admin } },
    { operation: 'getRoom', request: { as: member, params } },
    { operation: 'getRoom', note: 'page of 100 unread', request: { as: admin, params } },
    { operation: 'leaveRoom', request: { as: leaver, params } },
    { operation: 'listParticipants', note: 'page of 50', request: { as: member, params } },
    { operation: 'updateProfile', request: { as: member, params, body: { username: 'Bob' } } },
    { operation: 'markRead', request: { as: member, params, body: { message_id: ulid() } } },
    { operation: 'listMessages', note: 'page of 50', request: { as: member, params } },
    {
      operation: 'editMessage',
      // `%N%` makes each text different from the stored one: see bench/cold-start/targets.ts.
      request: { as: member, params: { ...params, message_id }, body: { text: `${TEXT} %N%` } },
    },
    {
      operation: 'editMessage',
      note: 'again',
      request: { as: member, params: { ...params, message_id }, body: { text: `${TEXT} again %N%` } },
    },
    { operation: 'deleteMessage', request: { as: member, params: { ...params, message_id: deleted_id } } },
    { operation: 'listMessageChanges', note: 'page of 50', request: { as: member, params } },
    { operation: 'createUpload', request: { as: member, params, query: FILE } },
    { operation: 'createDownload', request: { as: member, params, query: { file_id } } },
    { operation: 'endRoom', note: 'in an hour', request: { as: admin, params, body: { time_left_in_seconds: 3_600 } } },
  ];
  const forgotten = allRoutes.filter((route) => !all.some(({ operation }) => operation === route.operation));
  if (forgotten.length > 0)
    throw new Error(`No call measures ${forgotten.map(({ operation }) => operation).join(', ')}.`);
  return all;
}

export interface Frame {
  readonly action: ActionName;
  /** The special condition of this frame. */
  readonly note?: string;
  readonly connection: Socket;
  readonly fields: object;
}

/** Successful frames of all actions, in this order. */
export function frames({ room_id, member }: Room): readonly Frame[] {
  const connection = newSocket(member);
  const v2 = newSocket(member, undefined, 'rooms.v2');
  return [
    { action: 'ping', connection, fields: {} },
    { action: 'join', connection, fields: { room_id } },
    { action: 'join', note: 'rooms.v2', connection: v2, fields: { room_id } },
    { action: 'ping', note: 'with numbers', connection: v2, fields: { rooms: [room_id] } },
    { action: 'message', connection, fields: { room_id, client_message_id: randomUUID(), text: TEXT } },
    { action: 'typing', connection, fields: { room_id, typing: true } },
    { action: 'leave', connection, fields: { room_id } },
    { action: 'subscribe', connection, fields: {} },
  ];
}

/** Invokes the handler of an action, and returns the `data` of its reply. @throws if it does not succeed */
export async function sendFrame({ action, connection, fields }: Frame): Promise<Record<string, unknown>> {
  const { context } = await import('../../test/fixtures/event.ts');
  const body = JSON.stringify({ action, request_id: randomUUID(), ...fields });
  const file = new URL(`../../functions/realtime/${action}.ts`, import.meta.url).href;
  const { handler }: { handler: SocketHandler } = await import(file);
  const answer = await handler(socketEvent(action, connection, body), context);
  if (!answer.body?.includes('"ok":true')) throw new Error(`${action} was answered with ${answer.body}`);
  return JSON.parse(answer.body).data;
}
