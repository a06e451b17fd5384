import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { routes } from '../core/contract/index.ts';
import { parseCommandLine } from '../local/command-line.ts';
import { httpEvent, type Operation, type Request } from '../test/support/event.ts';
import { deployed, steps, type Variant } from './cold-start/variants.ts';
import { main, number, say } from './common/command.ts';
import { cpuShare, shareOf } from './common/cpu-share.ts';
import { median, rounded, shuffled } from './common/numbers.ts';
import { textTable } from './common/table.ts';
import { startTlsProxy } from './common/tls-proxy.ts';
import { calls, newRoom, quietly, withTable } from './common/world.ts';

const SCRIPT = 'npm run bench:cold-start --';
const HELP = `Usage: ${SCRIPT} [options]

How long a function takes to start: to load its bundle and to answer its first request, in a fresh
process, against DynamoDB Local behind TLS (1 ms each way). As on Lambda, it loads at full speed (INIT),
and answers with the share of a processor that its memory buys, by a control group of Linux. Where the
machine allows none, the share is calculated from CPU times, and the output says so. Every function of
the HTTP API as it is deployed, beside

  empty handler         what Node itself takes to load a file
  bare DocumentClient   one GetItem and nothing else, bundled by CDK's NodejsFunction as it does
                        unless it is told otherwise, with the SDK in the bundle; and with the SDK
                        left to the runtime (here: in node_modules)
  the common way        getRoom with middy, zod and Powertools, bundled by NodejsFunction

All run in turns, in random order; medians. "invoke" is the first request, "total" is INIT and the first
request together, "CPU" is the processor time of both. Ratios are against the bare DocumentClient.

  --rounds <n>   starts of each (default: 15)
  --quick        5 rounds
  --memory <n>   megabytes of the functions; 1,769 MB are a whole processor (default: 512)
  --steps        also getRoom bundled otherwise: what each setting brings
  --json         print JSON in place of the table
  --help         print this text
`;

/** A function started many times: medians, in milliseconds. */
export interface Start {
  readonly name: string;
  readonly kind: 'reference' | 'function' | 'step';
  readonly bytes: number;
  readonly load: number;
  readonly invoke: number;
  /** Load and first invoke together. */
  readonly total: number;
  readonly cpu: number;
  /** `invoke`, `total`, and `cpu` over those of the bare DocumentClient. */
  readonly invokeRatio: number;
  readonly ratio: number;
  readonly cpuRatio: number;
}

const REFERENCE = 'bare DocumentClient';
/** Of each way to DynamoDB, in milliseconds: a function and its table are in the same region. */
const DELAY_MS = 1;
const child = fileURLToPath(new URL('cold-start/process.mjs', import.meta.url));
const report = v.object({
  load: v.number(),
  invoke: v.number(),
  cpu: v.number(),
  loadCpu: v.number(),
  status: v.number(),
});
type Report = v.InferOutput<typeof report>;

