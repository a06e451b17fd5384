import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { monotonicFactory } from 'ulid';
import * as v from 'valibot';
import type { RoomEvent } from '../core/contract/realtime.ts';
import type { ConnectionItem } from '../core/store/items.ts';
import { connectionKey, connectionRoomKey } from '../core/store/keys.ts';
import { createTable, startDynamoDb } from '../local/dynamodb.ts';
import { dataTemplate } from '../test/support/data-template.ts';

const HELP = `Usage: npm run bench:fanout [-- options]

How long a chat message takes to everybody who has joined the room, from the moment in which
deliver-messages begins to send it: to the first receiver, to half of them, to 99 in a hundred,
and to the last. Real WebSockets, the local stack's gateway, the real SDK client, and DynamoDB
Local; sender, gateway and receivers are a process each. Milliseconds, medians of all rounds.

  --sizes <a,b>    connections in the room (default: 10,100,1000); growth is told against the first
  --bounds <a,b>   connections that are posted to at the same time (default: 25,50,100,200)
  --latency <ms>   what the gateway waits before it takes a post, in place of the network and
                   API Gateway (default: 15)
  --rounds <n>     messages for each line, after one that does not count (default: 7)
  --json           print JSON in place of the table
  --help           print this text
`;

interface Settings {
  readonly sizes: readonly number[];
  readonly bounds: readonly number[];
  readonly latency: number;
  readonly rounds: number;
  readonly json: boolean;
}

/** Times in milliseconds. */
interface Line {
  readonly connections: number;
  readonly bound: number;
  readonly first: number;
  readonly p50: number;
  readonly p99: number;
  readonly last: number;
}

function settings(): Settings | undefined {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string', default: '10,100,1000' },
      bounds: { type: 'string', default: '25,50,100,200' },
      latency: { type: 'string', default: '15' },
      rounds: { type: 'string', default: '7' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const numbers = (option: 'sizes' | 'bounds' | 'latency' | 'rounds', min: number, max: number): number[] => {
    const all = values[option].split(',').map(Number);
    if (all.every((each) => Number.isInteger(each) && each >= min && each <= max)) return all;
    throw new TypeError(`--${option} takes whole numbers from ${min} to ${max}, not "${values[option]}"`);
  };
  const [latency = 0] = numbers('latency', 0, 1_000);
  const [rounds = 1] = numbers('rounds', 1, 1_000);
  return {
    sizes: numbers('sizes', 1, 10_000),
    bounds: numbers('bounds', 1, 1_000),
    latency,
    rounds,
    json: values.json,
  };
}

/** Only ends what hangs, in milliseconds. */
const PATIENCE_MS = 120_000;

/** The next message of a process that has this shape. Throws where the process ends, or does not say anything for long. */
async function message<Schema extends v.GenericSchema>(
  child: ChildProcess,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const { promise, resolve, reject } = Promise.withResolvers<v.InferOutput<Schema>>();
  const onMessage = (data: unknown) => {
    if (v.is(schema, data)) resolve(data);
  };
  const onExit = (code: number | null) => reject(new Error(`${child.spawnargs[1]} ended with ${code}.`));
  const timer = setTimeout(
    () => reject(new Error(`${child.spawnargs[1]} has said nothing for ${PATIENCE_MS / 1_000} s.`)),
    PATIENCE_MS,
  );
  child.on('message', onMessage).once('exit', onExit);
  if (child.exitCode !== null) onExit(child.exitCode);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off('message', onMessage).off('exit', onExit);
  }
}

const start = (file: string, ...args: readonly (string | number)[]): ChildProcess =>
  fork(new URL(`fanout/${file}.ts`, import.meta.url), args.map(String));

const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const quantile = (sorted: readonly number[], q: number): number => sorted[Math.ceil(q * sorted.length) - 1] ?? 0;
const median = (numbers: readonly number[]): number => quantile(ascending(numbers), 0.5);

async function measure(chosen: Settings, say: (text: string) => void): Promise<Line[]> {
  say('Starting DynamoDB Local and the gateway …');
  const [local, gateway] = [await startDynamoDb({ port: 0 }), start('gateway', chosen.latency)];
  try {
    const { url } = await message(gateway, v.object({ url: v.string() }));
    Object.assign(process.env, {
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'bench',
      AWS_SECRET_ACCESS_KEY: 'bench',
      AWS_ENDPOINT_URL_DYNAMODB: local.url,
      TABLE_NAME: 'rooms-bench',
      CALLBACK_URL: `${url}/v1`,
    });
    await createTable(new DynamoDBClient(), 'rooms-bench', dataTemplate().table);
    const lines: Line[] = [];
    for (const size of chosen.sizes) {
      say(`Connecting ${size} …`);
      lines.push(...(await measureSize(size, chosen, gateway, url)));
    }
    return lines;
  } finally {
    gateway.disconnect();
    await local.close();
  }
}

