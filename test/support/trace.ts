import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { ClientRequest } from 'node:http';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { expect } from 'vitest';
import type { Access } from '../../core/contract/route.ts';
import { dynamodb } from '../../core/store/client.ts';

/*
 * Observes the AWS requests of a piece of code: the permissions that it uses, and how many of its requests to DynamoDB
 * are sequential.
 */

export interface Trace {
  /** The actions of all requests to DynamoDB, in the order in which they were sent. */
  readonly requests: string[];
  /** The input of each of `requests`. */
  readonly inputs: object[];
  /**
   * The used permissions. `dynamodb:GetItem ROOM` is an action and the kind of its partitions, also for the items of a
   * transaction or batch. `dynamodb:Query index USER` is a query of the index. Other services have the IAM action, such
   * as `sqs:SendMessage`.
   */
  readonly used: Set<string>;
  /**
   * The number of sequential round trips to DynamoDB: the longest chain of requests, each sent after the previous
   * response.
   */
  trips: number;
  /** The number of successful writes. */
  writes: number;
}

const WRITES: ReadonlySet<string> = new Set(['PutItem', 'UpdateItem', 'DeleteItem', 'TransactWriteItems']);

/** Whether a request only counts the use of a limit per user. */
const isCount = (input: object): boolean =>
  v.is(v.object({ Key: v.object({ SK: v.pipe(v.string(), v.startsWith('LIMIT#')) }) }), input);

interface Running extends Trace {
  /** The length of the longest chain of requests that has finished. */
  finished: number;
}

const running = new AsyncLocalStorage<Running>();

const PARTS: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem',
};

const key = v.object({ PK: v.string() });
const single = v.union([
  v.pipe(
    v.object({ Key: key }),
    v.transform(({ Key }) => Key.PK),
  ),
  v.pipe(
    v.object({ Item: key }),
    v.transform(({ Item }) => Item.PK),
  ),
]);
const query = v.object({
  IndexName: v.optional(v.string()),
  /** Captures which attribute the partition key must equal. */
  KeyConditionExpression: v.pipe(v.string(), v.regex(/^(GSI1)?PK = :\w+\b/)),
  ExpressionAttributeValues: v.record(v.string(), v.unknown()),
});
const batch = v.object({ RequestItems: v.record(v.string(), v.object({ Keys: v.array(key) })) });
const transaction = v.object({ TransactItems: v.array(v.record(v.string(), single)) });

/** `ROOM#0199…` → `ROOM` */
const partitionOf = (PK: string): string => PK.split('#', 1)[0] ?? '';

/** The permissions that IAM requires for a DynamoDB command: actions, each with a kind of partition. */
function dynamodbPermissions(command: string, input: object): string[] {
  if (command === 'TransactWriteItems') {
    const items = v
      .parse(transaction, input)
      .TransactItems.flatMap((item) => Object.entries(item))
      .map(([kind, PK]) => ({ action: PARTS[kind] ?? kind, partition: partitionOf(PK) }));
    const [actions, partitions] = [new Set(items.map((i) => i.action)), new Set(items.map((i) => i.partition))];
    // IAM may check all keys of a transaction against the condition of each action, so all combinations are required.
    return [...actions].flatMap((action) => [...partitions].map((partition) => `${action} ${partition}`));
  }
  if (command === 'BatchGetItem')
    return Object.values(v.parse(batch, input).RequestItems).flatMap(({ Keys }) =>
      Keys.map(({ PK }) => `${command} ${partitionOf(PK)}`),
    );
  if (command !== 'Query') return [`${command} ${partitionOf(v.parse(single, input))}`];
  const { IndexName, KeyConditionExpression, ExpressionAttributeValues } = v.parse(query, input);
  const [, value = ''] = /= (:\w+)/.exec(KeyConditionExpression) ?? [];
  return [`${command} ${IndexName ? 'index ' : ''}${partitionOf(String(ExpressionAttributeValues[value]))}`];
}

