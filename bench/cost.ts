import { allRoutes, routes } from '../core/contract/index.ts';
import { actions } from '../core/contract/realtime.ts';
import { dataTemplate } from '../test/fixtures/data-template.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { main, number, say } from './common/command.ts';
import type { Scale } from './common/fill.ts';
import { rounded } from './common/numbers.ts';
import { type Cell, textTable } from './common/table.ts';
import { calls, frames, quietly, send, sendFrame, TABLE, withTable } from './common/world.ts';

const SCRIPT = 'npm run bench:cost --';
const HELP = `Usage: ${SCRIPT} [options]

Runs every endpoint and every WebSocket action successfully against DynamoDB Local, and prints its costs: sequential
round trips, requests, and capacity units as reported by DynamoDB Local (ReturnConsumedCapacity). One RCU is a
consistent read of 4 KB, and one WCU is a write of 1 KB. Writes of transactions count twice. The units of transactions
are calculated from their items, because DynamoDB Local reports them wrongly.

Uses rooms of 2, 100 and 10,000 participants with 100, 1,000 and 100,000 messages. One participant is in 2, 100 and
10,000 rooms. A history of 1 million messages has the same costs, because a page is found by its key, but DynamoDB Local
needs about 10 minutes to store it.

  --messages <n>  messages in the largest room (default: 100000)
  --quick         the two smaller rooms
  --json          print JSON instead of the table
  --help          print this text
`;

export interface Cost {
  /** An operation of the HTTP API, or an action of the WebSocket API. */
  readonly operation: string;
  readonly kind: 'http' | 'websocket';
  /** The special condition of the call. */
  readonly note: string;
  readonly scale: Scale;
  /** Sequential round trips to DynamoDB. */
  readonly trips: number;
  readonly requests: number;
  /** Read and write capacity units. */
  readonly rcu: number;
  readonly wcu: number;
}

const SCALES: readonly Scale[] = [
  { participants: 2, rooms: 2, messages: 100 },
  { participants: 100, rooms: 100, messages: 1_000 },
  { participants: 10_000, rooms: 10_000, messages: 100_000 },
];

async function measure(scales: readonly Scale[]): Promise<Cost[]> {
  say('Starting DynamoDB Local …');
  return withTable(async (_, client) => {
    // Imported dynamically, because the client reads its endpoint from the environment on import.
    const { traced } = await import('../test/fixtures/trace.ts');
    const { layoutOf, meter } = await import('./common/units.ts');
    const { roomOf } = await import('./common/fill.ts');
    const count = meter(client, layoutOf(TABLE, dataTemplate().table));
    const costs: Cost[] = [];
    for (const scale of scales) {
      const { participants, rooms, messages } = scale;
      say(`Filling a room: ${participants} participants, ${rooms} rooms of its admin, ${messages} messages …`);
      const room = await quietly(() => roomOf(scale));
      const measured = async (kind: Cost['kind'], operation: string, note: string, work: () => Promise<unknown>) => {
        let trips = 0;
        let requests = 0;
        const units = await quietly(() =>
          count(async () => {
            const { trace } = await traced(work);
            ({ trips } = trace);
            requests = trace.requests.length;
          }),
        );
        costs.push({ operation, kind, note, scale, trips, requests, ...units });
      };
      for (const { operation, note = '', request } of calls(room))
        await measured('http', operation, note, () => send(operation, request));
      for (const frame of frames(room))
        await measured('websocket', frame.action, frame.note ?? '', () => sendFrame(frame));
    }
    const forgotten = [...allRoutes.map(({ operation }) => operation), ...Object.keys(actions)].filter(
      (name) => !costs.some(({ operation }) => operation === name),
    );
    if (forgotten.length > 0) throw new Error(`Nothing measures ${forgotten.join(', ')}.`);
    return costs;
  });
}

/** One row per call, with its trips, requests, RCU and WCU for each size of room. */
function table(costs: readonly Cost[], scales: readonly Scale[]): string {
  const columns = ['trips', 'requests', 'RCU', 'WCU'];
  const perScale = costs.length / scales.length;
  const lines = costs.slice(0, perScale).map(({ operation, kind, note }, index) => {
    const route = kind === 'http' ? Object.values(routes).find((each) => each.operation === operation) : undefined;
    const cells = scales.flatMap((_, k): Cell[] => {
      const cost = costs[k * perScale + index];
      return cost ? [cost.trips, cost.requests, rounded(cost.rcu, 1), rounded(cost.wcu, 1)] : columns.map(() => '');
    });
    return [`${route ? `${route.method} ${route.path}` : `frame ${operation}`}${note && ` (${note})`}`, ...cells];
  });
  const head = scales.flatMap(({ participants }) =>
    columns.map((name, n) => (n === 0 ? `${participants}: ${name}` : name)),
  );
  return textTable(['endpoint', ...head], lines);
}

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        messages: { type: 'string', default: '100000' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const messages = number('messages', values.messages, 1_000, 10_000_000);
  const scales = values.quick
    ? SCALES.slice(0, -1)
    : SCALES.map((scale, n) => (n === SCALES.length - 1 ? { ...scale, messages } : scale));
  const costs = await measure(scales);
  return values.json ? JSON.stringify(costs, null, 2) : table(costs, scales);
});
