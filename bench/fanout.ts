import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { monotonicFactory } from 'ulid';
import * as v from 'valibot';
import type { RoomEvent } from '../core/contract/realtime.ts';
import { SUB_PROTOCOLS, type SubProtocol } from '../core/contract/sub-protocols.ts';
import { toMessage } from '../core/store/items.ts';
import { messageKey } from '../core/store/keys.ts';
import { createTable, startDynamoDb } from '../local/dynamodb/dynamodb-local.ts';
import { dataTemplate } from '../test/fixtures/data-template.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { main, number, numbers, say } from './common/command.ts';
import { shareOf } from './common/cpu-share.ts';
import { ascending, median, quantile, rounded } from './common/numbers.ts';
import { textTable } from './common/table.ts';
import { environment, TABLE } from './common/world.ts';
import { type Batch, type BatchLine, measureBatches } from './fanout/batches.ts';
import { type Ended, type Invocations, startInvocations } from './fanout/invocations.ts';
import { measureNeighbor, type NeighborLine } from './fanout/neighbor.ts';
import { measurePosts } from './fanout/posts.ts';
import { message, start } from './fanout/processes.ts';

const SCRIPT = 'npm run bench:fanout --';
const HELP = `Usage: ${SCRIPT} [options]

Measures the time from the start of deliver-messages until a chat message reaches the first connection in the room, 50 %,
99 % and the last. Uses real WebSockets, the local stack's gateway, the AWS SDK and DynamoDB Local. The gateway, the
receivers and each invocation run in separate processes. Prints medians of all rounds in milliseconds.

Several invocations deliver to a large room. On one machine, they share the processors, unlike on AWS. Therefore, the
output also has the CPU time of the busiest invocation in milliseconds, and its maximum memory in MB.

  --sizes <a,b>    connections in the room (default: 10,100,500,1000); growth is relative to the
                   first size
  --latency <ms>   delay of a post at the gateway, instead of the network and
                   API Gateway (default: 15)
  --rounds <n>     messages per line, after one that is not counted (default: 7)
  --batches <a,b>  measure batches of the stream instead, as <rooms>x<connections>, or
                   <rooms>x<connections>x<messages of each room>, with the deployed bundle, the CPU
                   quota of 1,024 MB on Lambda, production limits, TLS, and 20 ms per post
  --protocols <a>  measure each of these batches with each of these versions of
                   the protocol (default: rooms.v1,rooms.v2)
  --neighbor <n>   measure n times how much a batch of another room delays the message of a room of two,
                   with 1 vCPU
  --posts          measure the CPU time of one post instead, in a warm process with TLS
  --bundle <file>  another bundle of deliver-messages, for comparison
  --json           print JSON instead of the table
  --help           print this text
`;

interface Settings {
  readonly sizes: readonly number[];
  readonly latency: number;
  readonly rounds: number;
}

interface Line {
  readonly connections: number;
  readonly invocations: number;
  /** In milliseconds, like the next three fields. */
  readonly first: number;
  readonly p50: number;
  readonly p99: number;
  readonly last: number;
  /** CPU time of the busiest invocation, in milliseconds. */
  readonly cpu: number;
  /** Memory of the largest invocation, in megabytes. */
  readonly memory: number;
}

async function measure(chosen: Settings): Promise<Line[]> {
  say('Starting DynamoDB Local and the gateway …');
  const [local, gateway, invocations] = [
    await startDynamoDb({ port: 0 }),
    start('gateway.ts', chosen.latency),
    await startInvocations(),
  ];
  try {
    const { url } = await message(gateway, v.object({ url: v.string() }));
    Object.assign(process.env, environment(local.url), invocations.environment, { CALLBACK_URL: `${url}/v1` });
    await createTable(new DynamoDBClient(), TABLE, dataTemplate().table);
    const lines: Line[] = [];
    for (const size of chosen.sizes) {
      say(`Connecting ${size} …`);
      lines.push(await measureSize(size, chosen, { gateway, url, invocations }));
    }
    return lines;
  } finally {
    gateway.disconnect();
    await invocations.close();
    await local.close();
  }
}

