import { BatchGetCommand, GetCommand, QueryCommand, type QueryCommandInput } from '@aws-sdk/lib-dynamodb';
import { RoomsError } from '../contract/errors.ts';
import { pause } from '../platform/abort.ts';
import { backoffMs } from '../platform/backoff.ts';
import { dynamodb, tableName } from './client.ts';
import type { Key } from './keys.ts';

/* Reads of the table. Only this file and write.ts assign types to DynamoDB's responses: see items.ts. */

/** DynamoDB's limit for one BatchGetItem. */
const BATCH_GET_KEYS = 100;
const BATCH_GET_ATTEMPTS = 5;

/** Returns one item with a consistent read, or undefined. */
export async function get<Item extends Key>({ PK, SK }: Key): Promise<Item | undefined> {
  const { Item } = await dynamodb.send(
    new GetCommand({ TableName: tableName(), Key: { PK, SK }, ConsistentRead: true }),
  );
  return Item as Item | undefined;
}

async function getChunk<Item extends Key>(keys: readonly Key[], consistent: boolean): Promise<Item[]> {
  const found: Item[] = [];
  let pending = keys.map(({ PK, SK }) => ({ PK, SK }));
  for (let attempt = 0; pending.length > 0; attempt++) {
    if (attempt === BATCH_GET_ATTEMPTS) throw new RoomsError('try_again');
    if (attempt > 0) await pause(backoffMs(attempt));
    const { Responses, UnprocessedKeys } = await dynamodb.send(
      new BatchGetCommand({ RequestItems: { [tableName()]: { Keys: pending, ConsistentRead: consistent } } }),
    );
    found.push(...((Responses?.[tableName()] ?? []) as Item[]));
    pending = (UnprocessedKeys?.[tableName()]?.Keys ?? []) as Key[] as typeof pending;
  }
  return found;
}

/**
 * Returns the existing items of the given keys, in no particular order. Chunks of DynamoDB's limit of 100 keys are
 * requested in parallel. Unprocessed keys are requested again.
 *
 * @throws `try_again` if keys stay unprocessed
 */
export async function getMany<Item extends Key>(
  keys: readonly Key[],
  { consistent }: { consistent: boolean },
): Promise<Item[]> {
  const chunks = Array.from({ length: Math.ceil(keys.length / BATCH_GET_KEYS) }, (_, n) =>
    keys.slice(n * BATCH_GET_KEYS, (n + 1) * BATCH_GET_KEYS),
  );
  return (await Promise.all(chunks.map((chunk) => getChunk<Item>(chunk, consistent)))).flat();
}

/**
 * Returns at most 100 items with one consistent read, in the order of their keys. Items that do not exist are
 * undefined. One request is cheaper for a function than two parallel ones, also during a cold start.
 *
 * @throws `try_again` as `getMany` does
 */
export async function batchGetOrdered<Items extends readonly Key[]>(
  ...keys: { readonly [N in keyof Items]: Key }
): Promise<{ readonly [N in keyof Items]: Items[N] | undefined }> {
  const found = await getMany(keys, { consistent: true });
  const items = keys.map(({ PK, SK }) => found.find((item) => item.PK === PK && item.SK === SK));
  return items as { readonly [N in keyof Items]: Items[N] | undefined };
}

export interface PageOf<Item> {
  readonly items: readonly Item[];
  /** Whether the table has more items after the last of `items`. */
  readonly more: boolean;
}

/**
 * Returns at most `limit` items of one query. Requests one more item, to detect the last page. DynamoDB also ends a
 * page at 1 MB.
 */
export async function queryPage<Item extends Partial<Key>>(
  query: Omit<QueryCommandInput, 'TableName' | 'Limit'>,
  limit: number,
): Promise<PageOf<Item>> {
  const { Items = [], LastEvaluatedKey } = await dynamodb.send(
    new QueryCommand({ ...query, TableName: tableName(), Limit: limit + 1 }),
  );
  return { items: Items.slice(0, limit) as Item[], more: Items.length > limit || LastEvaluatedKey !== undefined };
}

/** Yields all items of one query, page by page as DynamoDB returns them (1 MB). */
export async function* queryAll<Item extends object>(
  query: Omit<QueryCommandInput, 'TableName' | 'ExclusiveStartKey'>,
): AsyncGenerator<Item[]> {
  let start: QueryCommandInput['ExclusiveStartKey'];
  do {
    const { Items = [], LastEvaluatedKey } = await dynamodb.send(
      new QueryCommand({ ...query, TableName: tableName(), ExclusiveStartKey: start }),
    );
    if (Items.length > 0) yield Items as Item[];
    start = LastEvaluatedKey;
  } while (start);
}
