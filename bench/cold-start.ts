import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { type Report, type Variant, withLambda } from './cold-start/starts.ts';
import type { Kind } from './cold-start/targets.ts';
import { deployed, references, steps } from './cold-start/variants.ts';
import { main, number, say } from './common/command.ts';
import { median, rounded, shuffled } from './common/numbers.ts';
import { startCells } from './common/start-cells.ts';
import { textTable } from './common/table.ts';

const SCRIPT = 'npm run bench:cold-start --';
const HELP = `Usage: ${SCRIPT} [options]

Measures cold starts: how long a function takes to load its bundle (INIT) and to handle its first request, in a
new process, with DynamoDB Local behind TLS (1 ms each way). As on Lambda, INIT runs at full speed, and the request
with the CPU share of the function's memory, limited by a Linux control group. If the machine allows no control
groups, the share is calculated from CPU times, and the output says so. Measures all functions that users wait for,
as deployed, and these references:

  empty handler         the time of Node itself to load a file
  bare DocumentClient   only one GetItem, bundled with the defaults of CDK's NodejsFunction: with the SDK in the
                        bundle, and with the SDK of the runtime (here: in node_modules)
  the common way        getRoom with middy, zod and Powertools, bundled by NodejsFunction

Runs all functions in turns, in random order, and prints medians. "invoke" is the first request, "total" is INIT and
the first request, "CPU" is the CPU time of both. Ratios are relative to the bare DocumentClient.

  --rounds <n>   starts of each function (default: 15)
  --quick        5 rounds
  --memory <n>   memory of the functions in MB; 1,769 MB correspond to one processor (default: 512)
  --only <text>  only functions with this text in their names, and the bare DocumentClient
  --steps        also functions without one optimization of the start or the bundle, to measure its benefit
  --json         print JSON instead of the table
  --help         print this text
`;

/** Results of many starts of a function: medians, in milliseconds. */
export interface Start {
  readonly name: string;
  readonly kind: 'reference' | Kind | 'step';
  readonly bytes: number;
  readonly load: number;
  readonly invoke: number;
  /** Duration of loading and of the first request. */
  readonly total: number;
  readonly cpu: number;
  /** `invoke`, `total` and `cpu`, divided by the values of the bare DocumentClient. */
  readonly invokeRatio: number;
  readonly ratio: number;
  readonly cpuRatio: number;
}

const REFERENCE = 'bare DocumentClient';
/** The number of connections in the room to which functions post. */
const CONNECTIONS = 10;

const size = (file: string): number => (existsSync(file) ? statSync(file).size : 0);
/** The size of a function's code, without its package.json. */
const bytesOf = (file: string): number =>
  size(file) +
  (file.endsWith('start.mjs') ? size(join(dirname(file), 'index.js')) + size(join(dirname(file), 'index.mjs')) : 0);

async function measure(rounds: number, withSteps: boolean, memory: number, only: string): Promise<Start[]> {
  say('Bundling …');
  const variants = [
    ...references().map((variant) => ({ ...variant, kind: 'reference' as const })),
    ...deployed(),
    ...(withSteps ? steps().map((variant) => ({ ...variant, kind: 'step' as const })) : []),
  ].filter(({ name }) => name === REFERENCE || name.includes(only));
  return withLambda(CONNECTIONS, async (lambda) => {
    const taken = new Map<Variant, Report[]>(variants.map((variant) => [variant, []]));
    // The first round is not measured: it reads files from the disk and writes the compile cache.
    for (let round = 0; round <= rounds; round++) {
      say(`Round ${round} of ${rounds} …`);
      await lambda.newRoom();
      for (const variant of shuffled(variants)) {
        const times = await lambda.start(variant, { memory });
        if (round > 0) taken.get(variant)?.push(times);
      }
    }
    const medians = [...taken].map(([{ name, file }, all], n) => {
      const of = (pick: (times: Report) => number): number => rounded(median(all.map(pick)), 1);
      return {
        name,
        kind: variants[n]?.kind ?? 'step',
        bytes: bytesOf(file),
        load: of(({ load }) => load),
        invoke: of(({ invoke }) => invoke),
        total: of(({ load, invoke }) => load + invoke),
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
    starts.map(startCells),
  );

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        rounds: { type: 'string', default: '15' },
        quick: { type: 'boolean', default: false },
        steps: { type: 'boolean', default: false },
        memory: { type: 'string', default: '512' },
        only: { type: 'string', default: '' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${SCRIPT} --help`,
  );
  if (values.help) return HELP;
  const rounds = values.quick ? 5 : number('rounds', values.rounds, 1, 1_000);
  const memory = number('memory', values.memory, 128, 10_240);
  const starts = await measure(rounds, values.steps, memory, values.only);
  return values.json ? JSON.stringify(starts, null, 2) : table(starts);
});
