import { randomUUID } from 'node:crypto';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { devNull } from 'node:os';
import * as v from 'valibot';
import { routes } from '../core/contract/index.ts';
import type { HttpEvent } from '../core/http/http-event.ts';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { main, number, say } from './common/command.ts';
import { flameGraph } from './common/flame.ts';
import { ascending, quantile, rounded } from './common/numbers.ts';
import { type CpuProfile, cpuProfile } from './common/profile.ts';
import { textTable } from './common/table.ts';
import { calls, newRoom, quietly, send, withTable } from './common/world.ts';

const SCRIPT = 'npm run bench:warm --';
const HELP = `Usage: ${SCRIPT} [options]

Measures the overhead of a warm endpoint: the time of its handler, with validation, log and response, relative to the time
of the same DynamoDB requests without it. Runs both in turns on the same DynamoDB Local. Prints lower quartiles in
milliseconds, which are less sensitive to other load than medians. "95 %" is the confidence interval of the ratio, from
2,000 bootstrap samples of the rounds.

  --rounds <n>   calls of each endpoint, after a warm-up (default: 200)
  --only <name>  only this endpoint
  --flame <file> write a flame graph of all handlers as SVG
  --quick        60 rounds
  --json         print JSON instead of the table
  --help         print this text
`;

/** Times in milliseconds, as lower quartiles. */
export interface Warm {
  readonly operation: string;
  readonly note: string;
  readonly handler: number;
  /** Only the requests to DynamoDB, without the handler. */
  readonly bare: number;
  readonly ratio: number;
  /** Bounds of the 95 % confidence interval of `ratio`. */
  readonly low: number;
  readonly high: number;
}

/** Runs `work` with Lambda's JSON log format. The lines go to the null device. */
async function logging<T>(work: () => Promise<T>): Promise<T> {
  const { info } = console;
  const file = openSync(devNull, 'w');
  console.info = (message: unknown) => {
    writeSync(file, `${JSON.stringify({ timestamp: new Date().toISOString(), level: 'INFO', message })}\n`);
  };
  try {
    return await work();
  } finally {
    console.info = info;
    closeSync(file);
  }
}

const lowerQuartile = (times: readonly number[]): number => quantile(ascending(times), 0.25);

/** The number of bootstrap samples. */
const DRAWS = 2_000;

/** Returns the 95 % confidence interval of the ratio of two lower quartiles, by bootstrapping over the rounds. */
function interval(handler: readonly number[], bare: readonly number[]): readonly [low: number, high: number] {
  const ratios = Array.from({ length: DRAWS }, () => {
    const drawn = handler.map(() => Math.floor(Math.random() * handler.length));
    const of = (times: readonly number[]) => lowerQuartile(drawn.map((n) => times[n] ?? 0));
    return of(handler) / of(bare);
  });
  const sorted = ascending(ratios);
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The sampling interval of profiles, in microseconds. */
const SAMPLING_US = 100;

/** Runs `work`, and returns the CPU profile of this thread. */
async function profiled(work: () => Promise<unknown>): Promise<CpuProfile> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_US });
    await session.post('Profiler.start');
    await work();
    return v.parse(cpuProfile, (await session.post('Profiler.stop')).profile);
  } finally {
    session.disconnect();
  }
}

/**
 * Few enough to stay below each limit per user in its window: see core/contract/user-limits.ts. Replayed requests
 * count, too.
 */
const ROUNDS_PER_WINDOW = 20;