interface Parts {
  readonly gateway: ChildProcess;
  readonly url: string;
  readonly invocations: Invocations;
}

async function measureSize(size: number, settings: Settings, { gateway, url, invocations }: Parts): Promise<Line> {
  // Imported dynamically, because the clients read their endpoints from the environment on import.
  const { haveJoined } = await import('../test/fixtures/write-items.ts');
  const ids: string[] = [];
  const collect = (data: unknown) => {
    if (v.is(v.object({ connection_id: v.string() }), data)) ids.push(data.connection_id);
  };
  gateway.on('message', collect);
  const listeners = start('listeners.ts', `${url.replace('http', 'ws')}/v1`, size);
  try {
    await message(listeners, v.object({ ready: v.literal(true) }));
    // The gateway has accepted all connections, but its responses may still be in transit.
    while (ids.length < size) await message(gateway, v.object({ connection_id: v.string() }));
    const room_id = randomUUID();
    await haveJoined(room_id, ids);
    return await line();

    async function line(): Promise<Line> {
      const all: { times: number[]; took: Ended[] }[] = [];
      for (let round = 0; round <= settings.rounds; round++) {
        const received = message(listeners, v.object({ times: v.array(v.number()) }));
        // If sending fails, nothing awaits this promise, so its rejection is handled here.
        received.catch(() => {});
        const delivery = await invocations.run({ kind: 'broadcast', events: [chatMessage(room_id)] });
        const { sent } = v.parse(v.object({ sent: v.number() }), delivery.result);
        if (sent < size) throw new Error(`${size - sent} of ${size} did not take a message.`);
        const times = ascending((await received).times.map((time) => time - delivery.begin));
        const took = [delivery, ...invocations.fanOuts()];
        // The first round is a warm-up of processes, sockets and compiled code.
        if (round > 0) all.push({ times, took });
      }
      const over = (pick: (round: (typeof all)[number]) => number) => median(all.map(pick));
      return {
        connections: size,
        invocations: over(({ took }) => took.length),
        first: over(({ times }) => times[0] ?? 0),
        p50: over(({ times }) => quantile(times, 0.5)),
        p99: over(({ times }) => quantile(times, 0.99)),
        last: over(({ times }) => times.at(-1) ?? 0),
        cpu: over(({ took }) => Math.max(...took.map(({ cpu }) => cpu))),
        memory: over(({ took }) => Math.max(...took.map(({ memory }) => memory))),
      };
    }
  } finally {
    gateway.off('message', collect);
    listeners.disconnect();
  }
}

const ulid = monotonicFactory();
function chatMessage(room_id: string): RoomEvent {
  const sent_at = new Date().toISOString();
  return {
    type: 'message',
    room_id,
    data: toMessage({
      ...messageKey(room_id, ''),
      message_id: ulid(),
      room_id,
      sender_id: randomUUID(),
      client_message_id: randomUUID(),
      text: 'x'.repeat(100),
      sent_at,
    }),
    sent_at,
  };
}

const HEAD = ['connections', 'invocations', 'first', 'p50', 'p99', 'last', 'last, against the first size'];
const table = (lines: readonly Line[]): string =>
  textTable(
    [...HEAD, 'busiest: CPU', 'MB'],
    lines.map((line) => {
      const { connections, invocations, first, p50, p99, last, cpu, memory } = line;
      const base = lines[0]?.last ?? last;
      return [
        connections,
        invocations,
        ...[first, p50, p99, last].map((ms) => rounded(ms)),
        `× ${(last / base).toFixed(1)}`,
        rounded(cpu),
        rounded(memory),
      ];
    }),
  );

/** The gateway's response time in a batch, in milliseconds. */
const BATCH_LATENCY_MS = 20;
/**
 * Less than the functions that deliver have (lib/memory.ts), so that results stay comparable with the table in
 * docs/operate/performance.
 */
const MEMORY_MB = 1_024;

