import {
  BatchGetCommand,
  type BatchGetCommandInput,
  DeleteCommand,
  type DeleteCommandInput,
  GetCommand,
  type GetCommandInput,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
  type UpdateCommandInput,
} from '@aws-sdk/lib-dynamodb';
import { dynamodb } from '../../core/store/client.ts';

/*
 * Records what a piece of code asks of DynamoDB, and asks it again without that code: the same requests through the same client,
 * those at the same time that were sent at the same time. Load it only when the environment says where the table is.
 */

interface Recorded {
  readonly command: string;
  readonly input: object;
  /** How many requests had to be answered, one after the other, before this one was sent. */
  readonly depth: number;
}

let recording: { requests: Recorded[]; finished: number } | undefined;

dynamodb.middlewareStack.add(
  (next, { commandName = '' }) =>
    async (args) => {
      const current = recording;
      if (!current) return next(args);
      const depth = current.finished;
      current.requests.push({ command: commandName, input: args.input, depth });
      try {
        return await next(args);
      } finally {
        current.finished = Math.max(current.finished, depth + 1);
      }
    },
  { step: 'initialize', name: 'record', override: true },
);

/** What some work asks of DynamoDB. */
export async function recorded(work: () => Promise<unknown>): Promise<readonly Recorded[]> {
  const mine = { requests: [], finished: 0 };
  recording = mine;
  try {
    await work();
  } finally {
    recording = undefined;
  }
  return mine.requests;
}

/** The input of a command is what was recorded of the same command. */
function send({ command, input }: Recorded): Promise<unknown> {
  switch (command) {
    case 'GetItemCommand':
      return dynamodb.send(new GetCommand(input as GetCommandInput));
    case 'BatchGetItemCommand':
      return dynamodb.send(new BatchGetCommand(input as BatchGetCommandInput));
    case 'QueryCommand':
      return dynamodb.send(new QueryCommand(input as QueryCommandInput));
    case 'UpdateItemCommand':
      return dynamodb.send(new UpdateCommand(input as UpdateCommandInput));
    case 'DeleteItemCommand':
      return dynamodb.send(new DeleteCommand(input as DeleteCommandInput));
    case 'TransactWriteItemsCommand':
      return dynamodb.send(new TransactWriteCommand(input as TransactWriteCommandInput));
    default:
      throw new Error(`${command} cannot be sent again yet: add it to bench/common/replay.ts.`);
  }
}

/** Asks DynamoDB the same again, and waits as long as the work that was recorded would have to. */
export async function replay(requests: readonly Recorded[]): Promise<void> {
  for (let depth = 0; requests.some((request) => request.depth === depth); depth++)
    await Promise.all(requests.filter((request) => request.depth === depth).map(send));
}

/** The same requests about another room, user or key: for a write that works only once. */
export const renamed = (requests: readonly Recorded[], from: string, to: string): readonly Recorded[] =>
  requests.map((request) => ({ ...request, input: replaced(request.input, from, to) as object }));

function replaced(value: unknown, from: string, to: string): unknown {
  if (typeof value === 'string') return value.replaceAll(from, to);
  if (value instanceof Set) return new Set([...value].map((each) => replaced(each, from, to)));
  if (Array.isArray(value)) return value.map((each) => replaced(each, from, to));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replaced(each, from, to)]));
  return value;
}
