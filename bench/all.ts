import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parseCommandLine } from '../tools/cli/command-line.ts';
import { UsageError } from '../tools/cli/usage-error.ts';
import { main, say } from './common/command.ts';
import { startPicture } from './common/picture.ts';
import { type Benchmark, outputs, type Results, results } from './common/results.ts';
import { withSection } from './common/section.ts';
import { PROGRAM, performanceText, summary } from './common/summary.ts';

const HELP = `Usage: ${PROGRAM} -- [options]

Runs all benchmarks, prints one table, and writes the results to docs/operate/performance: results.json, the
figures in README.md, and pictures. Takes about 20 minutes. On a busy machine, only ratios of CPU time are reliable.

  --quick     fewer rounds and smaller rooms; takes 1 to 2 minutes
  --only <a>  run only this benchmark, and keep the results of the others
  --from <f>  with --only: read the benchmark's --json output from files (a,b,c), and do not run it
  --full      more rounds, a history of 1 million messages, more room sizes; takes 1 hour
  --dry-run   write nothing
  --help      print this text

Each benchmark can be run separately: bench:cold-start, bench:memory, bench:warm, bench:latency, bench:deploy, bench:cost,
bench:fanout, bench:throughput, bench:price, bench:scale; each has its own --help.
`;

type Mode = Results['measured']['mode'];

const RUNS: Readonly<Record<Benchmark, Readonly<Record<Mode, readonly string[]>>>> = {
  'cold-start': {
    quick: ['--steps', '--rounds', '5'],
    default: ['--steps', '--rounds', '9'],
    full: ['--steps', '--rounds', '60'],
  },
  memory: {
    quick: ['--rounds', '1', '--more', '3'],
    default: ['--rounds', '2', '--more', '4'],
    full: ['--rounds', '15'],
  },
  latency: {
    quick: ['--receivers', '10,100', '--rounds', '10'],
    default: ['--rounds', '30'],
    full: ['--rounds', '300'],
  },
  deploy: { quick: [], default: [], full: [] },
  warm: { quick: ['--quick'], default: ['--rounds', '120'], full: ['--rounds', '1000'] },
  cost: { quick: ['--quick'], default: [], full: ['--messages', '1000000'] },
  fanout: {
    quick: ['--sizes', '10,100', '--rounds', '3'],
    default: ['--sizes', '10,100,500,1000,10000', '--rounds', '3'],
    full: ['--sizes', '10,100,500,1000,5000,10000', '--rounds', '9'],
  },
  throughput: { quick: ['--quick'], default: [], full: ['--seconds', '60'] },
  price: { quick: [], default: [], full: [] },
};

/** Returns the benchmark with this name. @throws UsageError if there is none */
function benchmark(name: string): Benchmark {
  const found = Object.keys(RUNS).find((each): each is Benchmark => each === name);
  if (found) return found;
  throw new UsageError(`--only takes one of ${Object.keys(RUNS).join(', ')}, not "${name}".`);
}

const at = (file: string): string => fileURLToPath(new URL(`../docs/operate/performance/${file}`, import.meta.url));

/** The benchmarks that draw a flame graph, with the file name in docs/operate/performance. */
const FLAMES: Partial<Record<Benchmark, string>> = { warm: 'functions.svg', throughput: 'gateway.svg' };

/** Runs a benchmark in a separate process, and returns its output. With `draw`, it also writes its flame graph. */
async function run<Name extends Benchmark>(
  name: Name,
  mode: Mode,
  draw: boolean,
): Promise<v.InferOutput<(typeof outputs)[Name]>> {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const flame = draw && FLAMES[name] ? ['--flame', at(FLAMES[name])] : [];
  const child = spawn(process.execPath, [file, '--json', ...RUNS[name][mode], ...flame], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  if (code !== 0) throw new Error(`bench:${name} ended with ${code}.`);
  return v.parse(outputs[name], JSON.parse(printed));
}

/** Writes the results, and the parts of docs/operate/performance that follow from them. */
function write(found: Results): void {
  writeFileSync(at('results.json'), `${JSON.stringify(found, null, 2)}\n`);
  writeFileSync(at('start.svg'), startPicture(found));
  writeFileSync(at('README.md'), withSection(readFileSync(at('README.md'), 'utf8'), PROGRAM, performanceText(found)));
}

const here = (mode: Mode) => ({
  at: new Date().toISOString().slice(0, 10),
  node: process.versions.node,
  processor: cpus()[0]?.model ?? 'unknown',
  processors: cpus().length,
  busy: loadavg()[0] ?? 0,
  mode,
});

/** Runs one benchmark again, and merges its result into the stored results. */
async function measureAgain(name: Benchmark, mode: Mode, draw: boolean, from?: readonly string[]): Promise<Results> {
  const before: Results = JSON.parse(readFileSync(at('results.json'), 'utf8'));
  const { busy, ...machine } = here(mode);
  const again = { ...before.again, [name]: from ? machine : { ...machine, busy } };
  return v.parse(results, { ...before, again, [name]: from ? printed(from) : await run(name, mode, draw) });
}

/** Reads the output of a benchmark from a file, or from several files with parts of it. */
function printed(files: readonly string[]): unknown {
  const all: unknown[] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
  return all.length > 1 ? all.flat() : all[0];
}

async function measure(mode: Mode, draw: boolean): Promise<Results> {
  const measured = here(mode);
  const begin = performance.now();
  const next = <Name extends Benchmark>(name: Name) => {
    say(`\n== ${name} (${Math.round((performance.now() - begin) / 1_000)} s)`);
    return run(name, mode, draw);
  };
  return v.parse(results, {
    measured,
    'cold-start': await next('cold-start'),
    memory: await next('memory'),
    warm: await next('warm'),
    latency: await next('latency'),
    deploy: await next('deploy'),
    cost: await next('cost'),
    fanout: await next('fanout'),
    throughput: await next('throughput'),
    price: await next('price'),
  });
}

await main(async () => {
  const { values } = parseCommandLine(
    {
      options: {
        quick: { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
        only: { type: 'string' },
        from: { type: 'string' },
        'dry-run': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    `${PROGRAM} -- --help`,
  );
  if (values.help) return HELP;
  const draw = !values['dry-run'];
  const mode = values.full ? 'full' : values.quick ? 'quick' : 'default';
  const only = values.only === undefined ? undefined : benchmark(values.only);
  if (values.from !== undefined && !only) throw new UsageError('--from needs --only.');
  const found = await (only ? measureAgain(only, mode, draw, values.from?.split(',')) : measure(mode, draw));
  if (draw) write(found);
  return summary(found);
});
