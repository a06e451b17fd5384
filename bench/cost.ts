import { randomUUID } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { routes } from '../core/contract/index.ts';
import { parseCommandLine } from '../local/command-line.ts';
import { dataTemplate } from '../test/support/data-template.ts';
import type { Operation } from '../test/support/event.ts';
import { main, numbers, say } from './common/command.ts';
import { rounded } from './common/numbers.ts';
import { type Cell, textTable } from './common/table.ts';
import { calls, newRoom, quietly, send, TABLE, withTable } from './common/world.ts';
import { type Layout, writeUnits } from './transaction-capacity.ts';

const HELP = `Usage: npm run bench:cost [-- options]

Runs every endpoint on its success path against DynamoDB Local, and prints what each call
costs: sequential round trips, requests, and capacity units, as DynamoDB Local reports them
(ReturnConsumedCapacity). One RCU is a consistent read of 4 KB, one WCU a write of 1 KB; what
a transaction writes counts twice. Transactions are counted by DynamoDB's rules from the items
they write, because DynamoDB Local reports them wrongly.

  --sizes <a,b>   participants of the rooms to compare, as many rooms of the caller, and as
                  many messages (default: 2,1000)
  --json          print JSON in place of the table
  --help          print this text
`;

interface Cost {
  readonly operation: Operation;
  /** What is special about the call. */
  readonly note: string;
  /** Participants of the room; as many rooms has the caller, and as many messages the chat. */
  readonly size: number;
  /** Sequential round trips to DynamoDB. */
  readonly trips: number;
  readonly requests: number;
  /** Read and write capacity units. */
  readonly rcu: number;
  readonly wcu: number;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The capacity units that an answer of DynamoDB reports: one number, or one a table. */
function unitsOf(output: unknown): number {
  const consumed = isRecord(output) ? output.ConsumedCapacity : undefined;
  const all = Array.isArray(consumed) ? consumed : [consumed];
  return all.reduce<number>((sum, each) => sum + (isRecord(each) ? Number(each.CapacityUnits ?? 0) : 0), 0);
}

async function measure(sizes: readonly number[]): Promise<Cost[]> {
  say('Starting DynamoDB Local …');
  return withTable(async (_, client) => {
    const { table } = dataTemplate();
    const [index] = table.GlobalSecondaryIndexes ?? [];
    const [indexKey, ...indexKeys] = (index?.KeySchema ?? []).map(({ AttributeName }) => AttributeName);
    if (!index || !indexKey) throw new Error('The table has no index.');
    const projected = [indexKey, ...indexKeys, ...(index.Projection.NonKeyAttributes ?? [])];
    const costs: Cost[] = [];
    for (const size of sizes) {
      say(`Filling a room with ${size} participants and messages, and ${size} rooms of its admin …`);
      costs.push(...(await measureRoom(size, client, { table: TABLE, indexKey, projected })));
    }
    return costs;
  });
}

async function measureRoom(size: number, client: DynamoDBClient, layout: Layout): Promise<Cost[]> {
  // Loaded only now: the client reads its endpoint from the environment.
  const { dynamodb } = await import('../core/store/client.ts');
  const { appendMessage } = await import('../core/store/messages.ts');
  const { traced } = await import('../test/support/trace.ts');

  const units = { read: 0, write: 0 };
  let measuring = false;
  dynamodb.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const run = () => next({ ...args, input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } });
        if (!measuring) return run();
        if (commandName !== 'TransactWriteItemsCommand') {
          const answer = await run();
          units[/Get|Query/.test(commandName) ? 'read' : 'write'] += unitsOf(answer.output);
          return answer;
        }
        let answer: Awaited<ReturnType<typeof run>> | undefined;
        units.write += await writeUnits(client, layout, args.input, async () => {
          answer = await run();
        });
        if (!answer) throw new Error('The transaction has no answer.');
        return answer;
      },
    { step: 'initialize', name: 'consumed-capacity', override: true },
  );

  return quietly(async () => {
    const room = await newRoom();
    const { room_id, admin, member } = room;
    for (let left = size - 2; left > 0; left -= 50) {
      const participant_ids = Array.from({ length: Math.min(left, 50) }, () => randomUUID());
      await send('addParticipants', { as: admin, params: { room_id }, body: { participant_ids } });
    }
    for (let n = 1; n < size; n++) await send('createRoom', { as: admin, body: { name: `Room ${n}` } });
    const said = { room_id, sender_id: member, text: 'x'.repeat(100) };
    for (let n = 0; n < size; n++)
      await appendMessage({ ...said, client_message_id: randomUUID(), now: new Date().toISOString() });

    const costs: Cost[] = [];
    for (const { operation, note = '', request } of calls(room)) {
      Object.assign(units, { read: 0, write: 0 });
      measuring = true;
      const { trace } = await traced(() => send(operation, request));
      measuring = false;
      const { trips, requests } = trace;
      costs.push({ operation, note, size, trips, requests: requests.length, rcu: units.read, wcu: units.write });
    }
    return costs;
  });
}

/** One line a call; trips, requests, RCU and WCU once for each size of room. */
function table(costs: readonly Cost[], sizes: readonly number[]): string {
  const columns = ['trips', 'requests', 'RCU', 'WCU'];
  const perSize = costs.length / sizes.length;
  const lines = costs.slice(0, perSize).map(({ operation, note }, index) => {
    const { method, path } = routes[operation];
    const cells = sizes.flatMap((_, k): Cell[] => {
      const cost = costs[k * perSize + index];
      return cost ? [cost.trips, cost.requests, rounded(cost.rcu, 1), rounded(cost.wcu, 1)] : columns.map(() => '');
    });
    return [`${method} ${path}${note && ` (${note})`}`, ...cells];
  });
  const head = [
    'endpoint',
    ...sizes.flatMap((size) => columns.map((name, n) => (n === 0 ? `${size}: ${name}` : name))),
  ];
  return textTable(head, lines);
}

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        sizes: { type: 'string', default: '2,1000' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    'npm run bench:cost -- --help',
  );
  if (values.help) return HELP;
  const sizes = numbers('sizes', values.sizes, 2, 100_000);
  const costs = await measure(sizes);
  return values.json ? JSON.stringify(costs, null, 2) : table(costs, sizes);
});
