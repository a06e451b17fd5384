import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import * as v from 'valibot';
import { SUB_PROTOCOL } from '../core/contract/sub-protocols.ts';
import { requestToken } from '../local/oidc/oidc-issuer.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { main, number, numbers, say } from './common/command.ts';
import { modelled, PARTS, type Split } from './common/latency-model.ts';
import { ascending, quantile, rounded, sum } from './common/numbers.ts';
import { type Cell, textTable } from './common/table.ts';
import { environment } from './common/world.ts';
import { message } from './fanout/processes.ts';

const SCRIPT = 'npm run bench:latency --';
const HELP = `Usage: ${SCRIPT} [options]

Measures the time from "send" until the last connection in the room has the message, on the local stack. Uses real
WebSockets, the deployed functions, and DynamoDB Local with its stream. The time has five parts:

  request   from the sender until the function "message" begins
  write     until it has ended
  stream    until deliver-messages begins; the local stack polls the stream every 30 ms
  fan-out   until the first receiver has the message
  post      until the last receiver has it

Also prints the times on AWS according to a model: published measurements of the stream, and posts with the CPU share of
deliver-messages. All times are in milliseconds.

  --receivers <a,b>  connections in the room (default: 10,100,1000)
  --rounds <n>       messages per line, after 5 that are not counted (default: 60)
  --protocol <name>  sub-protocol of the connections (default: ${SUB_PROTOCOL})
  --json             print JSON instead of the table
  --help             print this text
`;

/** The number of warm-up messages, which start environments, open sockets and compile code. */
const WARM_UP = 5;
/**
 * The maximum pause between messages, in milliseconds. It is random, so that messages arrive at any point of the
 * stream's polling interval.
 */
const PAUSE_MS = 100;

export interface LatencyLine {
  readonly receivers: number;
  /** From `send` to the last receiver, measured on the local stack. */
  readonly p50: number;
  readonly p99: number;
  /** Median duration of each step. */
  readonly parts: Split;
  /** Estimated durations on AWS, by the model. */
  readonly model: { readonly p50: number; readonly p99: number; readonly parts: Split };
}

const part = (file: string, ...args: readonly string[]): ChildProcess =>
  fork(fileURLToPath(new URL(`latency/${file}`, import.meta.url)), args);

const places = v.object({ http: v.string(), ws: v.string(), issuer: v.string(), dynamodb: v.string() });
const connected = v.object({ connection_id: v.string() });
const passed = v.object({
  number: v.number(),
  step: v.picklist(['write', 'deliver']),
  begin: v.number(),
  end: v.number(),
});
const received = v.object({ number: v.number(), sent: v.number(), first: v.number(), last: v.number() });
const created = v.object({ data: v.object({ room_id: v.string() }) });

interface Options {
  readonly receivers: readonly number[];
  readonly rounds: number;
  readonly protocol: string;
}

async function measure({ receivers, rounds, protocol }: Options): Promise<LatencyLine[]> {
  say('Starting the local stack …');
  const stack = part('stack.ts');
  try {
    const { http, ws, issuer, dynamodb } = await message(stack, places);
    const client = new DynamoDBClient({ endpoint: dynamodb, ...CLIENT });
    const { TableNames: [TABLE_NAME = ''] = [] } = await client.send(new ListTablesCommand());
    Object.assign(process.env, environment(dynamodb), { TABLE_NAME });
    const token = await requestToken(issuer, 'bench');
    const lines: LatencyLine[] = [];
    for (const count of receivers) {
      say(`Connecting ${count} …`);
      const answer = await fetch(`${http}/room`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'Latency' }),
      });
      const { room_id } = v.parse(created, await answer.json()).data;
      lines.push(await measureRoom(stack, [ws, protocol, token, room_id], count, rounds));
    }
    return lines;
  } finally {
    stack.disconnect();
  }
}

/** DynamoDB Local accepts any credentials. */
const CLIENT = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };

/** The maximum wait for one step, in milliseconds: about the time-out of a connection. */
const STEP_MS = 60_000;

