import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import * as v from 'valibot';
import { dynamodb } from '../../core/store/client.ts';
import type { dataTemplate } from '../../test/fixtures/data-template.ts';
import { type Layout, writeUnits } from './transaction-capacity.ts';

/*
 * Counts capacity units: as DynamoDB Local reports them (ReturnConsumedCapacity), and where it reports them wrongly, for
 * transactions and for items that do not exist, by DynamoDB's rules. Load it only when the environment says where the table is.
 */

/** One RCU is a consistent read of 4 KB, one WCU a write of 1 KB. */
export interface Units {
  rcu: number;
  wcu: number;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The capacity units that an answer of DynamoDB reports: one number, or one a table. */
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
 * What DynamoDB Local leaves out: keys of a BatchGetItem with no item take as much as the smallest item does.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
 */
function unitsOfMissing(input: unknown, output: unknown): number {
  const { Responses } = v.parse(batchAnswer, output);
  return Object.entries(v.parse(batch, input).RequestItems).reduce(
    (sum, [table, { Keys, ConsistentRead }]) =>
      sum + (Keys.length - (Responses[table]?.length ?? 0)) * (ConsistentRead ? 1 : 0.5),
    0,
  );
}

/** What the table's index holds of an item. */
export function layoutOf(name: string, table: ReturnType<typeof dataTemplate>['table']): Layout {
  const [index] = table.GlobalSecondaryIndexes ?? [];
  const [indexKey, ...indexKeys] = (index?.KeySchema ?? []).map(({ AttributeName }) => AttributeName);
  if (!index || !indexKey) throw new Error('The table has no index.');
  return { table: name, indexKey, projected: [indexKey, ...indexKeys, ...(index.Projection.NonKeyAttributes ?? [])] };
}

/** Counts the capacity units of some work. Only one piece of work at a time can be counted. */
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
        // Only now: what else was counted meanwhile must not be lost.
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
