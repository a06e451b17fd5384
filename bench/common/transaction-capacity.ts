import { type AttributeValue, type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import * as v from 'valibot';

/*
 * The capacity units of a transaction by DynamoDB's rules. DynamoDB Local reports 4 or 12 units for almost every
 * transaction. For single writes and for reads, its numbers are correct.
 */

type Item = Readonly<Record<string, AttributeValue>>;

/** The name of the table, and the attributes of its index. */
export interface Layout {
  readonly table: string;
  /** Only items with this attribute are in the index. */
  readonly indexKey: string;
  /** The projected attributes of the index, in addition to the table's keys. */
  readonly projected: readonly string[];
}

const KB = 1_024;
const bytes = (text: string): number => Buffer.byteLength(text);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
function valueBytes(value: AttributeValue): number {
  if (value.S !== undefined) return bytes(value.S);
  if (value.N !== undefined) return Math.ceil(value.N.length / 2) + 1;
  if (value.SS !== undefined) return sum(value.SS.map(bytes));
  if (value.L !== undefined) return 3 + sum(value.L.map((each) => 1 + valueBytes(each)));
  if (value.M !== undefined) return 3 + sum(Object.values(value.M).map(() => 1)) + itemBytes(value.M);
  return 1;
}
const itemBytes = (item: Item): number =>
  sum(Object.entries(item).map(([name, value]) => bytes(name) + valueBytes(value)));
/** Write units of an item: one per started KB. */
const units = (item: Item = {}): number => Math.max(1, Math.ceil(itemBytes(item) / KB));

/** The projection of an item in the index. Undefined if the index does not contain it. */
function indexed(item: Item | undefined, { indexKey, projected }: Layout): Item | undefined {
  if (!item?.[indexKey]) return undefined;
  const kept = ['PK', 'SK', ...projected].filter((name) => item[name]);
  return Object.fromEntries(kept.map((name) => [name, item[name] ?? { NULL: true }]));
}

const input = v.object({
  TransactItems: v.array(
    v.record(
      v.string(),
      v.object({
        Key: v.optional(v.record(v.string(), v.unknown())),
        Item: v.optional(v.record(v.string(), v.unknown())),
      }),
    ),
  ),
});

/** The keys of all items in a transaction. */
function keysOf(transaction: unknown): { PK: string; SK: string }[] {
  const key = v.object({ PK: v.string(), SK: v.string() });
  return v
    .parse(input, transaction)
    .TransactItems.flatMap((action) => Object.values(action).map(({ Key, Item }) => v.parse(key, Key ?? Item)));
}

/**
 * Runs a transaction, and returns its write units: two per KB of each item, before or after the write, whichever is
 * larger. If the item's projection in the index changes, one index write is added.
 */
export async function writeUnits(
  client: DynamoDBClient,
  layout: Layout,
  transaction: unknown,
  run: () => Promise<void>,
): Promise<number> {
  const keys = keysOf(transaction);
  const read = () =>
    Promise.all(
      keys.map(async (key) => {
        const command = new GetItemCommand({ TableName: layout.table, Key: marshall(key), ConsistentRead: true });
        return (await client.send(command)).Item;
      }),
    );
  const before = await read();
  await run();
  const after = await read();
  return sum(
    keys.map((_, n) => {
      const [old, now] = [indexed(before[n], layout), indexed(after[n], layout)];
      const ofIndex = JSON.stringify(old) === JSON.stringify(now) ? 0 : Math.max(units(old), units(now));
      return 2 * Math.max(units(before[n]), units(after[n])) + ofIndex;
    }),
  );
}
