import {
  ConditionalCheckFailedException,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import {
  DeleteCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
  type UpdateCommandInput,
} from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { RoomsError } from '../contract/errors.ts';
import { pause } from '../platform/abort.ts';
import { backoffMs } from '../platform/backoff.ts';
import { dynamodb, tableName } from './client.ts';
import type { Key } from './keys.ts';

/*
 * Conditional writes to the table. A failed condition is a result, not an exception. It contains the item at that time,
 * so that callers can determine the reason.
 */

/**
 * How long a conflicting write is retried, in milliseconds. 50 simultaneous messages of one user to a room are stored
 * sequentially within 2 s. See docs/decisions/0041-right-to-post.md.
 */
const CONFLICT_MS = 3_000;
/**
 * The maximum wait between two attempts, in milliseconds. Longer waits would leave the item unused between two of these
 * messages.
 */
const CONFLICT_WAIT_MS = 200;
/** The number of attempts at a write whose condition changes each time. */
export const CONFLICT_ATTEMPTS = 8;

const CONFLICT = 'TransactionConflict';

const isConflict = (error: unknown): boolean =>
  error instanceof TransactionConflictException ||
  (error instanceof TransactionCanceledException &&
    error.CancellationReasons?.some(({ Code }) => Code === CONFLICT) === true);

/**
 * Retries a write while another transaction holds one of its items.
 *
 * @throws `try_again` if that persists
 */
async function whileConflicting<T>(write: () => Promise<T>, isRetried = isConflict): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (!isRetried(error)) throw error;
      if (performance.now() - started > CONFLICT_MS) throw new RoomsError('try_again', [], { cause: error });
      await pause(backoffMs(attempt, CONFLICT_WAIT_MS));
    }
  }
}

export type UpdateOutcome<Item> =
  | { readonly done: true; readonly item: Item }
  /**
   * `old` is missing if there is no such item. `again` is true after a retry: an earlier attempt may have succeeded
   * although its response was lost.
   */
  | { readonly done: false; readonly old: Item | undefined; readonly again: boolean };

/** Runs one conditional update. Returns the new item, or the old one if the condition failed. */
export async function update<Item extends Key>(
  { PK, SK }: Key,
  input: Pick<
    UpdateCommandInput,
    'UpdateExpression' | 'ConditionExpression' | 'ExpressionAttributeNames' | 'ExpressionAttributeValues'
  >,
): Promise<UpdateOutcome<Item>> {
  const command = new UpdateCommand({
    ...input,
    TableName: tableName(),
    Key: { PK, SK },
    ReturnValues: 'ALL_NEW',
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  });
  try {
    const { Attributes } = await whileConflicting(() => dynamodb.send(command));
    return { done: true, item: Attributes as Item };
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    const again = (error.$metadata.attempts ?? 1) > 1;
    return { done: false, old: error.Item && (unmarshall(error.Item) as Item), again };
  }
}

/** Deletes an item if it exists. */
export async function remove({ PK, SK }: Key): Promise<void> {
  await whileConflicting(() => dynamodb.send(new DeleteCommand({ TableName: tableName(), Key: { PK, SK } })));
}

/** Deletes an item if the condition is met. */
export async function removeIf(
  { PK, SK }: Key,
  condition: Pick<UpdateCommandInput, 'ConditionExpression' | 'ExpressionAttributeValues'>,
): Promise<void> {
  const command = new DeleteCommand({ ...condition, TableName: tableName(), Key: { PK, SK } });
  try {
    await whileConflicting(() => dynamodb.send(command));
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}

type Action = NonNullable<TransactWriteCommandInput['TransactItems']>[number];
type WithoutTable<T> = T extends object ? Omit<T, 'TableName' | 'ReturnValuesOnConditionCheckFailure'> : never;
/** One action of a transaction, without the table's name and the return setting for failed conditions. */
export type Write = { readonly [Kind in keyof Action]: WithoutTable<Action[Kind]> };

/** The result of one action of a rejected transaction. */
export interface Refusal {
  readonly refused: boolean;
  /** The item at that time, if the condition failed. Missing if there was none. */
  readonly old?: unknown;
}

export type TransactionOutcome =
  | { readonly done: true }
  | { readonly done: false; readonly refusals: readonly Refusal[] };

const onTable = (write: Write): Action =>
  Object.fromEntries(
    Object.entries(write).map(([kind, action]) => [
      kind,
      { ...action, TableName: tableName(), ReturnValuesOnConditionCheckFailure: 'ALL_OLD' },
    ]),
  );

/**
 * Writes all actions or none. DynamoDB accepts at most 100. The SDK adds a token to each call, so that a retry after a
 * lost response is not applied twice.
 */
export const transact = (writes: readonly Write[]): Promise<TransactionOutcome> => outcomeOf(writes, isConflict);

/**
 * Like `transact`, but returns undefined if another transaction holds one of the items from index `contended` on. Such
 * conflicts are not retried, because many requests compete for these items.
 */
export async function transactUnlessContended(
  writes: readonly Write[],
  contended: number,
): Promise<TransactionOutcome | undefined> {
  const isContended = (error: unknown): boolean =>
    error instanceof TransactionCanceledException &&
    error.CancellationReasons?.slice(contended).some(({ Code }) => Code === CONFLICT) === true;
  try {
    return await outcomeOf(writes, (error) => isConflict(error) && !isContended(error));
  } catch (error) {
    if (isContended(error)) return undefined;
    throw error;
  }
}

async function outcomeOf(
  writes: readonly Write[],
  isRetried: (error: unknown) => boolean,
): Promise<TransactionOutcome> {
  const input = { TransactItems: writes.map(onTable) };
  try {
    await whileConflicting(() => dynamodb.send(new TransactWriteCommand(input)), isRetried);
    return { done: true };
  } catch (error) {
    if (!(error instanceof TransactionCanceledException)) throw error;
    const reasons = error.CancellationReasons ?? [];
    // Other reasons, such as throttling, are not failed conditions.
    if (!reasons.some(({ Code }) => Code === 'ConditionalCheckFailed')) throw error;
    return {
      done: false,
      refusals: reasons.map(({ Code, Item }) => ({
        refused: Code === 'ConditionalCheckFailed',
        old: Item && unmarshall(Item),
      })),
    };
  }
}
