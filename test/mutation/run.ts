import { globSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import type { MutantResult } from '@stryker-mutator/api/core';
import { Stryker } from '@stryker-mutator/core';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import { main, number, say } from '../../bench/common/command.ts';
import { randomFrom } from '../../bench/common/random.ts';
import { parseCommandLine } from '../../tools/cli/command-line.ts';
import { installMutators, keyOf } from './mutators.ts';

const FOLDERS = [
  'core/rules',
  'core/platform',
  'core/store',
  'core/realtime',
  'core/http',
  'core/files',
  'functions',
  'client/src',
];

const HELP = `Usage: npm run test:mutation -- [--seed <n>] [--count <n>] [--folder <path> …] [--tests <part of a path> …] [--workers <n>]

Makes small faults in the code, one at a time, and checks that a test fails.

  --seed    selects the faults; the same seed selects the same faults in the same sources (1)
  --count   number of faults, distributed over the folders (120)
  --folder  a folder to mutate, repeatable (${FOLDERS.join(', ')})
  --tests   run only the test files whose path contains this part, repeatable (all of unit, functions and client)
  --workers number of parallel test processes (2)
  --least   minimum percentage of detected faults in each folder (90)
  --list    only list the selected faults
  --help    print this

Runs the tests that reach each fault: unit, functions and client; with --folder lib also infrastructure. Prints the undetected faults
and a table, and writes them to reports/mutation.json. Exits with 1 if a folder is below the percentage. Takes about 1 hour on 2 cores.`;

/** A possible fault. Lines start at 1 and columns at 0, as in Babel. */
interface Fault {
  readonly folder: string;
  readonly file: string;
  readonly key: string;
  readonly line: number;
  /** The range in the format of Stryker's setting `mutate`. */
  readonly range: string;
}

let kept: ReadonlySet<string> | undefined;

const silent = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
};

async function faultsOf(folder: string): Promise<Fault[]> {
  const files = globSync(`${folder}/**/*.ts`)
    .filter((file) => !file.endsWith('.d.ts'))
    .sort();
  const faults: Fault[] = [];
  for (const file of files) {
    const content = await readFile(file, 'utf8');
    const { mutants } = await new Instrumenter(silent).instrument([{ name: file, content, mutate: true }], {
      plugins: null,
      excludedMutations: [],
      ignorers: [],
    });
    const seen = new Map<string, number>();
    for (const { mutatorName, location } of mutants) {
      const at = {
        start: { line: location.start.line + 1, column: location.start.column },
        end: { line: location.end.line + 1, column: location.end.column },
      };
      const place = keyOf(mutatorName, at, 0);
      const n = seen.get(place) ?? 0;
      seen.set(place, n + 1);
      faults.push({
        folder,
        file,
        key: keyOf(mutatorName, at, n),
        line: at.start.line,
        range: `${file}:${at.start.line}:${at.start.column}-${at.end.line}:${at.end.column}`,
      });
    }
  }
  return faults;
}

/** Selects `count` faults, distributed evenly over the folders. */
function choose(faults: readonly Fault[], count: number, random: () => number): Fault[] {
  const shuffled = Map.groupBy(
    faults
      .map((fault) => ({ fault, order: random() }))
      .sort((a, b) => a.order - b.order)
      .map(({ fault }) => fault),
    ({ folder }) => folder,
  );
  const chosen: Fault[] = [];
  for (let n = 0; chosen.length < count && n < faults.length; n++)
    for (const group of shuffled.values()) {
      const fault = group[n];
      if (fault && chosen.length < count) chosen.push(fault);
    }
  return chosen;
}

/** Whether a mutant was detected. `RuntimeError` counts: the fault prevents a test file from loading. */
const isNoticed = ({ status }: MutantResult): boolean => ['Killed', 'Timeout', 'RuntimeError'].includes(status);

async function run(): Promise<string> {
  const { values } = parseCommandLine(
    {
      options: {
        seed: { type: 'string', default: '1' },
        count: { type: 'string', default: '120' },
        workers: { type: 'string', default: '2' },
        least: { type: 'string', default: '90' },
        folder: { type: 'string', multiple: true, default: FOLDERS },
        tests: { type: 'string', multiple: true, default: [] },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    },
    '--help',
  );
  if (values.help) return HELP;
  const count = number('count', values.count, 1, 10_000);
  const seed = number('seed', values.seed, 0, 2 ** 32 - 1);
  const workers = number('workers', values.workers, 1, 64);
  const least = number('least', values.least, 0, 100);

  await installMutators(() => kept);
  const all = (await Promise.all(values.folder.map(faultsOf))).flat();
  const chosen = choose(all, count, randomFrom(seed));
  say(`${all.length} possible faults, ${chosen.length} selected by seed ${seed}.`);
  if (values.list) return chosen.map(({ file, key }) => `${file} ${key}`).join('\n');

  // Stryker's workers inherit these variables, which the Vitest configuration reads.
  process.env.MUTATION_TESTS = values.tests.join(',');
  process.env.MUTATION_LIB = String(values.folder.some((folder) => folder.startsWith('lib')));
  kept = new Set(chosen.map(({ key }) => key));
  const results = await new Stryker({
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner'],
    mutate: [...new Set(chosen.map(({ range }) => range))],
    coverageAnalysis: 'perTest',
    concurrency: workers,
    // Stryker would rewrite tsconfig.json with TypeScript's JavaScript API, which TypeScript 7 lacks.
    tsconfigFile: 'none',
    // Writes one file for each tested mutant, so that an interrupted run keeps its results.
    reporters: ['progress-append-only', 'event-recorder'],
    eventReporter: { baseDir: 'reports/mutation' },
    tempDirName: 'reports/stryker',
    allowConsoleColors: false,
    // Retries with backoff can take this long, so a shorter limit would report wrong time-outs.
    timeoutMS: 20_000,
    dryRunTimeoutMinutes: 30,
    vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
  }).runMutationTest();

  const counted = results.filter(({ status }) => status !== 'Ignored' && status !== 'CompileError');
  await writeFile('reports/mutation.json', `${JSON.stringify({ seed, results: counted }, undefined, 1)}\n`);
  const survivors = counted
    .filter((each) => !isNoticed(each))
    .map(
      ({ status, fileName, location, mutatorName, replacement }) =>
        `${status}: ${fileName}:${location.start.line} ${mutatorName} → ${replacement}`,
    );
  const folders = values.folder.map((folder) => {
    const here = counted.filter(({ fileName }) => fileName.includes(`${folder}/`));
    const noticed = here.filter(isNoticed).length;
    const percent = here.length === 0 ? 100 : Math.round((100 * noticed) / here.length);
    if (percent < least) process.exitCode = 1;
    return `${folder}: ${noticed} of ${here.length} noticed (${percent} %)`;
  });
  return [...survivors, ...folders].join('\n');
}

await main(run);
