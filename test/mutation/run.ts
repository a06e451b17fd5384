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

Makes small faults in the code, one at a time, and sees whether a test notices.

  --seed    chooses the faults: the same seed, the same faults in the same sources (1)
  --count   how many faults in all, spread over the folders (120)
  --folder  a folder to mutate, repeatable (${FOLDERS.join(', ')})
  --tests   run only the test files whose path has this part, repeatable (all of unit, functions and client)
  --workers how many test processes run at a time (2)
  --least   percentage of faults that must be noticed in each folder (90)
  --list    only list the faults that would be made
  --help    print this

Each fault is tried by the tests that reach it (unit, functions and client; with --folder lib, infrastructure as well). Prints the survivors and a table, writes them to
reports/mutation.json, and exits with 1 where a folder is below the percentage. Takes about an hour on two cores.`;

/** One fault that can be made. Lines and columns are Babel's: lines from 1, columns from 0. */
interface Fault {
  readonly folder: string;
  readonly file: string;
  readonly key: string;
  readonly line: number;
  /** The range as Stryker's `mutate` setting takes it. */
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

/** `count` of the faults, spread evenly over the folders. */
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

/** `RuntimeError`: a test file could not be loaded, which is as red as a test that fails. Without any fault, all of them can. */
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
  say(`${all.length} faults can be made, ${chosen.length} are chosen by seed ${seed}.`);
  if (values.list) return chosen.map(({ file, key }) => `${file} ${key}`).join('\n');

  // Stryker's workers inherit it, and load the configuration of Vitest.
  process.env.MUTATION_TESTS = values.tests.join(',');
  process.env.MUTATION_LIB = String(values.folder.some((folder) => folder.startsWith('lib')));
  kept = new Set(chosen.map(({ key }) => key));
  const results = await new Stryker({
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner'],
    mutate: [...new Set(chosen.map(({ range }) => range))],
    coverageAnalysis: 'perTest',
    concurrency: workers,
    // TypeScript 7 has no JavaScript API, with which Stryker would rewrite the configuration.
    tsconfigFile: 'none',
    // One file for each mutant, written as soon as it was tested, so that a stopped run loses no results.
    reporters: ['progress-append-only', 'event-recorder'],
    eventReporter: { baseDir: 'reports/mutation' },
    tempDirName: 'reports/stryker',
    allowConsoleColors: false,
    // Waits of the product, such as retries with backoff, can take this long without being endless.
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
