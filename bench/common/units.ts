import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import * as v from 'valibot';
import { dynamodb } from '../../core/store/client.ts';
import type { dataTemplate } from '../../test/fixtures/data-template.ts';
import { type Layout, writeUnits } from './transaction-capacity.ts';

/*
 * Counts capacity units as DynamoDB Local reports them (ReturnConsumedCapacity). For transactions and missing items,
 * whose reports are wrong, it applies DynamoDB's rules. Import it only after the environment contains the table's name
 * and endpoint.
 */

/** One RCU is a consistent read of up to 4 KB. One WCU is a write of up to 1 KB. */
export interface Units {
  rcu: number;
  wcu: number;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The capacity units in a response of DynamoDB, which reports one number or one per table. */
function unitsOf(output: unknown): number {
  const consumed = isRecord(output) ? output.ConsumedCapacity : undefined;
  const all = Array.isArray(consumed) ? consumed : [consumed];
  return all.reduce<number>((sum, each) => sum + (isRecord(each) ? Number(each.CapacityUnits ?? 0) : 0), 0);
}

const batch = v.object({
  RequestItems: v.record(v.string(), v.object({ Keys: v.array(v.unknown()), ConsistentRead: v.optional(v.boolean()) })),
});
const batchAnswer = v.object({ Responses: v.record(v.string(), v.array(v.unknown())) });

/**
 * The read units of keys without an item in a BatchGetItem, which DynamoDB Local does not count. Each counts as much as
 * a minimal item.
 * @see https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
 */
function unitsOfMissing(input: unknown, output: unknown): number {
  const { Responses } = v.parse(batchAnswer, output);
  return Object.entries(v.parse(batch, input).RequestItems).reduce(
    (sum, [table, { Keys, ConsistentRead }]) =>
      sum + (Keys.length - (Responses[table]?.length ?? 0)) * (ConsistentRead ? 1 : 0.5),
    0,
  );
}

/** The attributes of the table's index. */
export function layoutOf(name: string, table: ReturnType<typeof dataTemplate>['table']): Layout {
  const [index] = table.GlobalSecondaryIndexes ?? [];
  const [indexKey, ...indexKeys] = (index?.KeySchema ?? []).map(({ AttributeName }) => AttributeName);
  if (!index || !indexKey) throw new Error('The table has no index.');
  return { table: name, indexKey, projected: [indexKey, ...indexKeys, ...(index.Projection.NonKeyAttributes ?? [])] };
}

/** Returns a function that counts the capacity units of `work`. Calls must not overlap. */
export function meter(client: DynamoDBClient, layout: Layout): (work: () => Promise<unknown>) => Promise<Units> {
  let counting: Units | undefined;
  dynamodb.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const units = counting;
        const run = () => next({ ...args, input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } });
        if (!units) return run();
        if (commandName !== 'TransactWriteItemsCommand') {
          const answer = await run();
          units[/Get|Query/.test(commandName) ? 'rcu' : 'wcu'] += unitsOf(answer.output);
          if (commandName === 'BatchGetItemCommand') units.rcu += unitsOfMissing(args.input, answer.output);
          return answer;
        }
        let answer: Awaited<ReturnType<typeof run>> | undefined;
        const written = await writeUnits(client, layout, args.input, async () => {
          answer = await run();
        });
        // Added after the await, so that concurrent counts are not lost.
        units.wcu += written;
        if (!answer) throw new Error('The transaction has no answer.');
        return answer;
      },
    { step: 'initialize', name: 'consumed-capacity', override: true },
  );
  return async (work) => {
    const mine: Units = { rcu: 0, wcu: 0 };
    counting = mine;
    try {
      await work();
    } finally {
      counting = undefined;
    }
    return mine;
  };
}