async function measureSize(
  size: number,
  { bounds, rounds }: Settings,
  gateway: ChildProcess,
  url: string,
): Promise<Line[]> {
  // Loaded only now: the clients read their endpoints from the environment.
  const { broadcast } = await import('../core/realtime/broadcast.ts');
  const room_id = randomUUID();
  const ids: string[] = [];
  const collect = (data: unknown) => {
    if (v.is(v.object({ connection_id: v.string() }), data)) ids.push(data.connection_id);
  };
  gateway.on('message', collect);
  const listeners = start('listeners', `${url.replace('http', 'ws')}/v1`, size);
  try {
    await message(listeners, v.object({ ready: v.literal(true) }));
    // The gateway has accepted them all; that it says so may be on its way.
    while (ids.length < size) await message(gateway, v.object({ connection_id: v.string() }));
    await fill(room_id, ids);
    const lines: Line[] = [];
    const ulid = monotonicFactory();
    for (const bound of bounds) {
      const all: number[][] = [];
      for (let round = 0; round <= rounds; round++) {
        const received = message(listeners, v.object({ times: v.array(v.number()) }));
        // Where sending fails, nobody waits for it any more.
        received.catch(() => {});
        const sent_at = new Date().toISOString();
        const event: RoomEvent = {
          type: 'message',
          room_id,
          data: {
            message_id: ulid(),
            room_id,
            sender_id: randomUUID(),
            client_message_id: randomUUID(),
            text: 'x'.repeat(100),
            attachment: null,
            sent_at,
          },
          sent_at,
        };
        const begin = performance.timeOrigin + performance.now();
        const counts = await broadcast(room_id, [event], bound);
        if (counts.sent < size) throw new Error(`${size - counts.sent} of ${size} did not take a message.`);
        const times = ascending((await received).times.map((time) => time - begin));
        // The first warms up: sockets to the gateway, compiled code.
        if (round > 0) all.push(times);
      }
      const over = (pick: (times: readonly number[]) => number) => median(all.map(pick));
      lines.push({
        connections: size,
        bound,
        first: over((times) => times[0] ?? 0),
        p50: over((times) => quantile(times, 0.5)),
        p99: over((times) => quantile(times, 0.99)),
        last: over((times) => times.at(-1) ?? 0),
      });
    }
    return lines;
  } finally {
    gateway.off('message', collect);
    listeners.disconnect();
  }
}

/** Lets the connections have joined the room. */
async function fill(room_id: string, ids: readonly string[]): Promise<void> {
  const { dynamodb, tableName } = await import('../core/store/client.ts');
  const items = ids.map(
    (connection_id): ConnectionItem => ({
      ...connectionKey(room_id, connection_id),
      ...connectionRoomKey(room_id, connection_id),
      room_id,
      connection_id,
      participant_id: randomUUID(),
      token_expires_at: 4_000_000_000,
      expires_at: 4_000_000_000,
    }),
  );
  for (let n = 0; n < items.length; n += 25)
    await dynamodb.send(
      new BatchWriteCommand({
        RequestItems: { [tableName()]: items.slice(n, n + 25).map((Item) => ({ PutRequest: { Item } })) },
      }),
    );
}

function table(lines: readonly Line[]): string {
  const head = ['connections', 'bound', 'first', 'p50', 'p99', 'last', 'last, against the first size'];
  const cells = lines.map((line) => {
    const base = lines.find(({ bound }) => bound === line.bound)?.last ?? line.last;
    const { connections, bound, first, p50, p99, last } = line;
    return [
      connections,
      bound,
      ...[first, p50, p99, last].map((ms) => Math.round(ms)),
      `× ${(last / base).toFixed(1)}`,
    ];
  });
  const widths = head.map((_, n) => Math.max(...[head, ...cells].map((line) => String(line[n]).length)));
  const row = (line: readonly (string | number)[]) =>
    line.map((cell, n) => String(cell).padStart(widths[n] ?? 0)).join('  ');
  return [row(head), row(widths.map((width) => '-'.repeat(width))), ...cells.map(row)].join('\n');
}

try {
  const chosen = settings();
  if (chosen) {
    const lines = await measure(chosen, (text) => console.error(text));
    console.log(chosen.json ? JSON.stringify(lines, null, 2) : table(lines));
  } else console.log(HELP);
} catch (error) {
  const usage = error instanceof TypeError;
  console.error(usage ? `${error.message}. npm run bench:fanout -- --help says what there is.` : error);
  process.exitCode = usage ? 2 : 1;
}