/** @throws if the condition does not become true in time */
async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + STEP_MS;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${STEP_MS / 1_000} s.`);
    await sleep(1);
  }
}

type Place = readonly [ws: string, protocol: string, token: string, room_id: string];

async function measureRoom(stack: ChildProcess, place: Place, count: number, rounds: number): Promise<LatencyLine> {
  // Imported dynamically, because the client reads its endpoint from the environment on import.
  const { haveJoined } = await import('../test/fixtures/write-items.ts');
  const ids: string[] = [];
  const steps = new Map<string, v.InferOutput<typeof passed>>();
  const collect = (data: unknown) => {
    if (v.is(connected, data)) ids.push(data.connection_id);
    if (v.is(passed, data)) steps.set(`${data.step} ${data.number}`, data);
  };
  stack.on('message', collect);
  const clients = part('clients.ts', ...place, String(count));
  try {
    await message(clients, v.object({ receivers: v.number() }));
    const ready = message(clients, v.object({ ready: v.literal(true) }));
    await until(`${count} connections`, () => ids.length >= count);
    // Writes the connections directly, because 1,000 real joins would also send presence events.
    await haveJoined(place[3], ids.slice(0, count));
    await ready;
    const splits: Split[] = [];
    for (let round = -WARM_UP; round < rounds; round++) {
      const id = nextNumber++;
      const answer = message(clients, received);
      clients.send(id);
      const { sent, first, last } = await answer;
      await until(`the delivery of message ${id}`, () => steps.has(`deliver ${id}`));
      const [write, deliver] = [steps.get(`write ${id}`), steps.get(`deliver ${id}`)];
      if (!write || !deliver) throw new Error(`Message ${id} was received before it was written.`);
      // The function may read the stream record before the sender gets the reply.
      const written = Math.min(write.end, deliver.begin);
      if (round >= 0)
        splits.push({
          request: write.begin - sent,
          write: written - write.begin,
          stream: deliver.begin - written,
          'fan-out': first - deliver.begin,
          post: last - first,
        });
      await sleep(Math.random() * PAUSE_MS);
    }
    return lineOf(count, splits);
  } finally {
    clients.disconnect();
    stack.off('message', collect);
  }
}

let nextNumber = 0;

const splitOf = (value: (name: keyof Split) => number): Split => ({
  request: rounded(value('request'), 1),
  write: rounded(value('write'), 1),
  stream: rounded(value('stream'), 1),
  'fan-out': rounded(value('fan-out'), 1),
  post: rounded(value('post'), 1),
});

function lineOf(receivers: number, splits: readonly Split[]): LatencyLine {
  const totals = ascending(splits.map((split) => sum(Object.values(split))));
  const model = (q: 'p50' | 'p99') => rounded(sum(Object.values(modelled(receivers, q))));
  return {
    receivers,
    p50: rounded(quantile(totals, 0.5), 1),
    p99: rounded(quantile(totals, 0.99), 1),
    parts: splitOf((name) => quantile(ascending(splits.map((split) => split[name])), 0.5)),
    model: { p50: model('p50'), p99: model('p99'), parts: splitOf((name) => modelled(receivers, 'p50')[name]) },
  };
}

const table = (lines: readonly LatencyLine[]): string =>
  textTable(
    ['receivers', 'p50', 'p99', ...PARTS],
    lines.flatMap(({ receivers, p50, p99, parts, model }): Cell[][] => [
      [receivers, p50, p99, ...PARTS.map((name) => parts[name])],
      [`${receivers}, on AWS (model)`, model.p50, model.p99, ...PARTS.map((name) => model.parts[name])],
    ]),
  );

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        receivers: { type: 'string', default: '10,100,1000' },
        rounds: { type: 'string', default: '60' },
        protocol: { type: 'string', default: SUB_PROTOCOL },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const lines = await measure({
    receivers: numbers('receivers', values.receivers, 1, 10_000),
    rounds: number('rounds', values.rounds, 1, 10_000),
    protocol: values.protocol,
  });
  return values.json ? JSON.stringify(lines, null, 2) : table(lines);
});