/** One start. Throws where the function does not answer with a success. */
async function start(
  { name, file, cache }: Variant,
  event: object,
  procs: string | undefined,
  environment: Readonly<Record<string, string>>,
): Promise<Report> {
  const args = [child, file, JSON.stringify(event), procs ?? '', ...(cache ? [cache] : [])];
  const started = spawn(process.execPath, args, {
    cwd: tmpdir(),
    env: { ...environment, AWS_LAMBDA_FUNCTION_NAME: 'bench', AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand' },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const [, , stderr, result] = started.stdio;
  if (!stderr || !result || !('readable' in result)) throw new Error('The process has no pipes.');
  const [complaints, text] = await Promise.all([buffer(stderr), buffer(result), once(started, 'close')]);
  if (text.length === 0) throw new Error(`${name} did not start: ${complaints}`);
  const times = v.parse(report, JSON.parse(text.toString()));
  if (times.status >= 300 || times.status === 0) throw new Error(`${name} answered ${times.status}. ${complaints}`);
  return times;
}

/** The first invoke with less of a processor than it had: each of its milliseconds of CPU takes as much longer. */
const slowed = ({ invoke, cpu, loadCpu }: Report, share: number): number => invoke + (cpu - loadCpu) * (1 / share - 1);

async function measure(rounds: number, withSteps: boolean, memory: number): Promise<Start[]> {
  const share = shareOf(memory);
  const group = cpuShare(share);
  if (!group) say('This machine allows no control groups: the share of a processor is calculated from CPU times.');
  say('Bundling …');
  const { references, functions } = deployed();
  const variants = [
    ...references.map((variant) => ({ ...variant, kind: 'reference' as const })),
    ...functions.map((variant) => ({ ...variant, kind: 'function' as const })),
    ...(withSteps ? steps().map((variant) => ({ ...variant, kind: 'step' as const })) : []),
  ];
  say('Starting DynamoDB Local …');
  return withTable(async (plain) => {
    const proxy = await startTlsProxy(plain.AWS_ENDPOINT_URL_DYNAMODB ?? '', DELAY_MS);
    const environment = {
      ...plain,
      AWS_ENDPOINT_URL_DYNAMODB: proxy.url,
      NODE_EXTRA_CA_CERTS: proxy.certificate,
    };
    const room = await quietly(newRoom);
    const requests = new Map<string, { operation: Operation; request: Request }>();
    for (const call of calls(room)) if (!call.note?.includes('key')) requests.set(call.operation, call);
    const eventFor = (name: string): object => {
      const { operation, request } = requests.get(name) ?? { operation: 'getRoom', request: { as: room.member } };
      return httpEvent(routes[operation], { params: { room_id: room.room_id }, ...request });
    };

    const taken = new Map<string, Report[]>(variants.map(({ name }) => [name, []]));
    // The first round does not count: the files come from the disk, and the compile cache is written.
    for (let round = 0; round <= rounds; round++) {
      say(`Round ${round} of ${rounds} …`);
      for (const variant of shuffled(variants)) {
        const times = await start(variant, eventFor(variant.name), group?.procs, environment);
        if (round > 0) taken.get(variant.name)?.push(times);
      }
    }
    await proxy.close();
    group?.remove();
    const medians = variants.map(({ name, kind, file }) => {
      const all = taken.get(name) ?? [];
      const invokeOf = (times: Report): number => (group ? times.invoke : slowed(times, share));
      const of = (pick: (times: Report) => number): number => rounded(median(all.map(pick)), 1);
      return {
        name,
        kind,
        bytes: statSync(file).size,
        load: of(({ load }) => load),
        invoke: of(invokeOf),
        total: of((times) => times.load + invokeOf(times)),
        cpu: of(({ cpu }) => cpu),
      };
    });
    const reference = medians.find(({ name }) => name === REFERENCE);
    if (!reference) throw new Error('There is nothing to compare with.');
    return medians.map((each) => ({
      ...each,
      invokeRatio: rounded(each.invoke / reference.invoke, 2),
      ratio: rounded(each.total / reference.total, 2),
      cpuRatio: rounded(each.cpu / reference.cpu, 2),
    }));
  });
}

const table = (starts: readonly Start[]): string =>
  textTable(
    ['function', 'KB', 'INIT, ms', 'invoke, ms', 'ratio', 'total, ms', 'ratio', 'CPU, ms', 'ratio'],
    starts.map(({ name, bytes, load, invoke, invokeRatio, total, ratio, cpu, cpuRatio }) => [
      name,
      rounded(bytes / 1_000),
      load.toFixed(1),
      invoke.toFixed(1),
      invokeRatio.toFixed(2),
      total.toFixed(1),
      ratio.toFixed(2),
      cpu.toFixed(1),
      cpuRatio.toFixed(2),
    ]),
  );

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        rounds: { type: 'string', default: '15' },
        quick: { type: 'boolean', default: false },
        steps: { type: 'boolean', default: false },
        memory: { type: 'string', default: '512' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const rounds = values.quick ? 5 : number('rounds', values.rounds, 1, 1_000);
  const starts = await measure(rounds, values.steps, number('memory', values.memory, 128, 10_240));
  return values.json ? JSON.stringify(starts, null, 2) : table(starts);
});