async function measure(rounds: number, flame: string | undefined, only: string | undefined): Promise<Warm[]> {
  say('Starting DynamoDB Local …');
  return withTable(async () => {
    // Imported dynamically, because the client reads its endpoint from the environment on import.
    const { context, handlerOf, httpEvent } = await import('../test/fixtures/event.ts');
    const { recorded, renamed, replay } = await import('./common/replay.ts');
    const { forgetUsage } = await import('./common/usage.ts');
    const room = await quietly(newRoom);
    const all: Warm[] = [];
    const profiles: CpuProfile[] = [];
    for (const { operation, note = '', request } of calls(room)) {
      if (only !== undefined && operation !== only) continue;
      say(`${operation} …`);
      const route = routes[operation];
      const handler = await handlerOf(route);
      // Creates the event before the measurement, because Lambda has parsed it before it calls the handler.
      const newEvent = () =>
        httpEvent(route, request.headers ? { ...request, headers: { 'Idempotency-Key': randomUUID() } } : request);
      const call = async (event: HttpEvent): Promise<string> => {
        const { statusCode, body = '' } = await handler(event, context);
        if (statusCode !== route.status) throw new Error(`${operation} answered ${statusCode}: ${body}`);
        return body;
      };
      // A user who has left must be added again before the next round.
      const joinAgain = () =>
        quietly(() =>
          send('addParticipants', {
            as: room.admin,
            params: { room_id: room.room_id },
            body: { participant_ids: [room.leaver] },
          }),
        );
      let answer = '';
      const requests = await logging(() =>
        recorded(async () => {
          answer = await call(newEvent());
        }),
      );
      // Requests that create a room succeed only once, so each replay uses a new room ID.
      const created = operation === 'createRoom' ? String(JSON.parse(answer).data.room_id) : undefined;
      const again = () => (created ? renamed(requests, created, randomUUID()) : requests);
      const withNewKey = (list: ReturnType<typeof again>) => {
        const key = /IDEMPOTENCY#([^"]+)"/.exec(JSON.stringify(list))?.[1];
        return key ? renamed(list, key, randomUUID()) : list;
      };

      const times = { handler: [] as number[], bare: [] as number[] };
      await logging(async () => {
        const warmUp = Math.ceil(rounds / 4);
        for (let round = -warmUp; round < rounds; round++) {
          if (round % ROUNDS_PER_WINDOW === 0) await forgetUsage([room.admin, room.member]);
          const bare = withNewKey(again());
          const event = newEvent();
          const turns = { handler: () => call(event), bare: () => replay(bare) };
          const order = round % 2 === 0 ? (['handler', 'bare'] as const) : (['bare', 'handler'] as const);
          for (const who of order) {
            if (operation === 'leaveRoom') await joinAgain();
            const time = await timed(turns[who]);
            if (round >= 0) times[who].push(time);
          }
        }
      });
      if (flame)
        await logging(async () => {
          const again = async () => {
            for (let round = 0; round < rounds; round++) {
              if (round % ROUNDS_PER_WINDOW === 0) await forgetUsage([room.admin, room.member]);
              await call(newEvent());
            }
          };
          profiles.push(await profiled(again));
        });
      const [ofHandler, ofBare] = [lowerQuartile(times.handler), lowerQuartile(times.bare)];
      const [low, high] = interval(times.handler, times.bare);
      all.push({
        operation,
        note,
        handler: rounded(ofHandler, 2),
        bare: rounded(ofBare, 2),
        ratio: rounded(ofHandler / ofBare, 2),
        low: rounded(low, 2),
        high: rounded(high, 2),
      });
    }
    if (flame) writeFileSync(flame, flameGraph('All handlers of the HTTP API, warm: where their time goes', profiles));
    return all;
  });
}

const table = (all: readonly Warm[]): string =>
  textTable(
    ['endpoint', 'handler, ms', 'bare, ms', 'ratio', '95 %: from', 'to'],
    all.map(({ operation, note, handler, bare, ratio, low, high }) => [
      `${operation}${note && ` (${note})`}`,
      ...[handler, bare, ratio, low, high].map((each) => each.toFixed(2)),
    ]),
  );

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        rounds: { type: 'string', default: '200' },
        flame: { type: 'string' },
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const all = await measure(values.quick ? 60 : number('rounds', values.rounds, 1, 100_000), values.flame, values.only);
  return values.json ? JSON.stringify(all, null, 2) : table(all);
});