dynamodb.middlewareStack.add(
  (next, context) => async (args) => {
    const trace = running.getStore();
    if (!trace) return next(args);
    const command = context.commandName?.replace(/Command$/, '') ?? 'unknown';
    trace.requests.push(command);
    trace.inputs.push(args.input);
    for (const each of dynamodbPermissions(command, args.input)) trace.used.add(`dynamodb:${each}`);
    // A request is in sequence only with requests that had finished when it was sent.
    const depth = trace.finished + 1;
    trace.trips = Math.max(trace.trips, depth);
    try {
      const answer = await next(args);
      if (WRITES.has(command) && !isCount(args.input)) trace.writes++;
      return answer;
    } finally {
      trace.finished = Math.max(trace.finished, depth);
    }
  },
  { step: 'initialize', priority: 'high', name: 'trace' },
);

/** The permissions that commands for other services require. */
const PERMISSIONS: Readonly<Record<string, readonly string[]>> = {
  SendMessageCommand: ['sqs:SendMessage'],
  ChangeMessageVisibilityBatchCommand: ['sqs:ChangeMessageVisibility'],
  // Every role of a function with a queue allows this, because Lambda deletes processed messages itself.
  DeleteMessageBatchCommand: [],
  PutEventsCommand: ['events:PutEvents'],
  CreateScheduleCommand: ['scheduler:CreateSchedule', 'iam:PassRole'],
  UpdateScheduleCommand: ['scheduler:UpdateSchedule', 'iam:PassRole'],
  DeleteScheduleCommand: ['scheduler:DeleteSchedule'],
  InvokeCommand: ['lambda:InvokeFunction'],
};

/** The base class of all SDK clients. */
const { prototype: client }: { prototype: { send: (command: object, ...more: unknown[]) => unknown } } =
  Object.getPrototypeOf(DynamoDBDocumentClient);
const { send } = client;
client.send = function (command, ...more) {
  const trace = running.getStore();
  const { name } = command.constructor;
  if (trace && this !== dynamodb) for (const each of PERMISSIONS[name] ?? [`unknown:${name}`]) trace.used.add(each);
  return send.call(this, command, ...more);
};

/** The permission that a request without the SDK (core/aws/send.ts) requires, by method and path. */
function permissionOf(method: string, path: string): string | undefined {
  if (path.includes('/@connections/')) return `execute-api:ManageConnections ${method}`;
  return method === 'HEAD' && path.includes('X-Amz-Signature') ? 's3:GetObject' : undefined;
}

subscribe('http.client.request.start', (message) => {
  const { request } = v.parse(v.object({ request: v.instance(ClientRequest) }), message);
  const permission = permissionOf(request.method, request.path);
  if (permission) running.getStore()?.used.add(permission);
});

/** Runs `work`, and returns its result and its requests to AWS. */
export async function traced<T>(work: () => Promise<T>): Promise<{ result: T; trace: Trace }> {
  const trace: Running = { requests: [], inputs: [], used: new Set(), trips: 0, writes: 0, finished: 0 };
  const result = await running.run(trace, work);
  return { result, trace };
}

/** The permissions in `access` of the contract, in the format of `Trace.used`. */
export const allowedBy = ({ table, index = [], bucket = [] }: Access): ReadonlySet<string> =>
  new Set([
    ...Object.entries(table).flatMap(([action, partitions]) =>
      partitions.map((partition) => `dynamodb:${action} ${partition}`),
    ),
    ...index.map((partition) => `dynamodb:Query index ${partition}`),
    ...bucket.map((action) => `s3:${action}`),
  ]);

/** Fails the test if a function used the table or the bucket beyond its `access`. */
export function expectWithin(name: string, access: Access, { used }: Trace): void {
  const allowed = allowedBy(access);
  const beyond = [...used].filter((each) => /^(dynamodb|s3):/.test(each) && !allowed.has(each));
  expect(beyond, `${name} may do no more than its "access" says`).toEqual([]);
}
