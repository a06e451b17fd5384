import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import * as v from 'valibot';
import { routes } from '../../core/contract/index.ts';
import { DEFAULT_USER_LIMITS } from '../../core/contract/user-limits.ts';
import type { Variable } from '../../core/platform/env.ts';
import type { SocketHandler } from '../../core/realtime/socket-event.ts';
import { createTable, startDynamoDb } from '../../local/dynamodb/dynamodb-local.ts';
import { dataTemplate } from '../../test/fixtures/data-template.ts';
import type { Operation, Request } from '../../test/fixtures/event.ts';
import {
  SAMPLE_FILE,
  SAMPLE_TEXT,
  type SampleCall,
  type SampleFrame,
  type SampleRoom,
  sampleCalls,
  sampleFrames,
} from '../../test/fixtures/samples.ts';
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

const answered = v.pipe(v.string(), v.parseJson(), v.object({ data: v.record(v.string(), v.unknown()) }));

/** Invokes a handler and returns `data`. @throws if it does not succeed */
export async function send(operation: Operation, request: Request): Promise<Record<string, unknown>> {
  const { context, handlerOf, httpEvent } = await import('../../test/fixtures/event.ts');
  const route = routes[operation];
  const { statusCode, body } = await (await handlerOf(route))(httpEvent(route, request), context);
  if (statusCode !== route.status) throw new Error(`${operation} answered ${statusCode}: ${body}`);
  return v.parse(answered, body).data;
}

/** Creates a room with three participants, a file and two messages. */
export async function newRoom(): Promise<SampleRoom> {
  const [admin, member, leaver] = [randomUUID(), randomUUID(), randomUUID()];
  const { room_id } = await send('createRoom', {
    as: admin,
    body: { name: 'Stand-up', participant_ids: [member, leaver] },
  });
  const params = { room_id: String(room_id) };
  const { file_id } = await send('createUpload', { as: member, params, query: SAMPLE_FILE });
  const connection = newSocket(member);
  const post = async (text: string) => {
    const fields = { ...params, client_message_id: randomUUID(), text };
    return String((await sendFrame({ action: 'message', connection, fields })).message_id);
  };
  const [message_id, deleted_id] = [await post(SAMPLE_TEXT), await post(SAMPLE_TEXT)];
  const newcomers = Array.from({ length: 70 }, () => randomUUID());
  return { ...params, admin, member, leaver, newcomers, file_id: String(file_id), message_id, deleted_id };
}

/** Returns the sample requests that are measured. They succeed, in this order and again. */
export const calls = (room: SampleRoom): readonly SampleCall[] =>
  sampleCalls(room).filter(({ units }) => units !== undefined);

export interface Frame extends Pick<SampleFrame, 'action' | 'fields'> {
  readonly connection: Socket;
}

/** Returns the sample frames, which succeed in this order. Those of one protocol are from one connection. */
export function frames(room: SampleRoom): readonly (SampleFrame & Frame)[] {
  const v1 = newSocket(room.member);
  const v2 = newSocket(room.member, undefined, 'rooms.v2');
  return sampleFrames(room).map((frame) => ({ ...frame, connection: frame.protocol === 'rooms.v2' ? v2 : v1 }));
}

/** Invokes the handler of an action, and returns the `data` of its reply. @throws if it does not succeed */
export async function sendFrame({ action, connection, fields }: Frame): Promise<Record<string, unknown>> {
  const { context } = await import('../../test/fixtures/event.ts');
  const body = JSON.stringify({ action, request_id: randomUUID(), ...fields });
  const file = new URL(`../../functions/realtime/${action}.ts`, import.meta.url).href;
  const { handler }: { handler: SocketHandler } = await import(file);
  const answer = await handler(socketEvent(action, connection, body), context);
  if (!answer.body?.includes('"ok":true')) throw new Error(`${action} was answered with ${answer.body}`);
  return v.parse(answered, answer.body).data;
}
