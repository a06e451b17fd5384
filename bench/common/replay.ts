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
 * Records the requests of a piece of code to DynamoDB, and replays them without that code: with the same client, input
 * and concurrency. Import it only after the environment contains the table's name and endpoint.
 */

interface Recorded {
  readonly command: string;
  readonly input: object;
  /** The number of sequential requests that had finished before this one was sent. */
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

/** Runs `work`, and returns its requests to DynamoDB. */
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

/** The cast is safe: the input was recorded from the same command. */
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

/** Sends the recorded requests again, with the same sequence and concurrency. */
export async function replay(requests: readonly Recorded[]): Promise<void> {
  for (let depth = 0; requests.some((request) => request.depth === depth); depth++)
    await Promise.all(requests.filter((request) => request.depth === depth).map(send));
}

/** Returns the same requests for another room, user or key, because some writes succeed only once. */
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
