import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { allRoutes, routes } from '../core/contract/index.ts';
import { createTable, startDynamoDb } from '../local/dynamodb.ts';
import { dataTemplate } from '../test/support/data-template.ts';
import type { Operation, Request } from '../test/support/event.ts';
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
  readonly operation: string;
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

interface Call {
  readonly operation: Operation;
  readonly note?: string;
  readonly request: Request;
}

function settings(): { sizes: number[]; json: boolean } | undefined {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string', default: '2,1000' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const sizes = values.sizes.split(',').map(Number);
  if (!sizes.every((size) => Number.isInteger(size) && size >= 2 && size <= 100_000))
    throw new TypeError(`--sizes takes whole numbers from 2 to 100000, separated by commas, not "${values.sizes}"`);
  return { sizes, json: values.json };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The capacity units that an answer of DynamoDB reports: one number, or one a table. */
function unitsOf(output: unknown): number {
  const consumed = isRecord(output) ? output.ConsumedCapacity : undefined;
  const all = Array.isArray(consumed) ? consumed : [consumed];
  return all.reduce<number>((sum, each) => sum + (isRecord(each) ? Number(each.CapacityUnits ?? 0) : 0), 0);
}

async function measure(sizes: readonly number[], say: (text: string) => void): Promise<Cost[]> {
  say('Starting DynamoDB Local …');
  const local = await startDynamoDb({ port: 0 });
  try {
    Object.assign(process.env, {
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'bench',
      AWS_SECRET_ACCESS_KEY: 'bench',
      AWS_ENDPOINT_URL_DYNAMODB: local.url,
      TABLE_NAME: 'rooms-bench',
      BUCKET_NAME: 'rooms-bench',
      MAX_UPLOAD_BYTES: '1000000',
      CURSOR_KEY: randomUUID(),
    });
    const { table } = dataTemplate();
    const [index] = table.GlobalSecondaryIndexes ?? [];
    const [indexKey, ...indexKeys] = (index?.KeySchema ?? []).map(({ AttributeName }) => AttributeName);
    if (!index || !indexKey) throw new Error('The table has no index.');
    const projected = [indexKey, ...indexKeys, ...(index.Projection.NonKeyAttributes ?? [])];
    const client = new DynamoDBClient();
    await createTable(client, 'rooms-bench', table);
    const costs: Cost[] = [];
    for (const size of sizes) {
      say(`Filling a room with ${size} participants and messages, and ${size} rooms of its admin …`);
      costs.push(...(await measureRoom(size, client, { table: 'rooms-bench', indexKey, projected })));
    }
    return costs;
  } finally {
    await local.close();
  }
}

async function measureRoom(size: number, client: DynamoDBClient, layout: Layout): Promise<Cost[]> {
  // Loaded only now: the client reads its endpoint from the environment.
  const { dynamodb } = await import('../core/store/client.ts');
  const { appendMessage } = await import('../core/store/messages.ts');
  const { traced } = await import('../test/support/trace.ts');
  const { context, handlerOf, httpEvent } = await import('../test/support/event.ts');

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

  async function send(operation: Operation, request: Request): Promise<Record<string, unknown>> {
    const route = routes[operation];
    const { statusCode, body } = await (await handlerOf(route))(httpEvent(route, request), context);
    if (statusCode !== route.status) throw new Error(`${operation} answered ${statusCode}: ${body}`);
    return JSON.parse(body ?? '').data;
  }
  const quietly = async <T>(work: () => Promise<T>): Promise<T> => {
    const { info } = console;
    console.info = () => {};
    try {
      return await work();
    } finally {
      console.info = info;
    }
  };

  return quietly(async () => {
    const [admin, member] = [randomUUID(), randomUUID()];
    const { room_id } = await send('createRoom', { as: admin, body: { name: 'Stand-up', participant_ids: [member] } });
    const params = { room_id: String(room_id) };
    for (let left = size - 2; left > 0; left -= 50) {
      const participant_ids = Array.from({ length: Math.min(left, 50) }, () => randomUUID());
      await send('addParticipants', { as: admin, params, body: { participant_ids } });
    }
    for (let n = 1; n < size; n++) await send('createRoom', { as: admin, body: { name: `Room ${n}` } });
    const said = { room_id: params.room_id, sender_id: member, text: 'x'.repeat(100) };
    for (let n = 0; n < size; n++)
      await appendMessage({ ...said, client_message_id: randomUUID(), now: new Date().toISOString() });
    const file = { name: 'plan.pdf', size: 48_213, content_type: 'application/pdf' };
    const { file_id } = await send('createUpload', { as: member, params, query: file });

    const ten = Array.from({ length: 10 }, () => randomUUID());
    const ofMember = { ...params, participant_id: member };
    const calls: readonly Call[] = [
      { operation: 'createRoom', request: { as: admin, body: { name: 'x' } } },
      {
        operation: 'createRoom',
        note: 'with 10 others and a key',
        request: { as: admin, body: { name: 'x', participant_ids: ten }, headers: { 'Idempotency-Key': randomUUID() } },
      },
      { operation: 'changeRoom', request: { as: admin, params, body: { name: 'Stand-up, team Blue' } } },
      { operation: 'addParticipants', note: '10', request: { as: admin, params, body: { participant_ids: ten } } },
      { operation: 'removeParticipants', note: '10', request: { as: admin, params, body: { participant_ids: ten } } },
      { operation: 'grantAdmin', request: { as: admin, params: ofMember } },
      { operation: 'revokeAdmin', request: { as: admin, params: ofMember } },
      { operation: 'listRooms', note: 'page of 50', request: { as: admin } },
      { operation: 'getRoom', request: { as: member, params } },
      { operation: 'listParticipants', note: 'page of 50', request: { as: member, params } },
      { operation: 'updateProfile', request: { as: member, params, body: { username: 'Bob' } } },
      { operation: 'listMessages', note: 'page of 50', request: { as: member, params } },
      { operation: 'createUpload', request: { as: member, params, query: file } },
      { operation: 'createDownload', request: { as: member, params, query: { file_id: String(file_id) } } },
      { operation: 'endRoom', request: { as: admin, params } },
    ];
    const forgotten = allRoutes.filter((route) => !calls.some(({ operation }) => operation === route.operation));
    if (forgotten.length > 0)
      throw new Error(`No call measures ${forgotten.map(({ operation }) => operation).join(', ')}.`);

    const costs: Cost[] = [];
    for (const { operation, note = '', request } of calls) {
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
  const [first = 0] = sizes;
  const columns = ['trips', 'requests', 'RCU', 'WCU'];
  const number = (value: number): string => String(Math.round(value * 10) / 10);
  const head = ['endpoint', ...sizes.flatMap(() => columns)];
  const lines = costs
    .map((cost, index) => ({ ...cost, index }))
    .filter(({ size }) => size === first)
    .map(({ operation, note, index }) => {
      const { method, path } = routes[operation as Operation];
      const perSize = costs.length / sizes.length;
      return [
        `${method} ${path}${note && ` (${note})`}`,
        ...sizes.flatMap((_, k) => {
          const cost = costs[k * perSize + index];
          return cost ? [cost.trips, cost.requests, cost.rcu, cost.wcu].map(number) : columns.map(() => '');
        }),
      ];
    });
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0)));
  const row = (cells: readonly string[]): string =>
    cells.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join('  ');
  const group = widths.slice(1, 1 + columns.length).reduce((sum, width) => sum + width + 2, 0);
  const over = `${' '.repeat(widths[0] ?? 0)}${sizes.map((size) => `${size} participants`.padStart(group)).join('')}`;
  return [over, row(head), row(widths.map((width) => '-'.repeat(width))), ...lines.map(row)].join('\n');
}

try {
  const chosen = settings();
  if (chosen) {
    const costs = await measure(chosen.sizes, (text) => console.error(text));
    console.log(chosen.json ? JSON.stringify(costs, null, 2) : table(costs, chosen.sizes));
  } else console.log(HELP);
} catch (error) {
  const usage = error instanceof TypeError;
  console.error(usage ? `${error.message}. npm run bench:cost -- --help says what there is.` : error);
  process.exitCode = usage ? 2 : 1;
}