const batchesOf = (value: string): Batch[] =>
  value.split(',').map((each) => {
    const [, rooms, connections, messages = '1'] = /^(\d{1,3})x(\d{1,4})(?:x(\d{1,3}))?$/.exec(each.trim()) ?? [];
    // A batch of the stream has at most 100 records.
    if (!rooms || !connections || Number(messages) < 1 || Number(rooms) * Number(messages) > 100)
      throw new UsageError(
        `--batches takes rooms x connections x messages such as 100x30 or 5x200x20, with at most 100 messages in all, not "${each}".`,
      );
    return { rooms: Number(rooms), connections: Number(connections), messages: Number(messages) };
  });

function protocolsOf(value: string): SubProtocol[] {
  return value.split(',').map((each) => {
    const known = SUB_PROTOCOLS.find((protocol) => protocol === each.trim());
    if (!known) throw new UsageError(`--protocols takes ${SUB_PROTOCOLS.join(' and ')}, not "${each}".`);
    return known;
  });
}

const batchTable = (lines: readonly BatchLine[]): string =>
  textTable(
    [
      'rooms x connections x messages',
      'protocol',
      'delivered',
      'closed',
      'marked',
      'neither',
      'twice',
      'success',
      'posts',
      'at once',
      'p99, ms',
      'ms',
      'CPU, ms',
    ],
    lines.map(({ rooms, connections, messages, protocol, ...line }) => {
      const { delivered, closed, marked, lost, twice, ok, posts, peak, p99, ms, cpu } = line;
      return [
        `${rooms} x ${connections} x ${messages}`,
        protocol,
        `${((100 * delivered) / (rooms * connections)).toFixed(1)} %`,
        closed,
        marked,
        lost,
        twice,
        ok ? 'yes' : 'no',
        posts,
        peak,
        rounded(p99),
        rounded(ms),
        rounded(cpu),
      ];
    }),
  );

const NEIGHBORS_LARGE_ROOM = 5_000;
const neighborTable = (lines: readonly NeighborLine[]): string => {
  const [alone] = lines;
  return textTable(
    ['the batch before', 'p50, ms', 'p99, ms', 'added: p50', 'added: p99', 'ratio: p50', 'ratio: p99', 'skipped'],
    lines.map(({ before, p50, p99, skipped }) => {
      const base = alone ?? { p50, p99 };
      const added = [p50 - base.p50, p99 - base.p99].map((ms) => rounded(ms));
      const ratios = [p50 / base.p50, p99 / base.p99].map((ratio) => ratio.toFixed(2));
      return [before, rounded(p50), rounded(p99), ...added, ...ratios, skipped];
    }),
  );
};

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        sizes: { type: 'string', default: '10,100,500,1000' },
        latency: { type: 'string', default: '15' },
        rounds: { type: 'string', default: '7' },
        batches: { type: 'string' },
        neighbor: { type: 'string' },
        posts: { type: 'boolean', default: false },
        protocols: { type: 'string', default: SUB_PROTOCOLS.toReversed().join(',') },
        bundle: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  if (values.posts) {
    const posts = await measurePosts(BATCH_LATENCY_MS);
    return values.json ? JSON.stringify(posts) : textTable(['a post', 'ms'], Object.entries(posts));
  }
  if (values.neighbor !== undefined) {
    const lines = await measureNeighbor({
      rounds: number('neighbor', values.neighbor, 1, 1_000),
      large: NEIGHBORS_LARGE_ROOM,
      latency: BATCH_LATENCY_MS,
      processors: 1,
      ...(values.bundle !== undefined && { file: resolve(values.bundle) }),
    });
    return values.json ? JSON.stringify(lines, null, 2) : neighborTable(lines);
  }
  if (values.batches !== undefined) {
    const lines = await measureBatches({
      batches: batchesOf(values.batches),
      protocols: protocolsOf(values.protocols),
      latency: BATCH_LATENCY_MS,
      processors: shareOf(MEMORY_MB),
      ...(values.bundle !== undefined && { file: resolve(values.bundle) }),
    });
    return values.json ? JSON.stringify(lines, null, 2) : batchTable(lines);
  }
  const lines = await measure({
    sizes: numbers('sizes', values.sizes, 1, 10_000),
    latency: number('latency', values.latency, 0, 1_000),
    rounds: number('rounds', values.rounds, 1, 1_000),
  });
  return values.json ? JSON.stringify(lines, null, 2) : table(lines);
});
